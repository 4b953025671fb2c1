"""The arguments of the terminal's commands.

Responsible for: their names, bounds and help. Not responsible for: running them. Invariant: this
module is cheap to import, because every command does.
"""

import re
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Callable
from typing import Any, Final, NoReturn

REVERSAL_REASONS: Final = (
    "mistake",
    "customer_changed_mind",
    "wrong_voucher",
    "goods_not_available",
    "test",
    "other",
)
"""As `vouchers.entries.REVERSAL_REASONS`; a test holds the two together."""

BENCHES: Final = (
    *("redeem-light", "redeem-default", "look-up", "journal", "file", "feed", "beside"),
    *("start", "scan", "memory", "memory-file", "memory-feed", "slip"),
)
"""As `terminal.bench` names its comparisons; a test holds the two together."""

NOTE_CHARS_MAX: Final = 80
"""As `vouchers.limits.NOTE_CHARS_MAX`; a test holds the two together."""

_REQUEST: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)
_CLERK: Final = re.compile(r"[A-Za-z0-9:_.@-]{1,64}", re.ASCII)


class WrongUsageError(Exception):
    """The words of a command line do not fit; `str()` says which and shows the usage."""


class _Parser(ArgumentParser):
    """Raises instead of writing and exiting, because the holder parses too."""

    def error(self, message: str) -> NoReturn:
        raise WrongUsageError(f"{self.format_usage()}{self.prog}: {message}")


PRINTER_CHARSETS: Final = ("gb2312", "gbk", "gb18030-2byte", "gb18030")
PRINTER_ANSWERS: Final = (
    *("asb", "dle_eot", "gs_r", "gs_h", "gs_i", "macro"),
    *("macro_mute", "macro_lost", "power_on"),
)
"""What an emulated printer can be made of; written here because a driver takes long to load."""


def parser(command: str | None = None) -> ArgumentParser:
    """The whole command line, or the part of it that `command` needs, which is made faster.

    `parse_args` raises WrongUsageError.
    """
    root = _Parser(
        prog="hexiao",
        description="Redeem e-vouchers at a counter, also when the network is down.",
        epilog="`hexiao central --help` is the service that terminals sync with.",
        formatter_class=RawDescriptionHelpFormatter,
    )
    commands = root.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for add, names in _GROUPS.items():
        if command in names or not any(command in each for each in _GROUPS.values()):
            add(commands)
    return root


def _add(commands: Any, name: str, text: str, **more: Any) -> ArgumentParser:
    found: ArgumentParser = commands.add_parser(name, help=text, description=text, **more)
    found.add_argument("--config", metavar="PATH", help="settings file")
    found.add_argument("--json", action="store_true", help="one JSON object per line")
    found.add_argument(
        "--wait", type=_seconds, default=5.0, metavar="S", help="for the holder to let go (5)"
    )
    return found


def _vouchers(commands: Any) -> None:
    lookup = _add(commands, "lookup", "what a voucher is; changes no voucher")
    redeem = _add(commands, "redeem", "redeem shares of a voucher")
    for found in (lookup, redeem):
        found.add_argument("code", metavar="CODE", help="digits, HX1:…, a link, or - for stdin")
        found.add_argument("last4", metavar="LAST4", help="last four of the mobile, or - for stdin")
    redeem.add_argument("--shares", type=_count, default=1, metavar="N")
    redeem.add_argument("--clerk", type=_clerk, metavar="ID")
    redeem.add_argument("--request", type=_request, metavar="ID", help="the same one books once")
    redeem.add_argument("--no-print", action="store_true")
    reverse = _add(commands, "reverse", "undo a redemption of this terminal")
    reverse.add_argument("serial", metavar="SERIAL")
    reverse.add_argument("--reason-code", choices=REVERSAL_REASONS, default="mistake")
    reverse.add_argument(
        "--note", type=_note, metavar="TEXT", help="at most 80 characters, never printed"
    )
    reverse.add_argument("--clerk", type=_clerk, metavar="ID")


