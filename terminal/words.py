"""What the terminal says to people: refusals, notices, status, keys, in Chinese and in English.

Responsible for: choosing the sentence that fits what is known, and writing times, counts and names
into it. Not responsible for: the words themselves (`words_en`, `words_zh`), where they stand.
Invariants: every reason and every phrase exists in both languages; a sentence never shows an empty
gap; times are shown in the merchant's time zone (decision 8); no word holds a code, last four
digits or a phone number. It loads nothing but data, so the command line may use it too.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from enum import StrEnum
from string import Formatter
from typing import Final

from terminal.errors import Trouble
from terminal.words_en import ENGLISH
from terminal.words_shape import LanguageWords, Variant
from terminal.words_zh import CHINESE
from vouchers.reasons import Refusal


class Language(StrEnum):
    """The languages of the counter."""

    ZH = "zh"
    EN = "en"

    @property
    def other(self) -> "Language":
        """The language that the language key switches to."""
        return Language.EN if self is Language.ZH else Language.ZH


CHINA: Final = timezone(timedelta(hours=8))
"""The zone where none is given: that of the default merchant, which has no summer time."""

WORDS: Final[Mapping[Language, LanguageWords]] = {Language.ZH: CHINESE, Language.EN: ENGLISH}

_EXCLUSIVE_ENDS: Final = frozenset({"expired"})
"""Reasons whose `until` is the first moment after (decision 8): people are told the last one."""


def say(key: str, language: Language, **fields: object) -> str:
    """A phrase of the screen. Raises KeyError for a key or field that does not exist."""
    return WORDS[language].phrases[key].format(**fields)


def title(refusal: Refusal, language: Language) -> str:
    """A refusal as a headline."""
    return WORDS[language].reasons[refusal.reason].title


def what(refusal: Refusal, language: Language, zone: tzinfo = CHINA) -> str:
    """What is the matter, with everything the refusal knows."""
    variants = WORDS[language].reasons[refusal.reason].what
    return _fitting(variants, _fields(refusal, language, zone))


def advice(refusal: Refusal, language: Language, zone: tzinfo = CHINA) -> str:
    """What the clerk does next."""
    variants = WORDS[language].reasons[refusal.reason].then
    return _fitting(variants, _fields(refusal, language, zone))


def message(refusal: Refusal, language: Language, zone: tzinfo = CHINA) -> str:
    """A refusal in one line: headline, what it is and what to do next."""
    words = WORDS[language]
    head = title(refusal, language)
    colon = "：" if language is Language.ZH else ": "
    parts = (what(refusal, language, zone), advice(refusal, language, zone))
    return head + colon + words.sentence_gap.join(parts)


def trouble(what: Trouble, language: Language) -> str:
    """What is out of service and what to do next; in English where no clerk can meet it."""
    if not what.phrase:
        return what.message
    return say(f"trouble.{what.phrase}", language, **what.detail)


def shares(count: int, language: Language) -> str:
    """A count of shares with its word."""
    return say("shares.one" if count == 1 else "shares.many", language, count=count)


def moment(ms: int, language: Language, zone: tzinfo = CHINA) -> str:
    """A point in time, date and clock, in the merchant's zone."""
    return _local(ms, zone).strftime(WORDS[language].date_format)


def clock(ms: int, language: Language, zone: tzinfo = CHINA) -> str:
    """A point in time of today: the clock alone."""
    return _local(ms, zone).strftime(WORDS[language].clock_format)


def day(ms: int, zone: tzinfo = CHINA) -> str:
    """A calendar day in the merchant's zone."""
    return _local(ms, zone).strftime("%Y-%m-%d")


def last_moment(exclusive_ms: int, language: Language, zone: tzinfo = CHINA) -> str:
    """The end of a half-open span (decision 8): `2024-07-31` for 1 August, 00:00."""
    end = _local(exclusive_ms, zone)
    if (end.hour, end.minute) == (0, 0):
        return day(exclusive_ms - 1, zone)
    return moment(exclusive_ms, language, zone)


def age(seconds: int, language: Language) -> str:
    """How long ago, in the largest unit that fits."""
    if seconds < 60:
        return say("age.seconds", language)
    if seconds < 3_600:
        return say("age.minutes", language, n=seconds // 60)
    if seconds < 86_400:
        return say("age.hours", language, n=seconds // 3_600)
    return say("age.days", language, n=seconds // 86_400)


def _local(ms: int, zone: tzinfo) -> datetime:
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone)
    except (ValueError, OverflowError, OSError):
        # A time beyond the calendar is a fault of whoever sent it, not a reason to stop.
        return datetime.fromtimestamp(0, UTC)


def _fields(refusal: Refusal, language: Language, zone: tzinfo) -> dict[str, object]:
    """The details of a refusal in the form in which people read them."""
    words = WORDS[language]
    fields: dict[str, object] = {}
    for name, value in refusal.detail.items():
        if name == "until" and isinstance(value, int):
            ended = refusal.reason.value in _EXCLUSIVE_ENDS
            fields[name] = (last_moment if ended else moment)(value, language, zone)
        elif name == "from" and isinstance(value, int):
            fields[name] = moment(value, language, zone)
        elif name == "weekdays" and isinstance(value, list | tuple):
            days = [words.weekdays[n - 1] for n in value if isinstance(n, int) and 1 <= n <= 7]
            fields[name] = words.joiner.join(days)
        elif name == "outlets" and isinstance(value, list | tuple):
            # Numbers mean nothing to a clerk: without names the plain sentence is used.
            fields[name] = words.joiner.join(each for each in value if isinstance(each, str))
        elif name == "terminal":
            fields["why"] = "terminal" if value else "code"
        elif isinstance(value, str | int):
            fields[name] = value
    limit = fields.get("limit")
    if fields.get("why") == "value" and isinstance(limit, int):
        fields["yuan"] = f"{limit // 100}.{limit % 100:02d}"
    return fields


def _fitting(variants: tuple[Variant, ...], fields: Mapping[str, object]) -> str:
    about = fields.get("looks_like") or fields.get("why")
    for variant in variants:
        if variant.when and variant.when != about:
            continue
        names = {name for _, name, _, _ in Formatter().parse(variant.text) if name}
        if all(fields.get(name) not in (None, "") for name in names):
            return variant.text.format(**fields)
    return variants[-1].text
