"""The lines around the panel: status, stripe, flash, tape and key bar.

Responsible for: what stands in them and what gives way when the window is narrow. Not responsible
for: the panel, colours. Pure. Invariant: one line each (the tape: as many as it is given), never
wider than asked; what is wrong is said in words, not in colour alone.
"""

from terminal import words
from terminal.kiosk.actions import ACTIONS
from terminal.kiosk.pages import Setting
from terminal.kiosk.pages_lists import needs_attention, notice_title, tape_columns
from terminal.kiosk.panel import Line, Span, Style, column_widths
from terminal.kiosk.states import Shown
from terminal.kiosk.text import cells, cut, pad, safe_text
from terminal.outcomes import Status
from terminal.words import say

_ROOMY = 100
"""From so many columns on, what is well is said of every device."""

_FINE = {
    "network": frozenset({"online", "none"}),
    "printer": frozenset({"ready", "none", "starting"}),
    "reader": frozenset({"ready"}),
}


def status_line(shown: Shown, setting: Setting, width: int, now_ms: int) -> Line:
    """Where, who, and how network, data, journal and printer are."""
    language, status = setting.language, shown.status
    if status is None:
        return (Span(f" {say('status.starting', language)}", Style.DIM),)
    clerk = safe_text(status.clerk, 20) if status.clerk else ""
    who = say("status.clerk", language, clerk=clerk) if clerk else say("status.no_clerk", language)
    place = safe_text(status.outlet.name, 40)
    right = _condition(status, setting, width)
    right.append(Span(words.clock(now_ms, language, setting.zone)))
    while sum(cells(span.text) + 2 for span in right) > width - 12 and len(right) > 1:
        fine = [i for i, span in enumerate(right) if span.style is not Style.MARK]
        right.pop(fine[-1] if fine else -1)
    right_cells = sum(cells(span.text) + 2 for span in right) - 1
    left = pad(f" {place} {safe_text(status.posid, 16)}  {who}", width - right_cells - 2)
    spaced = [each for span in right for each in (span, Span("  "))][:-1]
    return (Span(left, Style.STRONG), Span("  "), *spaced, Span(" "))


def stripe(shown: Shown, setting: Setting, width: int) -> Line:
    """What a person should know or do, one line; empty when there is nothing."""
    language, status = setting.language, shown.status
    if status is None:
        return ()
    says: list[str] = []
    if status.locked_until is not None:
        until = words.clock(status.locked_until, language, setting.zone)
        says.append(say("stripe.locked", language, until=until))
    if status.notices:
        first = notice_title(status.notices[0], language)
        says.append(say("stripe.notices", language, n=len(status.notices), first=first))
    if status.clock != "ok":
        says.append(say("stripe.clock", language))
    if status.offline_left is not None:
        says.append(say("stripe.offline", language, n=status.offline_left))
    if status.offline_hours is not None:
        says.append(say("stripe.hours", language, n=status.offline_hours))
    if status.offline_value_fen is not None:
        says.append(say("stripe.value", language, yuan=status.offline_value_fen // 100))
    return (Span(pad("  " + "  ".join(says), width)),) if says else ()


def flash_line(shown: Shown, setting: Setting, width: int) -> Line:
    """What is said in passing."""
    if shown.flash is None:
        return ()
    text = say(shown.flash.key, setting.language, **shown.flash.fields)
    return (Span(pad("  " + text, width)),)


def tape(shown: Shown, setting: Setting, width: int, height: int) -> list[Line]:
    """The last redemptions and reversals under their title."""
    language = setting.language
    title: Line = (Span(f"  {say('tape.title', language)}", Style.DIM),)
    if not shown.tape:
        nothing: Line = (Span(f"  {say('tape.empty', language)}", Style.DIM),)
        return [title, nothing][:height]
    rows = shown.tape[: max(0, height - 1)]
    columns = [tape_columns(row, setting) for row in rows]
    if not columns:
        return [title][:height]
    widths = column_widths(columns, width - 4)
    lines: list[Line] = []
    for row, values in zip(rows, columns, strict=True):
        text = "  ".join(pad(value, w) for value, w in zip(values, widths, strict=False))
        lines.append((Span("  "), Span(text, Style.MARK if needs_attention(row) else Style.PLAIN)))
    return [title, *lines]


def key_bar(setting: Setting, width: int) -> Line:
    """The keys that always mean the same, in constant places."""
    spans: list[Span] = [Span(" ")]
    used = 1
    for action in ACTIONS:
        if not action.on_bar:
            continue
        label = say(action.label, setting.language)
        used += cells(action.caps) + cells(label) + 3
        if used > width:
            break
        spans += [Span(f" {action.caps} ", Style.CAP), Span(f"{label} ")]
    return tuple(spans)


def _condition(status: Status, setting: Setting, width: int) -> list[Span]:
    language = setting.language
    age = say("replica.none", language)
    if status.replica_age_s is not None:
        age = say("replica.age", language, age=words.age(status.replica_age_s, language))
    unsent = say("unsent.none", language)
    if status.unacknowledged:
        unsent = say("unsent.some", language, n=status.unacknowledged)
    spans = [_state("network", status.network, setting)]
    if status.network != "none":
        spans += [Span(age), Span(unsent)]
    spans.append(_state("printer", status.printer, setting))
    if status.scanner in ("lost", "not_set_up"):
        spans.append(Span(say(f"scanner.{status.scanner}", language), Style.MARK))
    # Where there is little room a card reader is named only when something is wrong with it.
    if status.reader != "none" and (width >= _ROOMY or status.reader not in _FINE["reader"]):
        spans.append(_state("reader", status.reader, setting))
    return spans


def _state(what: str, value: str, setting: Setting) -> Span:
    phrase = f"{what}.{value}"
    known = phrase in words.WORDS[setting.language].phrases
    text = say(phrase, setting.language) if known else cut(safe_text(value), 16)
    return Span(text, Style.PLAIN if value in _FINE[what] else Style.MARK)
