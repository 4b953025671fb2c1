"""What a scanner delivered.

Responsible for: the frozen value that every kind of scanner turns its bytes into, and the charset
order. Not responsible for: what the text means, or whether it may be redeemed.
Invariant: `raw` is what the symbol held, byte for byte (without AIM identifier, prefix and
terminator); `text` is a reading of it and never raises.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scan:
    """One symbol. `at` is the monotonic millisecond of its last byte.

    `aim` is the identifier (`]Q1`) or empty; `symbology` a name from `drivers.scanner.aim` or
    `unknown`; `charset` is `utf-8`, `gb18030` or `unknown` (then `text` is Latin-1). `complete` is
    False when the scan ended by silence or by its length instead of by a terminator.
    """

    raw: bytes
    text: str
    aim: str
    symbology: str
    charset: str
    complete: bool
    at: int


def read_text(raw: bytes, charsets: tuple[str, ...] = ("utf-8", "gb18030")) -> tuple[str, str]:
    """The text of a symbol and the charset that read it: the first that fits without a fault."""
    for charset in charsets:
        try:
            return raw.decode(charset), charset
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1"), "unknown"
