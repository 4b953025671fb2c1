"""What the screen looks like: the main screens as text, at two sizes and in two languages.

A golden shows the characters; cells of a block letter or box are `#`, empty boxes `.`, the key that
is meant first stands in `[ ]`. To renew them after a wanted change: `KIOSK_GOLDENS=write pytest
tests/kiosk/test_pages.py`, then look at the difference.
"""

import os
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from terminal import words
from terminal.errors import Trouble
from terminal.kiosk import bars
from terminal.kiosk.pages import Mood, Page, Row, Sample, Setting, outlet_names
from terminal.kiosk.pages_lists import help_pages, notice_title
from terminal.kiosk.panel import Line, Style, paint
from terminal.kiosk.plain import page_text
from terminal.kiosk.rooms import page_of
from terminal.kiosk.states import (
    Asking,
    Committing,
    ConfirmUndo,
    Done,
    Fault,
    Flash,
    Help,
    History,
    Last4,
    Leaving,
    Looking,
    NoticeOpen,
    Ready,
    Reasons,
    RedeemOrder,
    Refused,
    Shown,
    Stage,
    Undone,
)
from terminal.kiosk.text import cells
from terminal.outcomes import Notice, Place
from terminal.words import Language
from tests.kiosk.scenery import (
    NOON,
    REDEEMED,
    REVERSED,
    SINGLE,
    SLIP_NOTICE,
    STATUS,
    TAPE,
    VERDICT_NOTICE,
    VIEW,
)
from vouchers.reasons import Reason, Refusal

GOLDENS = Path(__file__).parents[1] / "golden" / "kiosk"
ZONE = ZoneInfo("Asia/Shanghai")
SAMPLES = (Sample("92100000022", "1234", "5 份下午茶", "afternoon tea, 5 shares"),)
ORDER = RedeemOrder("r1", "h1", 2)
EXPIRED = Refusal(Reason.EXPIRED, {"until": VIEW.valid_until})
ELSEWHERE = Refusal(Reason.WRONG_OUTLET, {"outlets": [2]})

STAGES: dict[str, Stage] = {
    "ready": Ready(),
    "typing": Ready("92100"),
    "last4": Last4(1, "92100000022", "12"),
    "looking": Looking(1, "92100000022", 0),
    "asking": Asking(VIEW, "2", 0),
    "asking_one": Asking(SINGLE, "", 0),
    "asking_some": Asking(replace(VIEW, max_now=1), "", 0),
    "committing": Committing(ORDER, 1, VIEW.product_name, 0),
    "late": Committing(ORDER, 1, VIEW.product_name, 0, late=True),
    "unknown": Committing(ORDER, 1, VIEW.product_name, 0, tries=2),
    "resumed": Committing(ORDER, 1, "", 0, tries=1),
    "done": Done(REDEEMED, 0),
    "done_last": Done(replace(REDEEMED, left=0, successor_code=None, mode="lone"), 0),
    "done_again": Done(replace(REDEEMED, successor_code=None, repeated=True), 0),
    "undone": Undone(REVERSED, VIEW.product_name),
    "undone_resumed": Undone(REVERSED, ""),
    "refused": Refused(EXPIRED, replace(VIEW, refusal=EXPIRED, max_now=0)),
    "elsewhere": Refused(ELSEWHERE, replace(VIEW, outlets=(Place(2, "静安寺店"),))),
    "spent": Refused(Refusal(Reason.USED_UP, {"shares": 5}), None, latched=True),
    "wrong": Refused(Refusal(Reason.UNKNOWN_OR_WRONG), retry="92100000022"),
    "fault": Fault(Trouble("The journal is not usable. Run: hexiao doctor")),
    "fenced": Fault(Trouble("central and this journal disagree", "fenced")),
    "history": History(1),
    "reasons": Reasons(TAPE[1]),
    "confirm_undo": ConfirmUndo(TAPE[1], "wrong_voucher", 0),
    "slip_notice": NoticeOpen(SLIP_NOTICE),
    "verdict_notice": NoticeOpen(VERDICT_NOTICE),
    "help": Help(),
    "leaving": Leaving(Ready(), 0),
    "leaving_open": Leaving(Committing(ORDER, 1, "", 0), 0),
}

