"""Makes the pictures of the clerk's guide: `python -m tests.kiosk.pictures`.

The pictures are what the program draws, saved as SVG; nothing in them is painted by hand, and they
load no font from elsewhere.
"""

import asyncio
import html
import re
from pathlib import Path
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from terminal.kiosk import app as screen
from terminal.kiosk.app import KioskApp
from terminal.kiosk.clock import now_ms
from terminal.kiosk.events import (
    CardOpened,
    CardRead,
    HistoryRead,
    LookedUp,
    Pressed,
    Scanned,
    Settled,
    StatusRead,
    Typed,
)
from terminal.kiosk.pages import Setting
from terminal.kiosk.session import Session
from terminal.kiosk.states import Act, Asking, Committing, Looking
from terminal.kiosk.text import cells
from terminal.words import Language
from tests.kiosk.memory_counter import GOOD, MemoryCounter
from tests.kiosk.scenery import NOON, REDEEMED, SINGLE, STATUS, TAPE, VIEW
from vouchers.reasons import Reason, Refusal

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
SPA = replace(SINGLE, product_name="Spa 60 min", valid_until=NOON + 90 * 86_400_000)
FONTS = "DejaVu Sans Mono, Noto Sans Mono CJK SC, Noto Sans CJK SC, monospace"


async def draw(language: Language) -> dict[str, str]:
    """The question, the outcome, a refusal and the vouchers of an ID card."""
    session = Session(MemoryCounter({}), Setting(language, ZoneInfo("Asia/Shanghai")))
    app = KioskApp(session, driver=None)
    found: dict[str, str] = {}
    async with app.run_test(size=(80, 24)) as pilot:

        async def keep(name: str) -> None:
            app._draw()
            await pilot.pause()
            found[f"{name}.{language}"] = plain_fonts(app.export_screenshot(title="hexiao"))

        session.feed(StatusRead(STATUS, 0))
        session.feed(HistoryRead(TAPE, 0))
        session.feed(Scanned(GOOD, 0))
        for digit in "1234":
            session.feed(Typed(digit, 0))
        answer(session, VIEW)
        session.feed(Typed("2", 0))
        await keep("asking")
        stage = session.shown.stage
        assert isinstance(stage, Asking)
        await pilot.press("f12")
        await pilot.pause(0.4)
        await pilot.press("f12")
        await pilot.pause(0.1)
        answer(session, REDEEMED)
        await keep("done")
        session.feed(Scanned(GOOD, 0))
        for digit in "1234":
            session.feed(Typed(digit, 0))
        answer(session, Refusal(Reason.REPLACED))
        await keep("refused")
        session.feed(Pressed(Act.CLEAR, 0))
        session.feed(CardRead("11010519491231002X", 0))
        stage = session.shown.stage
        assert isinstance(stage, Looking)
        over = Refusal(Reason.EXPIRED, {"until": NOON})
        views = (VIEW, SPA, replace(SINGLE, max_now=0, valid_until=NOON, refusal=over))
        session.feed(CardOpened(stage.ticket, views, 0))
        session.feed(Typed("2", 0))
        await keep("choosing")
    return found


def answer(session: Session, value: object) -> None:
    """The counter's answer to what is open."""
    stage = session.shown.stage
    assert isinstance(stage, Looking | Committing), stage
    event = Settled if isinstance(stage, Committing) else LookedUp
    session.feed(event(stage.ticket, value, now_ms()))  # type: ignore[arg-type]


def plain_fonts(svg: str) -> str:
    """Without the web fonts that the exporter names."""
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.S)
    svg = re.sub(r"font-family: ?[^;]+;", f"font-family: {FONTS};", svg)
    # The exporter counts characters where it should count cells, which squeezes Chinese.
    svg = re.sub(r'textLength="([\d.]+)"([^>]*)>([^<]*)<', _measured, svg)
    svg = re.sub(r"terminal-\d+", "kiosk", svg)
    return "\n".join(line.rstrip() for line in svg.splitlines() if line.strip()) + "\n"


def _measured(match: re.Match[str]) -> str:
    text = html.unescape(match[3])
    length = float(match[1]) / max(1, len(text)) * cells(text)
    return f'textLength="{length:.1f}"{match[2]}>{match[3]}<'


def main() -> None:
    """Write all pictures in both languages."""
    screen.wall_ms = lambda: NOON  # the same picture whenever it is made
    PICTURES.mkdir(parents=True, exist_ok=True)
    for language in Language:
        for name, svg in asyncio.run(draw(language)).items():
            (PICTURES / f"kiosk-{name}.svg").write_text(svg, "utf-8")


if __name__ == "__main__":
    main()
