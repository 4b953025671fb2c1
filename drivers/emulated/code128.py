"""Code 128 as a printer understands it: the data of GS k 73 to text and to bars.

Responsible for: reading `{A {B {C` data, and the modules of the symbol. Pure. Not responsible for:
choosing code sets; that is the host's. The bar patterns come from python-barcode's table, so that
the emulator does not print from the same head as our encoder.
"""

from functools import lru_cache
from typing import Any

_START = {"A": 103, "B": 104, "C": 105}
_SWITCH = {"A": 101, "B": 100, "C": 99}


def decode_set_data(data: bytes) -> bytes:
    """The text that the symbol will be read as."""
    out, current, index = bytearray(), "B", 0
    while index < len(data):
        byte = data[index]
        if byte == 0x7B and index + 1 < len(data):
            name = chr(data[index + 1])
            current = name if name in _START else current
            out += b"{" if name == "{" else b""
            index += 2
            continue
        out += b"%02d" % byte if current == "C" else bytes([byte])
        index += 1
    return bytes(out)


def modules(data: bytes) -> str:
    """The bars as a string of 1 and 0, without quiet zones; empty for data without a code set."""
    symbols = _symbols(data)
    if not symbols:
        return ""
    check = (symbols[0] + sum(at * value for at, value in enumerate(symbols))) % 103
    patterns, stop = _tables()
    return "".join(patterns[value] for value in [*symbols, check]) + stop


def _symbols(data: bytes) -> list[int]:
    symbols: list[int] = []
    current, index = "", 0
    while index < len(data):
        byte, following = data[index], data[index + 1 : index + 2]
        index += 1
        if byte == 0x7B and following != b"{":
            current = following.decode("latin-1")
            if current not in _START:
                return []
            symbols.append(_SWITCH[current] if symbols else _START[current])
            index += 1
            continue
        if byte == 0x7B:
            index += 1
        if not current:
            return []
        symbols.append(byte if current == "C" else _value(byte, current))
    return symbols


def _value(byte: int, current: str) -> int:
    return byte + 64 if current == "A" and byte < 32 else byte - 32


@lru_cache(maxsize=1)
def _tables() -> tuple[Any, str]:
    from barcode.charsets import code128

    return code128.CODES, f"{code128.STOP}11"  # the symbol ends with a bar of two modules