def _journal(commands: Any) -> None:
    journal = commands.add_parser("journal", help="list, verify, export or rescue the journal")
    what = journal.add_subparsers(dest="what", metavar="WHAT", required=True)
    listing = _add(what, "list", "entries, oldest first")
    listing.add_argument("--request", metavar="ID")
    listing.add_argument("--serial", metavar="SERIAL")
    listing.add_argument("--kind", metavar="KIND")
    _add(what, "verify", "check chain, signatures and totals")
    export = _add(what, "export", "entries as JSON lines")
    export.add_argument("--out", metavar="FILE")
    export.add_argument("--since", type=_count_or_zero, default=0, metavar="SEQ")
    export.add_argument("--epoch", type=_count, metavar="N", help="default: the current one")
    rescue = _add(what, "rescue", "what central has not acknowledged, for import-journal")
    rescue.add_argument("--out", required=True, metavar="FILE")
    note = commands.add_parser("note", help="clerks' notes on reversals")
    notes = note.add_subparsers(dest="what", metavar="WHAT", required=True)
    _add(notes, "delete", "delete one, here and at head office").add_argument("serial")
    verifier = _add(commands, "verify-journal", "check an export, on any machine")
    verifier.add_argument("file", metavar="FILE")
    verifier.add_argument("--key", required=True, metavar="KEY", help="base64url or @FILE")
    verifier.add_argument(
        "--head",
        action="append",
        default=[],
        metavar="HASH",
        help="from a slip, central or the witness: must be in it, else a tail was cut off",
    )
    verifier.add_argument(
        "--since", type=_count_or_zero, default=0, metavar="SEQ", help="as it was exported with"
    )
    verifier.add_argument("--previous-head", metavar="HASH", help="the last of the epoch before")


def _running(commands: Any) -> None:
    demo = _add(commands, "demo", "central, a terminal, sample vouchers and the kiosk")
    demo.add_argument("--dir", default="demo-data", metavar="DIR")
    demo.add_argument("--headless", action="store_true", help="all but the kiosk; then wait")
    demo.add_argument("--plain", action="store_true", help="lines instead of a screen")
    demo.add_argument("--language", choices=("zh", "en"))
    demo.add_argument("--id-card", action="store_true", help="an emulated ID-card reader too")
    _add(commands, "run", "the same terminal without a screen")
    sync = _add(commands, "sync", "pull and push now")
    sync.add_argument("--once", action="store_true", help="one round (what it does anyway)")


def _kiosk(commands: Any) -> None:
    kiosk = _add(commands, "kiosk", "the counter screen")
    kiosk.add_argument("--plain", action="store_true", help="lines instead of a screen")


def _installer(commands: Any) -> None:
    enrol = _add(commands, "enrol", "pair this terminal")
    enrol.add_argument("url", metavar="URL")
    enrol.add_argument("pairing_code", metavar="CODE")
    _add(commands, "doctor", "what is well, what is not, and what to do")
    printed = _add(commands, "print-test", "a slip with one of everything")
    printed.add_argument(
        "--preview",
        type=_picture,
        metavar="FILE.png",
        help="a picture (FILE.txt: text, -: here)",
    )
    printed.add_argument("--drawer", action="store_true", help="open the cash drawer instead")
    printed.add_argument(
        "--template", metavar="DIR", help="the slip templates in DIR with sample values instead"
    )
    scanned = _add(commands, "scan-test", "show what a scanner sends, and propose settings")
    scanned.add_argument("--count", type=_positive, default=10, metavar="N", help="scans (10)")
    emulate = commands.add_parser("emulate", help="devices made of software")
    printer = _add(
        emulate.add_subparsers(dest="device", metavar="DEVICE", required=True),
        "printer",
        "a printer on paper only; the first line is its port, lines that are typed pull its"
        " levers: `paper out`, `paper loaded`, `cover open`, `unplug`, `ok`; `?` names all",
    )
    printer.add_argument(
        "--tcp", type=_port, metavar="PORT", help="listen there, 0 for any; else a pty"
    )
    printer.add_argument("--png", type=_png, metavar="FILE.png", help="keep a picture there")
    printer.add_argument("--link", metavar="PATH", help="a lasting name for the pty")
    printer.add_argument("--columns", type=int, choices=(32, 42, 48), default=32)
    printer.add_argument("--baud", type=_count, default=0, metavar="N", help="0: no wire time")
    printer.add_argument("--line-ms", type=_count, default=0, metavar="N", help="time of a line")
    printer.add_argument("--buffer", type=_count, default=4096, metavar="BYTES")
    printer.add_argument("--charset", choices=PRINTER_CHARSETS, default="gb18030-2byte")
    printer.add_argument("--replies", type=_replies, metavar="LIST", help="what it answers")
    printer.add_argument("--flow", choices=("none", "xonxoff", "rtscts"), default="none")
    printer.add_argument(
        "--busy-offline", action="store_true", help="no byte in while it is stopped"
    )
    printer.add_argument(
        "--restart-ms", type=_count, default=0, metavar="N", help="no byte in so long after a loss"
    )
    bench = _add(commands, "bench", "speed, as ratios to a bare limit of the same run")
    bench.add_argument("side", nargs="?", choices=("terminal", "central"), default="terminal")
    bench.add_argument("--rows", type=_count, default=100_000, metavar="N", help="vouchers held")
    bench.add_argument(
        "--only", action="append", choices=BENCHES, default=[], help="this comparison; repeatable"
    )
    bench.add_argument(
        "--feed", type=_count, default=20_000, metavar="N", help="vouchers that the feed brings"
    )


