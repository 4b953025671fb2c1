"""The pages that are lists: history, reasons for undoing, notices, help.

Responsible for: their rows and words. Not responsible for: the hot path (`pages`), drawing.
Invariant: as in `pages`; the help shows the keys that `actions` has, and nothing else.
"""

from terminal import words
from terminal.kiosk.actions import ACTIONS
from terminal.kiosk.pages import Mood, Page, Row, Sample, Setting
from terminal.kiosk.states import (
    UNDO_REASONS,
    Choosing,
    ConfirmUndo,
    Help,
    History,
    NoticeOpen,
    Reasons,
)
from terminal.kiosk.text import cells, pad, safe_text, spaced
from terminal.outcomes import Delivery, Notice, TapeRow
from terminal.words import Language, say

VERDICT_FINE = "accepted"


def history(stage: History, tape: tuple[TapeRow, ...], setting: Setting) -> Page:
    """The last redemptions and reversals, newest first (EV-050)."""
    language = setting.language
    total = len(tape)
    title = say("history.title", language)
    if not tape:
        lines: tuple[str, ...] = (say("history.empty", language),)
        return Page(Mood.LIST, title, lines=lines, keys=_back(language))
    place = say("history.of", language, number=min(stage.cursor, total - 1) + 1, total=total)
    rows = tuple(
        Row(
            (*tape_columns(row, setting), safe_text(row.serial)),
            chosen=index == stage.cursor,
            marked=needs_attention(row),
        )
        for index, row in enumerate(tape)
    )
    keys = (
        ("8/2", say("do.choose", language)),
        ("F4", say("key.undo", language)),
        ("F3", say("key.reprint", language)),
        *_back(language),
    )
    return Page(Mood.LIST, f"{title}  {place}", rows=rows, keys=keys)


def choosing(stage: Choosing, setting: Setting) -> Page:
    """The vouchers of a card (EV-032): what each is, what is left, how long it is good."""
    language = setting.language
    rows = tuple(
        Row(
            (
                safe_text(view.product_name, 60),
                say("fact.left_of", language, left=view.left, shares=view.shares),
                words.last_moment(view.valid_until, language, setting.zone),
                say("choosing.good", language)
                if view.refusal is None
                else words.title(view.refusal, language),
            ),
            chosen=index == stage.cursor,
            marked=view.refusal is not None,
        )
        for index, view in enumerate(stage.views)
    )
    keys = (
        ("Enter", say("do.take", language)),
        ("8/2", say("do.choose", language)),
        ("-", say("do.cancel", language)),
    )
    title = say("choosing.title", language, n=len(stage.views))
    return Page(Mood.LIST, title, lines=(say("choosing.help", language),), rows=rows, keys=keys)


def reasons(stage: Reasons, setting: Setting) -> Page:
    """Why is it undone? The closed list of decision 11."""
    language = setting.language
    rows = tuple(
        Row((str(number), say(f"undo.{code}", language)))
        for number, code in enumerate(UNDO_REASONS, start=1)
    )
    return Page(
        Mood.ASK,
        say("reasons.title", language),
        facts=row_facts(stage.row, setting),
        rows=rows,
        keys=(("1-6", say("do.choose", language)), ("-", say("do.cancel", language))),
    )


def confirm_undo(stage: ConfirmUndo, setting: Setting) -> Page:
    """The last question before a reversal."""
    language = setting.language
    reason = (say("fact.reason", language), say(f"undo.{stage.reason_code}", language))
    return Page(
        Mood.ASK,
        say("confirm_undo.title", language, shares=stage.row.shares),
        big=f"-{stage.row.shares}",
        facts=(*row_facts(stage.row, setting), reason),
        lines=(say("confirm_undo.help", language),),
        keys=(("+", say("do.undo", language)), ("-", say("do.cancel", language))),
    )


def notice(stage: NoticeOpen, setting: Setting) -> Page:
    """One notice: what happened and what to do."""
    language, about = setting.language, stage.notice
    later = ("-", say("do.back", language))
    product = about.detail.get("product")
    keys: tuple[tuple[str, str], ...] = (("Enter", say("do.read", language)), later)
    if about.kind == "slip_unknown":
        slip = ("1", say("do.reprint_slip", language)), ("2", say("do.abandon_slip", language))
        keys = (*slip, later)
    return Page(
        Mood.SPENT,
        notice_title(about, language),
        facts=((say("fact.product", language), safe_text(product, 80)),) if product else (),
        lines=tuple(_notice_lines(about, setting)),
        keys=keys,
    )


def notice_title(about: Notice, language: Language) -> str:
    """A notice as a headline."""
    return say(f"notice.{_kind(about)}", language)


