"""What stands on the main panel, for every stage of the hot path, as plain values.

Responsible for: choosing words, facts and keys for a stage; both the screen and the line mode draw
from here. Not responsible for: history, help and other lists (`pages_lists`), colours, sizes.
Invariants: every text from outside went through `safe_text`; last four digits are only counted,
never shown; a code is shown while it is typed and, masked, while the last four are asked for.
"""

from collections.abc import Sequence
from datetime import tzinfo
from enum import StrEnum

from msgspec import Struct

from terminal import words
from terminal.errors import Trouble
from terminal.kiosk.states import (
    Act,
    Asking,
    Committing,
    Done,
    Fault,
    Last4,
    Leaving,
    Looking,
    Ready,
    Refused,
    Undone,
)
from terminal.kiosk.text import safe_text, spaced
from terminal.outcomes import Place, Redeemed, Status, View
from terminal.words import Language, say
from vouchers.limits import CODE_DIGITS_MAX, LAST4_DIGITS
from vouchers.reasons import Reason, Refusal


class Mood(StrEnum):
    """What the panel as a whole says, in colour; its words say the same."""

    CALM = "calm"
    ASK = "ask"
    GOOD = "good"
    BAD = "bad"
    SPENT = "spent"
    FAULT = "fault"
    LIST = "list"


class Sample(Struct, frozen=True):
    """A voucher that the demo made: shown in the help, with its last four digits on purpose."""

    code: str
    last4: str
    zh: str
    en: str


class Setting(Struct, frozen=True):
    """Who reads the page: language, merchant's time zone, samples of a demo, sound or none."""

    language: Language
    zone: tzinfo
    samples: tuple[Sample, ...] = ()
    sound: bool = True
    cards: bool = False
    """Whether there is an ID card reader."""
    customer_language: Language = Language.EN
    """That of the customer display: Chinese only where its panel has the characters."""


class Row(Struct, frozen=True):
    """One line of a list; `chosen` is where the cursor stands, `marked` asks for attention."""

    columns: tuple[str, ...]
    chosen: bool = False
    marked: bool = False


