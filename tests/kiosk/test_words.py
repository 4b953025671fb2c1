"""The words are complete, in both languages, and never show a gap or a secret."""

import ast
import re
import string
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from terminal import words
from terminal.errors import JournalOut, ScanAgain, Trouble
from terminal.kiosk.actions import ACTIONS
from terminal.kiosk.states import (
    UNDO_REASONS,
)
from terminal.words import Language
from vouchers.reasons import Reason, Refusal

DOCS = Path(__file__).parents[2] / "docs"
LANGUAGES = list(Language)
JULY_END = 1_722_441_600_000  # 2024-07-31T16:00:00Z, which is 1 August 00:00 in Shanghai

DETAILS: list[dict[str, object]] = [
    {},
    {"looks_like": "mobile"},
    {"looks_like": "payment"},
    {"looks_like": "id_card"},
    {"looks_like": "goods"},
    {"looks_like": "link"},
    {"looks_like": "last4"},
    {"looks_like": "empty"},
    {"looks_like": "text"},
    {"looks_like": "length"},
    {"looks_like": "length", "digits": 5},
    {"until": JULY_END},
    {"from": JULY_END},
    {"minutes": 10, "why": "minutes"},
    {"why": "shift"},
    {"why": "settled"},
    {"terminal": False, "until": JULY_END},
    {"terminal": True, "until": JULY_END},
    {"outlets": ["徐家汇店", "静安店"]},
    {"outlets": [1, 2]},
    {"weekdays": [1, 2, 7]},
    {"left": 3},
    {"why": "unseen", "left": 3},
    {"why": "horizon", "left": 3},
    {"why": "allowance", "left": 0},
    {"why": "count", "limit": 50},
    {"why": "value", "limit": 2_000_000},
    {"why": "time", "limit": 72},
    {"shares": 2},
]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_words_with_any_detail(reason: Reason, language: Language) -> None:
    """Whatever the detail holds, a whole sentence comes out: no brace, no gap, no None."""
    for detail in DETAILS:
        text = words.message(Refusal(reason, detail), language)
        assert words.title(Refusal(reason), language) in text
        assert not set("{}") & set(text) and "None" not in text and "  " not in text
        assert text.endswith(("。", ".", "hexiao doctor"))


@pytest.mark.parametrize("reason", list(Reason))
def test_the_languages_differ_and_say_equally_much(reason: Reason) -> None:
    """Chinese is Chinese, English is English, and a variant of one exists in the other."""
    chinese, english = (words.WORDS[each].reasons[reason] for each in LANGUAGES)
    assert chinese.title != english.title
    assert any("一" <= each <= "鿿" for each in chinese.title)
    assert english.title.isascii()
    for ours, theirs in ((chinese.what, english.what), (chinese.then, english.then)):
        assert [v.when for v in ours] == [v.when for v in theirs]
        assert [_names(v.text) for v in ours] == [_names(v.text) for v in theirs]
        assert not ours[-1].when and not _names(ours[-1].text)


def test_every_phrase_exists_in_both_languages_with_the_same_fields() -> None:
    """No key is missing anywhere, and both languages are given the same fields."""
    chinese, english = (words.WORDS[each].phrases for each in LANGUAGES)
    assert set(chinese) == set(english)
    for key in chinese:
        assert _names(chinese[key]) == _names(english[key]), key
        assert english[key].isascii() or key == "key.language"


def test_no_two_phrases_of_one_table_share_a_key() -> None:
    """A key that stood in two tables would be overwritten silently."""
    for language in ("zh", "en"):
        text = Path(words.__file__).with_name(f"words_{language}_screen.py").read_text("utf-8")
        keys = [line.split('"')[1] for line in text.splitlines() if line.startswith('    "')]
        keys = [key for key in keys if " " not in key]
        assert len(keys) == len(set(keys))


def _troubles() -> list[Trouble]:
    """Every error that the terminal raises with words for a clerk: its phrase and its fields."""
    kinds = {"OutOfService": "", "JournalOut": JournalOut.phrase, "ScanAgain": ScanAgain.phrase}
    found = []
    for path in (DOCS.parent / "terminal").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            phrase = kinds.get(node.func.id, "")
            if node.func.id in kinds and len(node.args) > 1:
                phrase = str(ast.literal_eval(node.args[1]))
            if phrase:
                detail = {str(keyword.arg): 7 for keyword in node.keywords}
                found.append(Trouble("said to who repairs it", phrase, detail))
    return found


