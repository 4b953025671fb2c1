"""Is this a terminal that can show the kiosk? Asked before Textual is loaded.

Responsible for: tty, UTF-8, size, and whether Chinese characters take two cells (asked of the
terminal itself). Not responsible for: the words to the person, starting anything.
Invariant: what the person typed meanwhile is kept and handed on.
"""

import os
import re
import select
import termios
import tty
from collections.abc import Mapping
from time import monotonic
from typing import Final

from msgspec import Struct

COLUMNS_MIN: Final = 60
ROWS_MIN: Final = 18
PROBE_S: Final = 0.3
"""A terminal answers within 17 ms (measured); over a slow line it may take longer."""

_REPORT: Final = re.compile(rb"\x1b\[(\d+);(\d+)R")
_PROBE: Final = b"\r\xe5\x88\xb8\x1b[6n"
"""One Chinese character at the left edge, then: where is the cursor?"""
_WIPE: Final = b"\r  \r"


class Finding(Struct, frozen=True):
    """`problem` is a phrase key when the kiosk cannot be shown; `fields` go into it."""

    problem: str | None
    fields: Mapping[str, object]
    chinese: bool = True
    type_ahead: bytes = b""


def inspect(stdin: int, screen: int, environment: Mapping[str, str]) -> Finding:
    """Look at the terminal on these two descriptors (Textual writes to standard error)."""
    if not (os.isatty(stdin) and os.isatty(screen)):
        return Finding("preflight.tty", {})
    term = environment.get("TERM", "")
    if term in ("", "dumb"):
        return Finding("preflight.dumb", {"term": term or "-"})
    size = os.get_terminal_size(screen)
    if size.columns and (size.columns < COLUMNS_MIN or size.lines < ROWS_MIN):
        need = f"{COLUMNS_MIN} x {ROWS_MIN}"
        return Finding(
            "preflight.size", {"columns": size.columns, "rows": size.lines, "need": need}
        )
    if term == "linux":
        # The console of the kernel has no Chinese font and gives no sign of it.
        return Finding(None, {}, chinese=False)
    column, typed = _probe(stdin, screen)
    if column is not None and column > 3:
        return Finding("preflight.utf8", {})
    return Finding(None, {}, chinese=column in (None, 3), type_ahead=typed)


def _probe(stdin: int, screen: int) -> tuple[int | None, bytes]:
    """The column after one wide character (3 is right), and everything else that was read."""
    before = termios.tcgetattr(stdin)
    got = b""
    try:
        tty.setcbreak(stdin, termios.TCSANOW)
        os.write(screen, _PROBE)
        until = monotonic() + PROBE_S
        while not _REPORT.search(got) and (left := until - monotonic()) > 0:
            if select.select([stdin], [], [], left)[0]:
                data = os.read(stdin, 4096)
                if not data:
                    break
                got += data
        os.write(screen, _WIPE)
    finally:
        termios.tcsetattr(stdin, termios.TCSANOW, before)
    match = _REPORT.search(got)
    if match is None:
        return None, got
    return int(match[2]), got[: match.start()] + got[match.end() :]