GOLDEN_STAGES = (
    "ready",
    "last4",
    "asking",
    "asking_one",
    "unknown",
    "done",
    "refused",
    "spent",
    "fault",
    "fenced",
    "history",
    "reasons",
    "slip_notice",
    "verdict_notice",
    "help",
)


def drawn(line: Line) -> str:
    """A line as text in which blocks can be seen."""
    out = ""
    for span in line:
        blank = not span.text.strip()
        if span.style is Style.INK:
            out += "#" * len(span.text)
        elif span.style is Style.FIELD and blank:
            out += "." * len(span.text)
        elif span.style is Style.MAIN:
            out += f"[{span.text[1:-1]}]"
        else:
            out += span.text
    return out.rstrip()


def picture(shown: Shown, setting: Setting, width: int, height: int) -> str:
    """The whole screen as the app lays it out."""
    lists = isinstance(shown.stage, History | Help)
    tape_rows = 0 if lists else 10 if height >= 30 else 6
    panel_rows = height - 4 - tape_rows
    page = page_of(shown, setting, panel_rows - 6)
    lines = [
        bars.status_line(shown, setting, width, NOON),
        bars.stripe(shown, setting, width),
        *paint(page, width, panel_rows),
        bars.flash_line(shown, setting, width),
    ]
    tape = bars.tape(shown, setting, width, tape_rows) if tape_rows else []
    lines += [*tape, *[()] * (tape_rows - len(tape)), bars.key_bar(setting, width)]
    assert len(lines) == height
    assert all(sum(cells(span.text) for span in line) <= width for line in lines)
    return f"({page.mood.value})\n" + "\n".join(drawn(line) for line in lines) + "\n"


@pytest.mark.parametrize("size", [(80, 24), (120, 36)], ids=["80x24", "120x36"])
@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("name", GOLDEN_STAGES)
def test_a_screen_looks_as_it_did(name: str, language: Language, size: tuple[int, int]) -> None:
    """Text goldens of the main screens."""
    notices = (SLIP_NOTICE,) if name in ("ready", "fault") else ()
    flash = Flash("scan_not_now") if name == "asking" else None
    shown = Shown(STAGES[name], flash, replace(STATUS, notices=notices), TAPE)
    found = picture(shown, Setting(language, ZONE, SAMPLES), *size)
    path = GOLDENS / f"{name}.{language}.{size[0]}x{size[1]}.txt"
    if os.environ.get("KIOSK_GOLDENS") == "write":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(found, "utf-8")
    assert found == path.read_text("utf-8")


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("name", STAGES)
def test_every_stage_fits_every_window(name: str, language: Language) -> None:
    """From tiny to large: nothing is wider or higher than the window, the keys are always there."""
    shown = Shown(STAGES[name], Flash("at_most", {"most": 3}), STATUS, TAPE)
    setting = Setting(language, ZONE, SAMPLES)
    for width, height in ((80, 24), (120, 36), (60, 18), (200, 60), (61, 19)):
        text = picture(shown, setting, width, height)
        assert "[" in text or name in ("ready", "committing", "late")
    for width in range(1, 30, 7):
        for height in range(1, 12, 3):
            lines = paint(page_of(shown, setting, 3), width + 8, height)
            assert len(lines) <= height
    assert page_text(page_of(shown, setting, 10))


@pytest.mark.parametrize("name", STAGES)
def test_no_screen_shows_last_four_digits(name: str) -> None:
    """Only the samples of a demo stand there with theirs, in the help."""
    shown = Shown(STAGES[name], None, STATUS, TAPE)
    text = picture(shown, Setting(Language.ZH, ZONE), 120, 36)
    assert "1234" not in text


def test_a_page_says_its_mood_in_words() -> None:
    """Colour is never alone: each mood has its word (kiosk notes, C4)."""
    setting = Setting(Language.EN, ZONE)
    said = {
        name: page_of(Shown(STAGES[name], None, STATUS, TAPE), setting, 9)
        for name in ("done", "refused", "spent", "fault", "unknown")
    }
    assert {name: (page.mood, page.word) for name, page in said.items()} == {
        "done": (Mood.GOOD, "REDEEMED"),
        "refused": (Mood.BAD, "REFUSED"),
        "spent": (Mood.SPENT, "SPENT"),
        "fault": (Mood.FAULT, "STOPPED"),
        "unknown": (Mood.FAULT, "WAIT"),
    }