def help_pages(setting: Setting, rows_per_page: int) -> list[Page]:
    """The samples of a demo, then all keys, cut into pages that fit."""
    language = setting.language
    rows = [(action.caps, say(action.label, language)) for action in ACTIONS]
    rows.insert(0, (say("help.digits_key", language), say("help.digits", language)))
    listed = [Row(columns) for columns in rows]
    cut_keys = _cut(listed, rows_per_page)
    cut_samples = _cut(_sample_rows(setting), rows_per_page)
    titles = [say("help.samples", language)] * len(cut_samples)
    titles += [say("help.title", language)] * len(cut_keys)
    total = len(titles)
    more = total > 1
    return [
        Page(
            Mood.LIST,
            title,
            rows=tuple(part),
            lines=(say("help.more", language, page=number, pages=total),)
            if more
            else (say("help.scan", language),),
            keys=(("Enter", say("do.back", language)),),
        )
        for number, (title, part) in enumerate(
            zip(titles, [*cut_samples, *cut_keys], strict=True), start=1
        )
    ]


def help_page(stage: Help, setting: Setting, rows_per_page: int) -> Page:
    """One page of the help; turning past the end stays at the last."""
    pages = help_pages(setting, rows_per_page)
    return pages[min(stage.page, len(pages) - 1)]


def tape_columns(row: TapeRow, setting: Setting) -> tuple[str, ...]:
    """Time, what, how many, product, left, state: the same for tape and history."""
    language = setting.language
    return (
        words.clock(row.at, language, setting.zone),
        say("row.reversed" if row.kind == "reversed" else "row.redeemed", language),
        words.shares(row.shares, language),
        safe_text(row.product_name, 60),
        f"{say('fact.left', language)} {row.left}",
        row_state(row, language),
    )


def row_state(row: TapeRow, language: Language) -> str:
    """The one thing that matters most about a row."""
    if row.delivery is Delivery.ATTENTION or row.verdict not in (None, VERDICT_FINE):
        return say("delivery.attention", language)
    if row.slip in ("unknown", "failed"):
        return say(f"slip.{row.slip}", language)
    if row.reversed_by is not None:
        return say("row.was_reversed", language)
    return say(f"delivery.{row.delivery.value}", language)


def needs_attention(row: TapeRow) -> bool:
    """Whether a person should look at this row."""
    judged = row.verdict not in (None, VERDICT_FINE)
    return judged or row.delivery is Delivery.ATTENTION or row.slip in ("unknown", "failed")


def row_facts(row: TapeRow, setting: Setting) -> tuple[tuple[str, str], ...]:
    """What a row is about."""
    language = setting.language
    return (
        (say("fact.product", language), safe_text(row.product_name, 80)),
        (say("fact.serial", language), safe_text(row.serial)),
        (say("fact.time", language), words.moment(row.at, language, setting.zone)),
    )


def _notice_lines(about: Notice, setting: Setting) -> list[str]:
    language, kind = setting.language, _kind(about)
    fields: dict[str, object] = {
        "serial": safe_text(about.serial or "?"),
        "verdict": _verdict(about, language),
        "count": safe_text(about.detail.get("count", "?")),
        "kind": safe_text(about.kind),
        "text": safe_text(about.detail.get("text", "?")),
    }
    lines = [say(f"notice.{kind}.what", language, **fields)]
    excess, others = about.detail.get("excess"), about.detail.get("others")
    if kind == "verdict" and (excess or others):
        serials = others if isinstance(others, list | tuple) else []
        listed = words.WORDS[language].joiner.join(safe_text(each) for each in serials) or "?"
        phrase = "notice.verdict.excess" if excess else "notice.verdict.related"
        known = {"excess": excess, "others": listed} if excess else {"others": listed}
        lines.append(say(phrase, language, **known))
    lines.append(say(f"notice.{kind}.then", language))
    return lines


def _verdict(about: Notice, language: Language) -> str:
    phrase = f"verdict.{about.detail.get('verdict')}"
    known = phrase in words.WORDS[language].phrases
    return say(phrase, language) if known else safe_text(about.detail.get("verdict", "?"))


def _kind(about: Notice) -> str:
    phrases = words.WORDS[Language.EN].phrases
    if about.detail.get("what") == "witness":
        return "witness"
    return about.kind if f"notice.{about.kind}.what" in phrases else "other"


def _sample_rows(setting: Setting) -> list[Row]:
    """One of each kind first: whoever tries things out sees them all on the first page."""
    chinese = setting.language is Language.ZH
    first: dict[str, Sample] = {}
    for each in setting.samples:
        first.setdefault(each.en, each)
    kinds = list(first.values())
    rest = [each for each in setting.samples if each not in kinds]
    return [
        Row((spaced(each.code), each.last4, safe_text(each.zh if chinese else each.en)))
        for each in (*kinds, *rest)
    ]


def _cut(rows: list[Row], most: int) -> list[list[Row]]:
    size = max(1, most)
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _back(language: Language) -> tuple[tuple[str, str], ...]:
    return (("-", say("do.back", language)),)


def aligned(columns: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Columns of equal width, for the line mode."""
    widths = [max(cells(row[i]) for row in columns) for i in range(len(columns[0]))]
    return [tuple(pad(each, w) for each, w in zip(row, widths, strict=True)) for row in columns]