def _replies(text: str) -> str:
    if unknown := set(filter(None, text.split(","))) - set(PRINTER_ANSWERS):
        known = ",".join(PRINTER_ANSWERS)
        raise ArgumentTypeError(f"has no {', '.join(sorted(unknown))}; there are {known}")
    return text


_GROUPS: Final[dict[Callable[[Any], None], frozenset[str]]] = {
    _vouchers: frozenset({"lookup", "redeem", "reverse"}),
    _journal: frozenset({"journal", "note", "verify-journal"}),
    _kiosk: frozenset({"kiosk"}),
    _running: frozenset({"demo", "run", "sync"}),
    _installer: frozenset({"enrol", "doctor", "print-test", "scan-test", "emulate", "bench"}),
}
"""Which function adds which commands; a test holds the two together."""


def _count(text: str) -> int:
    value = _whole(text)
    # A wrong count is a business refusal with words of its own; only nonsense stops here.
    if abs(value) > 10**9:
        raise ArgumentTypeError("is far too large")
    return value


def _count_or_zero(text: str) -> int:
    value = _count(text)
    if value < 0:
        raise ArgumentTypeError("must not be negative")
    return value


def _positive(text: str) -> int:
    value = _count(text)
    if value < 1:
        raise ArgumentTypeError("must be positive")
    return value


def _port(text: str) -> int:
    value = _whole(text)
    if not 0 <= value <= 65_535:
        raise ArgumentTypeError("a port lies between 0 and 65535")
    return value


def _picture(text: str) -> str:
    return text if text == "-" or text.endswith(".txt") else _png(text)


def _png(text: str) -> str:
    if not text.endswith(".png"):
        raise ArgumentTypeError("the name must end with .png")
    return text


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ArgumentTypeError(f"{text[:20]!r} is not a whole number") from None


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ArgumentTypeError(f"{text[:20]!r} is not a number of seconds") from None
    if not 0 <= value <= 3600:
        raise ArgumentTypeError("must lie between 0 and 3600 seconds")
    return value


def _request(text: str) -> str:
    if not _REQUEST.fullmatch(text):
        raise ArgumentTypeError("an id has 1 to 64 letters, digits, . _ : or -")
    return text


def _note(text: str) -> str:
    if len(text) > NOTE_CHARS_MAX:
        raise ArgumentTypeError(f"a note has at most {NOTE_CHARS_MAX} characters")
    return text


def _clerk(text: str) -> str:
    if not _CLERK.fullmatch(text):
        raise ArgumentTypeError("a clerk's id has 1 to 64 letters, digits, . _ : @ or -")
    return text
