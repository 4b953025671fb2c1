"""One thing that the doctor can say.

Responsible for: a colour and the words in both languages. Not responsible for: which there are
(`phrases`, `phrases_devices`).
"""

from dataclasses import dataclass
from enum import StrEnum

from terminal.words import Language


class Level(StrEnum):
    """Green: good. Amber: it works, with a limit or a risk. Red: something does not work."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"


@dataclass(frozen=True, slots=True)
class Phrase:
    """A finding's colour, and for Chinese and English what it is and what to do."""

    level: Level
    zh: str
    en: str
    zh_todo: str = ""
    en_todo: str = ""

    def message(self, language: Language) -> str:
        """What it is."""
        return self.zh if language is Language.ZH else self.en

    def todo(self, language: Language) -> str:
        """What to do, empty when there is nothing to do."""
        return self.zh_todo if language is Language.ZH else self.en_todo
