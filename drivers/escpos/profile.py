"""How one model of printer speaks: data, read from TOML.

Responsible for: everything the encoder, the layout and the job engine need to know about a model,
with defaults for an unknown 58 mm printer with a Chinese font. Not responsible for: finding a file.
"""

import tomllib
from dataclasses import dataclass, fields

from drivers.errors import Misconfigured
from drivers.link import LineSettings

CHARSETS = ("gb2312", "gbk", "gb18030-2byte", "gb18030")
_CHOICES = {
    "charset": CHARSETS,
    "text": ("native", "raster"),
    "size_command": ("gs", "fs"),
    "confirm": ("gs_h", "gs_r", "none"),
    "continuity": ("macro", "none"),
    "flow": ("none", "rtscts", "xonxoff"),
    "cut": ("none", "partial", "full"),
    "qr": ("native", "raster"),
    "code128": ("native", "raster"),
}


@dataclass(frozen=True, slots=True)
class PrinterProfile:
    """A printer model.

    `window` is how many unconfirmed bytes may be under way: half of a 4 KB buffer is safe, 1,024
    for a model nobody measured. `status` lists what it answers: `asb` tells changes by itself,
    `dle_eot` answers when asked, `gs_r` answers in order; empty for a printer that never answers.
    `confirm` is how a block is confirmed, `continuity` how the printer proves that its power did
    not fail meanwhile. `line_ms` is the time of one printed line at most.
    `drawer_on_ms`/`drawer_off_ms` are the drawer pulse. `dots` is the printable width.
    """

    name: str = "generic-58-gb18030"
    columns: int = 32
    dots: int = 384
    charset: str = "gb18030-2byte"
    text: str = "native"
    size_command: str = "gs"
    status: tuple[str, ...] = ("asb", "dle_eot")
    confirm: str = "gs_h"
    continuity: str = "macro"
    window: int = 1024
    baud: int = 9600
    parity: str = "N"
    flow: str = "none"
    cut: str = "none"
    feed_lines: int = 4
    qr: str = "native"
    qr_module: int = 5
    code128: str = "native"
    realtime_lock: bool = False
    drawer_on_ms: int = 100
    drawer_off_ms: int = 500
    drawer_high_is_open: bool = True
    line_ms: int = 30
    font: str = ""
    tested: str = "emulated only"

    def line(self) -> LineSettings:
        """The wire settings for `drivers.link`."""
        return LineSettings(baud=self.baud, parity=self.parity, flow=self.flow)


def read_printer_profile(text: str) -> PrinterProfile:
    """The profile in a TOML document with a `[printer]` table. Raises Misconfigured."""
    try:
        table = dict(tomllib.loads(text)["printer"])
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as fault:
        raise Misconfigured(f"not a printer profile: {fault}") from None
    known = {field.name: field.default for field in fields(PrinterProfile)}
    if unknown := sorted(set(table) - set(known)):
        raise Misconfigured(f"a printer profile has no setting {', '.join(unknown)}")
    for name, value in table.items():
        if isinstance(value, list):
            table[name] = tuple(str(item) for item in value)
        if type(table[name]) is not type(known[name]):
            raise Misconfigured(f"printer profile: {name} must be {type(known[name]).__name__}")
        if name in _CHOICES and value not in _CHOICES[name]:
            raise Misconfigured(f"printer profile: {name} must be one of {_CHOICES[name]}")
    profile = PrinterProfile(**table)
    _check(profile)
    return profile


def _check(profile: PrinterProfile) -> None:
    if bad := set(profile.status) - {"asb", "dle_eot", "gs_r"}:
        raise Misconfigured(f"printer profile: status knows no {', '.join(sorted(bad))}")
    if not 16 <= profile.columns <= 64 or profile.dots < 8 * profile.columns:
        raise Misconfigured("printer profile: columns and dots do not fit together")
    if profile.window < 64 or profile.baud < 300:
        raise Misconfigured("printer profile: window is at least 64 bytes and baud at least 300")