def test_the_help_has_every_key_and_the_samples() -> None:
    """It is made from the actions, and cut into pages where the window is low."""
    for language in Language:
        pages = help_pages(Setting(language, ZONE, SAMPLES), 5)
        text = "\n".join(line for page in pages for line in page_text(page))
        for key in ("Enter", "F12", "F1", "F3", "F4", "F5", "F6", "F9", "F10", "Backspace"):
            assert key in text
        assert "921 0000 0022" in text and "1234" in text
        assert len(pages) == 4
    assert len(help_pages(Setting(Language.EN, ZONE), 50)) == 1


def test_one_sample_of_each_kind_comes_first() -> None:
    """A demo has many vouchers of one kind; the first page shows every kind."""
    kinds = ("one share", "one share", "expired", "one share", "refunded")
    samples = tuple(Sample(f"{n}2100000022", "1234", kind, kind) for n, kind in enumerate(kinds))
    (page, *_) = help_pages(Setting(Language.EN, ZONE, samples), 3)
    assert [row.columns[2] for row in page.rows] == ["one share", "expired", "refunded"]


def test_hostile_names_are_harmless() -> None:
    """Markup, escape codes, bidi marks and line breaks in names change nothing but the name."""
    evil = "[red]\x1b[2J[/x]\u202e evil\r\n" + "长" * 300
    view = replace(VIEW, product_name=evil, outlets=(Place(1, evil),) * 9)
    for stage in (
        Asking(view, "", 0),
        Refused(ELSEWHERE, view),
        Done(REDEEMED, 0),
        Fault(Trouble(evil)),
    ):
        row = replace(TAPE[0], product_name=evil, serial=evil)
        status = replace(STATUS, clerk=evil, posid=evil, outlet=Place(1, evil), printer=evil)
        text = picture(Shown(stage, None, status, (row,)), Setting(Language.EN, ZONE), 80, 24)
        assert not {"\x1b", "\u202e", "\r"} & set(text)
    assert "and 7 more" in outlet_names(view.outlets, Language.EN, 2)


@pytest.mark.parametrize(
    ("reader", "said"),
    [("ready", "cards ready"), ("lost", "CARD READER LOST"), ("not_set_up", "READER NOT SET UP")],
)
def test_a_card_reader_is_shown_where_there_is_one(reader: str, said: str) -> None:
    """Where none is configured the line does not speak of it."""
    setting = Setting(Language.EN, ZONE)
    line = drawn(
        bars.status_line(Shown(Ready(), None, replace(STATUS, reader=reader), ()), setting, 120, 0)
    )
    assert said in line
    narrow = drawn(
        bars.status_line(Shown(Ready(), None, replace(STATUS, reader=reader), ()), setting, 80, 0)
    )
    assert (said in narrow) is (reader != "ready"), "little room is for what is wrong"
    none = drawn(bars.status_line(Shown(Ready(), None, STATUS, ()), setting, 120, 0))
    assert "card" not in none.lower()


def test_status_says_what_is_wrong_in_words() -> None:
    """Network, data, journal, printer, scanner: the trouble stays when the room gets short."""
    trouble = replace(
        STATUS,
        network="offline",
        replica_age_s=None,
        unacknowledged=12,
        printer="paper_out",
        scanner="lost",
        clerk="",
    )
    setting = Setting(Language.EN, ZONE)
    wide = drawn(bars.status_line(Shown(Ready(), None, trouble, ()), setting, 120, NOON))
    for word in ("OFFLINE", "no voucher data", "12 unsent", "PAPER OUT", "SCANNER LOST"):
        assert word in wide
    narrow = drawn(bars.status_line(Shown(Ready(), None, trouble, ()), setting, 60, NOON))
    assert "OFFLINE" in narrow and "PAPER OUT" in narrow and "12:00" not in narrow
    alone = replace(STATUS, network="none", printer="strange")
    line = drawn(bars.status_line(Shown(Ready(), None, alone, ()), setting, 80, NOON))
    assert "stand-alone" in line and "unsent" not in line and "strange" in line
    wrong = replace(STATUS, network="not_set_up", printer="not_set_up", scanner="not_set_up")
    line = drawn(bars.status_line(Shown(Ready(), None, wrong, ()), setting, 120, NOON))
    assert all(f"{one} NOT SET UP" in line for one in ("NETWORK", "PRINTER", "SCANNER"))
    start = bars.status_line(Shown(Ready(), None, None, ()), setting, 80, NOON)
    assert "starting" in drawn(start)