def test_every_trouble_that_a_clerk_can_meet_is_said_in_both_languages() -> None:
    """And no words are there that nobody says."""
    troubles = _troubles()
    said = {words.trouble(one, language) for one in troubles for language in Language}
    assert len(said) == 2 * len({one.phrase for one in troubles}) > 20
    phrases = {f"trouble.{one.phrase}" for one in troubles}
    assert phrases == {
        key for key in words.WORDS[Language.ZH].phrases if key.startswith("trouble.")
    }
    assert words.trouble(Trouble("as it is"), Language.ZH) == "as it is"


def test_every_undo_reason_has_words() -> None:
    """Decision 11: the closed list."""
    for language in LANGUAGES:
        assert len({words.say(f"undo.{each}", language) for each in UNDO_REASONS}) == 6


def test_times_are_shown_in_the_zone_of_the_merchant() -> None:
    """Decision 8: validity is half-open, so people read the last day, not the first after."""
    expired = Refusal(Reason.EXPIRED, {"until": JULY_END})
    assert "2024-07-31 " not in words.message(expired, Language.EN)
    assert "2024-07-31" in words.message(expired, Language.EN)
    paris = words.message(expired, Language.EN, ZoneInfo("Europe/Paris"))
    assert "2024-07-31 18:00" in paris
    locked = Refusal(Reason.LOCKED, {"until": JULY_END})
    assert "2024-08-01 00:00" in words.message(locked, Language.ZH)


def test_a_good_voucher_at_the_wrong_outlet_says_where_it_is_good() -> None:
    """AX-14: names when they are known, a plain sentence when only numbers are."""
    here = Refusal(Reason.WRONG_OUTLET, {"outlets": ["徐家汇店", "静安店"]})
    assert "徐家汇店、静安店" in words.message(here, Language.ZH)
    numbers = words.message(Refusal(Reason.WRONG_OUTLET, {"outlets": [1, 2]}), Language.ZH)
    assert "[" not in numbers and "本店不适用" in numbers


def test_a_limit_in_fen_is_said_in_yuan() -> None:
    """Money is fen inside and yuan in front of people."""
    limit = Refusal(Reason.OFFLINE_LIMIT, {"why": "value", "limit": 2_000_050})
    assert "20000.50" in words.message(limit, Language.EN)


@pytest.mark.parametrize(
    ("seconds", "zh", "en"),
    [
        (0, "最新", "now"),
        (60, "1 分钟前", "1 min"),
        (7_200, "2 小时前", "2 h"),
        (172_800, "2 天前", "2 d"),
    ],
)
def test_an_age_is_said_in_its_largest_unit(seconds: int, zh: str, en: str) -> None:
    """The age of the replica in the status line."""
    assert words.age(seconds, Language.ZH) == zh
    assert words.age(seconds, Language.EN) == en


def test_an_absurd_time_does_not_stop_the_screen() -> None:
    """A time beyond the calendar is shown as the beginning of it."""
    assert words.moment(10**18, Language.EN).startswith("1970")


def test_the_document_has_every_reason_in_both_languages() -> None:
    """docs/refusals.md documents the closed list, in order, with the words that are shown."""
    text = (DOCS / "refusals.md").read_text("utf-8")
    found = [line[5:-1] for line in text.splitlines() if line.startswith("### `")]
    assert found == [reason.value for reason in Reason]
    for language in LANGUAGES:
        for reason in Reason:
            said = words.WORDS[language].reasons[reason]
            assert f"**{said.title}**" in text
            assert all(v.text in text for v in (*said.what, *said.then)), reason


def _names(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_the_clerk_guide_has_every_key_and_every_picture() -> None:
    """docs/clerk.md is read by a test: keys as in the actions, words as on the screen."""
    text = (DOCS / "clerk.md").read_text("utf-8")
    for action in ACTIONS:
        for cap in action.caps.split():
            assert text.count(f"`{cap}`") >= 2, cap
    for language in LANGUAGES:
        for key in ("word.ok", "word.no", "word.used", "word.fault", "word.unknown"):
            assert words.say(key, language) in text
    for name in re.findall(r"\((pictures/[^)]+)\)", text):
        assert (DOCS / name).read_text("utf-8").startswith("<svg")