class Page(Struct, frozen=True):
    """The panel. `big` is drawn in blocks and `word` says it; `field` is what is being typed.

    `boxes` are filled and empty boxes for digits that must not be read; `keys` what can be pressed
    now, as (key, phrase), the first being the main one.
    """

    mood: Mood
    title: str
    word: str = ""
    big: str = ""
    field: str | None = None
    boxes: tuple[bool, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    lines: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    keys: tuple[tuple[str, str], ...] = ()


SPENT: frozenset[Reason] = frozenset(
    {Reason.USED_UP, Reason.REPLACED, Reason.REFUNDED, Reason.VOIDED}
)
"""Was good once: its own colour and word, because the answer to the customer differs."""


def ready(stage: Ready, setting: Setting) -> Page:
    """Waiting for a code, or one being typed."""
    language = setting.language
    keys = (("Enter", "do.accept"), ("-", "do.cancel")) if stage.typed else ()
    rest = "_" * (CODE_DIGITS_MAX - len(stage.typed)) if stage.typed else ""
    return Page(
        Mood.CALM,
        say("ready.title", language),
        field=spaced(stage.typed + rest),
        lines=(
            say("ready.help", language),
            *((say("ready.card", language),) if setting.cards else ()),
            say("ready.samples" if setting.samples else "ready.help2", language),
        ),
        keys=_keys(keys, language),
    )


def last4(stage: Last4, setting: Setting) -> Page:
    """The last four are counted, never shown (EV-041)."""
    language = setting.language
    filled = len(stage.typed)
    return Page(
        Mood.ASK,
        say("last4.title", language),
        boxes=tuple(place < filled for place in range(LAST4_DIGITS)),
        facts=((say("last4.for", language), masked(stage.credential, language)),),
        lines=(say("last4.help", language),),
        keys=_keys((("Backspace", "do.erase"), ("-", "do.cancel")), language),
    )


def looking(_stage: Looking, setting: Setting) -> Page:
    """The counter is asked."""
    language = setting.language
    keys = _keys((("-", "do.cancel"),), language)
    lines = (say("looking.help", language),)
    return Page(Mood.ASK, say("looking.title", language), big="---", lines=lines, keys=keys)


def asking(stage: Asking, setting: Setting) -> Page:
    """What it is, what is left, how many, and the confirm key (EV-046)."""
    language, view = setting.language, stage.view
    lines: list[str] = []
    if view.max_now > 1:
        lines.append(say("asking.count", language, most=view.max_now))
    if view.max_now < view.left:
        lines.append(say("asking.some", language, most=view.max_now, left=view.left))
    single = view.left == 1 and view.shares == 1
    title = say("asking.one", language)
    if not single:
        title = say("asking.title", language, shares=stage.shares, left=view.left)
    return Page(
        Mood.ASK,
        title,
        big=str(stage.shares) if single else f"{stage.shares}/{view.left}",
        facts=view_facts(view, setting),
        lines=(*lines, say("asking.go", language)),
        keys=_keys((("+", "do.redeem"), ("-", "do.cancel")), language),
    )


def committing(stage: Committing, setting: Setting) -> Page:
    """An order without an answer: on its way, late, or of unknown outcome."""
    language = setting.language
    facts = _product(stage.product_name, language) if stage.product_name else ()
    if not stage.tries:
        help_key = "committing.late" if stage.late else "committing.help"
        title = say("committing.title", language)
        return Page(Mood.ASK, title, big="---", facts=facts, lines=(say(help_key, language),))
    lines = [say("unknown.help", language)]
    if stage.tries > 1:
        lines.append(say("unknown.tries", language, tries=stage.tries))
    return Page(
        Mood.FAULT,
        say("unknown.title", language),
        word=say("word.unknown", language),
        big="???",
        facts=facts,
        lines=tuple(lines),
        keys=_keys((("Enter", "do.ask_again"),), language),
    )


def done(stage: Done, setting: Setting) -> Page:
    """Redeemed (EV-047), what is left, and the code that took the place of the old one (EV-049)."""
    language, result = setting.language, stage.result
    facts = (
        *_product(result.product_name, language),
        (say("fact.left", language), words.shares(result.left, language)),
        (say("fact.serial", language), safe_text(result.serial)),
        (say("fact.time", language), words.moment(result.at, language, setting.zone)),
        (say("fact.mode", language), _mode(result.mode, language)),
    )
    code = result.successor_code
    return Page(
        Mood.GOOD,
        say("done.title", language, shares=result.shares),
        word=say("word.ok", language),
        big="OK",
        field=spaced(safe_text(code)) if code is not None else None,
        facts=facts,
        lines=_rest(result, language),
        keys=_keys((("Enter", "do.next"),), language),
    )


def undone(stage: Undone, setting: Setting) -> Page:
    """A redemption was taken back (decision 11)."""
    language, result = setting.language, stage.result
    return Page(
        Mood.GOOD,
        say("undone.title", language, shares=result.shares),
        word=say("word.undone", language),
        big=f"-{result.shares}",
        facts=(
            *(_product(stage.product_name, language) if stage.product_name else ()),
            (say("fact.left", language), words.shares(result.left, language)),
            (say("fact.serial", language), safe_text(result.serial)),
        ),
        lines=(say("undone.help", language),),
        keys=_keys((("Enter", "do.go_on"),), language),
    )


def refused(stage: Refused, setting: Setting) -> Page:
    """A no: what it is, what to do next, and what the voucher was if it opened."""
    language, refusal = setting.language, _named(stage.refusal, stage.view)
    spent = refusal.reason in SPENT
    keys: tuple[tuple[str, str], ...] = (("Enter", "do.go_on"),)
    closing = "refused.next"
    if stage.latched:
        keys, closing = (("-", "do.go_on"),), "refused.latched"
    elif stage.retry is not None:
        keys, closing = (("Enter", "do.retype"), ("-", "do.cancel")), "refused.retry"
    return Page(
        Mood.SPENT if spent else Mood.BAD,
        words.title(refusal, language),
        word=say("word.used" if spent else "word.no", language),
        big="NO",
        facts=view_facts(stage.view, setting) if stage.view is not None else (),
        lines=(
            words.what(refusal, language, setting.zone),
            words.advice(refusal, language, setting.zone),
            say(closing, language),
        ),
        keys=_keys(keys, language),
    )


def fault(stage: Fault, setting: Setting) -> Page:
    """The counter could not answer; nothing was done."""
    language = setting.language
    return Page(
        Mood.FAULT,
        say("fault.title", language),
        word=say("word.fault", language),
        big="STOP",
        lines=_of_fault(stage.trouble, language),
        keys=_keys((("Enter", "do.go_on"),), language),
    )


def _of_fault(trouble: Trouble, language: Language) -> tuple[str, ...]:
    said = words.trouble(trouble, language)
    if trouble.phrase:
        return say("fault.nothing", language), said
    return say("fault.help", language), say("fault.call", language), safe_text(said)


def leaving(stage: Leaving, setting: Setting) -> Page:
    """Shall the kiosk close?"""
    language = setting.language
    lines = [say("leaving.help", language)]
    if isinstance(stage.back, Committing):
        lines.append(say("leaving.open", language))
    keys = _keys((("+", "do.close"), ("-", "do.cancel")), language)
    return Page(Mood.ASK, say("leaving.title", language), big="?", lines=tuple(lines), keys=keys)


def view_facts(view: View, setting: Setting) -> tuple[tuple[str, str], ...]:
    """What a voucher is: product, what is left of it, when and where it is good (AX-14)."""
    language, zone = setting.language, setting.zone
    span = say(
        "fact.valid_span",
        language,
        **{
            "from": words.day(view.valid_from, zone),
            "until": words.last_moment(view.valid_until, language, zone),
        },
    )
    left = say("fact.left_of", language, left=view.left, shares=view.shares)
    facts = [
        *_product(view.product_name, language),
        (say("fact.left", language), left),
        (say("fact.valid", language), span),
    ]
    if view.outlets:
        facts.append((say("fact.outlets", language), outlet_names(view.outlets, language)))
    return tuple(facts)


def outlet_names(outlets: Sequence[Place], language: Language, most: int = 3) -> str:
    """Outlets by name, the first few and how many more."""
    names = words.WORDS[language].joiner.join(safe_text(each.name, 40) for each in outlets[:most])
    more = len(outlets) - most
    return say("fact.outlets_more", language, names=names, more=more) if more > 0 else names


def masked(credential: str, language: Language) -> str:
    """Enough of a code to tell two vouchers apart, not enough to use it."""
    text = credential.strip()
    if text.isascii() and text.isdigit() and len(text) <= CODE_DIGITS_MAX:
        return spaced(text[:3] + "*" * (len(text) - 3))
    return say("last4.signed" if text.startswith("HX1:") else "last4.other", language)


def main_key(act: Act) -> str:
    """The key that a page names for an action."""
    return {Act.CONFIRM: "+", Act.ACCEPT: "Enter", Act.CLEAR: "-"}.get(act, act.value)


def here(status: Status | None) -> Place | None:
    """This outlet, once the status is known."""
    return status.outlet if status is not None else None


def _rest(result: Redeemed, language: Language) -> tuple[str, ...]:
    lines = [say("done.repeated", language)] if result.repeated else []
    if result.left == 0:
        return (*lines, say("done.none_left", language))
    key = "done.rest" if result.successor_code is not None else "done.rest_sent"
    if result.code_follows:
        key = "done.rest_follows"
    return (*lines, say(key, language, left=result.left))


def _named(refusal: Refusal, view: View | None) -> Refusal:
    """Outlets by name where the voucher opened: numbers mean nothing to a clerk (AX-14)."""
    if refusal.reason is not Reason.WRONG_OUTLET or view is None or not view.outlets:
        return refusal
    names = [safe_text(each.name, 40) for each in view.outlets]
    return Refusal(refusal.reason, {**refusal.detail, "outlets": names})


def _mode(mode: str, language: Language) -> str:
    known = mode if mode in ("online", "hub", "lone") else "lone"
    return say(f"done.mode.{known}", language)


def _product(name: str, language: Language) -> tuple[tuple[str, str], ...]:
    return ((say("fact.product", language), safe_text(name, 80)),)


def _keys(keys: tuple[tuple[str, str], ...], language: Language) -> tuple[tuple[str, str], ...]:
    return tuple((cap, say(phrase, language)) for cap, phrase in keys)