def test_the_stripe_counts_down_and_names_the_first_notice() -> None:
    """Locked, clock, offline limit, notices: one line."""
    status = replace(
        STATUS, locked_until=NOON, clock="suspect", offline_left=7, notices=(VERDICT_NOTICE,) * 2
    )
    line = drawn(bars.stripe(Shown(Ready(), None, status, ()), Setting(Language.EN, ZONE), 200))
    for part in ("until 12:00", "2 to deal with", "Head office says", "clock", "7 more"):
        assert part in line
    assert bars.stripe(Shown(Ready(), None, STATUS, ()), Setting(Language.EN, ZONE), 80) == ()
    assert bars.stripe(Shown(Ready(), None, None, ()), Setting(Language.EN, ZONE), 80) == ()


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize(
    "notice",
    [
        Notice("recovered", None, {}),
        Notice("restored", None, {}),
        Notice("clock", None, {}),
        Notice("replica", None, {}),
        Notice("disk", None, {}),
        Notice("disk", None, {"what": "witness", "error": "EIO"}),
        Notice("slip_failed", "T1_1_00000001", {}),
        Notice("print_backlog", None, {"count": 3}),
        Notice("message", None, {"text": "Close at noon."}),
        Notice("fenced", None, {"trouble": "fork"}),
        Notice("revoked", None, {}),
        Notice("lost", None, {"count": 2, "text": "T1_1_00000008 - T1_1_00000009"}),
        Notice("verdict", "T1_1_00000001", {"verdict": "accepted", "others": ["T2_1_00000002"]}),
        Notice("verdict", "T1_1_00000001", {"verdict": "odd", "excess": 1, "others": None}),
        Notice("slip_unknown", "T1_1_00000001", {"product": "Tea", "copy": 0}),
        Notice("something_new", None, {}),
    ],
    ids=lambda notice: notice.kind,
)
def test_every_notice_has_words(notice: Notice, language: Language) -> None:
    """What happened and what to do; an unknown kind is still shown."""
    assert notice_title(notice, language)
    page = page_of(Shown(NoticeOpen(notice), None, None, ()), Setting(language, ZONE), 9)
    assert len(page.lines) >= 2 and all(page.lines)
    for part in ("text", "count"):
        if part in notice.detail:
            assert str(notice.detail[part]) in page.lines[0]


def test_the_tape_says_what_matters_most_about_a_row() -> None:
    """Attention before slip trouble before undone before unsent."""
    setting = Setting(Language.EN, ZONE)
    lines = [drawn(line) for line in bars.tape(Shown(Ready(), None, None, TAPE), setting, 80, 8)]
    assert [word in line for word, line in zip(_STATES, lines[1:], strict=True)] == [True] * 7
    empty = bars.tape(Shown(Ready(), None, None, ()), setting, 80, 6)
    assert "none yet" in drawn(empty[1])
    assert bars.tape(Shown(Ready(), None, None, TAPE), setting, 80, 1)[1:] == []
    assert words.say("tape.title", Language.EN) in drawn(empty[0])


_STATES = ("unsent", "unsent", "sent", "was undone", "ATTENTION", "SLIP UNKNOWN", "sent")


@given(
    text=st.text(max_size=120),
    rows=st.lists(st.tuples(st.text(max_size=30), st.text(max_size=90)), min_size=1, max_size=30),
    width=st.integers(10, 140),
    height=st.integers(1, 40),
)
def test_any_page_fits_any_window(
    text: str, rows: list[tuple[str, str]], width: int, height: int
) -> None:
    """Whatever is written on it."""
    from terminal.kiosk.text import safe_text

    page = Page(
        Mood.LIST,
        safe_text(text),
        word=safe_text(text)[:8],
        big="12/34",
        field=safe_text(text)[:20],
        facts=((safe_text(text)[:10], safe_text(text)),),
        lines=(safe_text(text),),
        rows=tuple(
            Row((safe_text(a), safe_text(b)), chosen=i == 3) for i, (a, b) in enumerate(rows)
        ),
        keys=(("+", safe_text(text)[:20]), ("-", "cancel")),
    )
    lines = paint(page, width, height)
    assert len(lines) <= height
    assert all(sum(cells(span.text) for span in line) <= max(width, 12) for line in lines)
