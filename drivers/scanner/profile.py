"""How one family of scanners speaks: data, read from TOML.

Responsible for: the settings that the framer, the serial scanner and the host commands need, with
their defaults. Not responsible for: finding a file, or opening a port.
"""

import tomllib
from dataclasses import dataclass, fields

from drivers.errors import Misconfigured
from drivers.link import LineSettings

TERMINATORS = {"cr": b"\r", "lf": b"\n", "crlf": b"\r\n", "etx": b"\x03", "tab": b"\t"}


@dataclass(frozen=True, slots=True)
class ScannerProfile:
    """A scanner family.

    `terminators` are names from `TERMINATORS`; CR and LF directly after each other count once when
    both are listed. `idle_ms` ends a scan by silence and is used only when it is not 0: give it to
    scanners without a suffix. `framing` is `terminated` or `ssi`. `commands` names the host command
    set in `drivers.scanner.commands` or is `none`.
    """

    name: str = "generic-serial"
    kind: str = "serial"
    baud: int = 9600
    parity: str = "N"
    flow: str = "none"
    framing: str = "terminated"
    terminators: tuple[str, ...] = ("cr", "lf")
    prefix: str = ""
    aim: bool = False
    idle_ms: int = 0
    length_min: int = 1
    length_max: int = 4096
    charsets: tuple[str, ...] = ("utf-8", "gb18030")
    commands: str = "none"
    repeat_ms: int = 1_500
    tested: str = "emulated only"

    def line(self) -> LineSettings:
        """The wire settings for `drivers.link`."""
        return LineSettings(baud=self.baud, parity=self.parity, flow=self.flow)

    def terminator_bytes(self) -> frozenset[int]:
        """Every single byte that ends a scan."""
        return frozenset(byte for name in self.terminators for byte in TERMINATORS[name])


def read_scanner_profile(text: str) -> ScannerProfile:
    """The profile in a TOML document with a `[scanner]` table. Raises Misconfigured."""
    try:
        table = dict(tomllib.loads(text)["scanner"])
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as fault:
        raise Misconfigured(f"not a scanner profile: {fault}") from None
    known = {field.name: field for field in fields(ScannerProfile)}
    if unknown := sorted(set(table) - set(known)):
        raise Misconfigured(f"a scanner profile has no setting {', '.join(unknown)}")
    for name, value in table.items():
        wanted = type(known[name].default)
        if isinstance(value, list) and wanted is tuple:
            table[name] = tuple(str(item) for item in value)
        elif type(value) is not wanted:
            raise Misconfigured(f"scanner profile: {name} must be {wanted.__name__}")
    profile = ScannerProfile(**table)
    if bad := [name for name in profile.terminators if name not in TERMINATORS]:
        raise Misconfigured(f"scanner profile: no terminator {', '.join(bad)}")
    return profile
