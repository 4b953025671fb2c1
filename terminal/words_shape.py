"""The shape of a language: what every language must be able to say.

Responsible for: the types that `words_en` and `words_zh` fill in. Not responsible for: the words.
Invariant: a sentence is chosen by the fields that are known, so no sentence shows an empty gap.
"""

from collections.abc import Mapping

from msgspec import Struct

from vouchers.reasons import Reason


class Variant(Struct, frozen=True):
    """One way to say something. It is used when every name in `{}` is known.

    `when` narrows it further: it is compared with the detail `why` or `looks_like`.
    """

    text: str
    when: str = ""


class ReasonWords(Struct, frozen=True):
    """A refusal for a clerk: `title` for the headline, `what` happened, what to do `then`.

    The last variant of `what` and of `then` needs no field: it can always be said.
    """

    title: str
    what: tuple[Variant, ...]
    then: tuple[Variant, ...]


class LanguageWords(Struct, frozen=True):
    """Everything one language says. Both languages have the same keys (a test holds them to it)."""

    reasons: Mapping[Reason, ReasonWords]
    phrases: Mapping[str, str]
    weekdays: tuple[str, ...]
    joiner: str
    sentence_gap: str
    clock_format: str
    date_format: str
