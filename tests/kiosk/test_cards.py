"""An ID card at the kiosk: answered whatever is open, chosen by hand, kept nowhere (EV-032)."""

import pytest
from msgspec.structs import replace

from terminal.kiosk.customer import customer_lines
from terminal.kiosk.events import AskCard, AskCommit, Beep, CardOpened, CardRead, Tone
from terminal.kiosk.pages import Mood, Page, Setting
from terminal.kiosk.plain import prompt_of
from terminal.kiosk.rooms import page_of
from terminal.kiosk.states import (
    Act,
    Asking,
    Choosing,
    Done,
    Last4,
    Looking,
    Ready,
    RedeemOrder,
    Refused,
)
from terminal.kiosk.till import ARM_MS
from terminal.outcomes import View
from terminal.words import CHINA, Language
from tests.kiosk.scenery import NOON, REDEEMED, SINGLE, VIEW
from tests.kiosk.test_flow import Clerk
from vouchers.reasons import Reason, Refusal

NUMBER = "11010519491231002X"  # a published example, not a person's
LATER = replace(SINGLE, handle="h2", product_name="Spa 60 min", valid_until=NOON + 9 * 86_400_000)
OVER = replace(VIEW, handle="h3", max_now=0, refusal=Refusal(Reason.REFUNDED))
LATE = replace(VIEW, handle="h4", max_now=0, refusal=Refusal(Reason.EXPIRED, {"until": NOON}))


class Reader(Clerk):
    """A clerk with a card reader."""

    def lay(self, number: str = NUMBER) -> "Reader":
        self.effects = self.flow.feed(CardRead(number, self.now))
        return self

    def opens(self, *views: View) -> "Reader":
        return self.say(views)

    def say(self, answer: tuple[View, ...] | Refusal) -> "Reader":
        assert isinstance(self.stage, Looking)
        self.effects = self.flow.feed(CardOpened(self.stage.ticket, answer, self.now))
        return self


def test_one_voucher_goes_straight_to_the_count() -> None:
    """No last four digits; the confirmation is the same as ever."""
    clerk = Reader().lay()
    (asked,) = clerk.effects
    assert isinstance(asked, AskCard) and asked.number == NUMBER
    clerk.opens(VIEW)
    assert clerk.stage == Asking(VIEW, "", clerk.now)
    clerk.type("2").now += ARM_MS
    (commit,) = clerk.press(Act.CONFIRM).effects
    assert isinstance(commit, AskCommit)
    assert commit.order == RedeemOrder("r1", VIEW.handle, 2)


def test_the_only_one_that_can_be_redeemed_is_meant() -> None:
    """Others that are over do not stand in the way."""
    assert Reader().lay().opens(LATER, OVER, LATE).stage == Asking(LATER, "", 1_000)


def test_the_clerk_chooses_by_hand() -> None:
    """8 and 2 move, Enter takes; neither a card nor a scan nor a quick key chooses."""
    clerk = Reader().lay().opens(VIEW, LATER, OVER)
    assert clerk.stage == Choosing((VIEW, LATER, OVER), 0)
    assert clerk.scan().flash == "scan_not_now"
    assert clerk.lay().flash == "card_not_now" and clerk.effects == (Beep(Tone.NOT_NOW),)
    assert clerk.press(Act.ACCEPT, fast=True).flash == "too_fast"
    assert clerk.press(Act.CONFIRM).flash == "nothing_to_confirm"
    assert clerk.press(Act.HISTORY).flash == "finish_first"
    clerk.type("8").type("2")
    assert clerk.stage == Choosing((VIEW, LATER, OVER), 1)
    clerk.press(Act.ACCEPT)
    assert clerk.stage == Asking(LATER, "", clerk.now)
    assert clerk.press(Act.CONFIRM).flash == "too_early", "Enter twice is no confirmation"


def test_a_voucher_that_is_over_says_why() -> None:
    """Chosen from the list, or the only one there is; what is spent holds the screen."""
    clerk = Reader().lay().opens(OVER, LATE).type("3").press(Act.ACCEPT)
    assert clerk.stage == Refused(LATE.refusal, LATE)  # type: ignore[arg-type]
    clerk.lay().opens(OVER)
    assert isinstance(clerk.stage, Refused) and clerk.stage.latched
    assert clerk.lay().flash == "clear_first"


def test_a_card_that_opens_nothing_is_not_typed_again() -> None:
    """There is nothing to retype: Enter leads to the next customer."""
    refusal = Refusal(Reason.UNKNOWN_OR_WRONG, {"why": "card"})
    clerk = Reader().lay().say(refusal)
    assert clerk.stage == Refused(refusal, retry=None)
    assert clerk.press(Act.ACCEPT).stage == Ready()


@pytest.mark.parametrize("open_now", ["typed", "asking", "committing", "looking"])
def test_a_card_at_the_wrong_moment_is_answered(open_now: str) -> None:
    """Never swallowed, never an answer to the question that is open."""
    clerk = Reader()
    match open_now:
        case "typed":
            clerk.scan().type("12")
        case "asking":
            clerk.asking()
        case "committing":
            clerk.confirmed()
        case _:
            clerk.lay()
    before = clerk.stage
    assert clerk.lay().flash == "card_not_now" and clerk.stage == before
    assert clerk.effects == (Beep(Tone.NOT_NOW),)


def test_a_card_takes_the_place_of_a_code_without_digits() -> None:
    """As another scan would; a page that is only read is left."""
    clerk = Reader().scan()
    assert isinstance(clerk.stage, Last4) and isinstance(clerk.lay().stage, Looking)
    assert isinstance(Reader().press(Act.HELP), Reader)
    clerk = Reader()
    clerk.press(Act.HELP)
    assert isinstance(clerk.lay().stage, Looking)


def test_a_card_without_a_usable_number_is_said_to_be_one() -> None:
    """A permit of another layout: whatever is on the screen stays."""
    clerk = Reader()
    clerk.press(Act.HELP)
    before = clerk.stage
    assert clerk.lay("").flash == "card_unreadable" and clerk.stage == before


def test_leaving_the_choice() -> None:
    """By hand, or by nobody answering for two minutes."""
    clerk = Reader().lay().opens(VIEW, LATER)
    assert clerk.press(Act.CLEAR).stage == Ready() and clerk.flash == "cancelled"
    clerk.lay().opens(VIEW, LATER).wait(120_000)
    assert clerk.stage == Ready() and clerk.flash == "idle"


def test_the_number_is_in_no_text_of_a_value() -> None:
    """Stages hold none; events and questions show none."""
    clerk = Reader()
    assert NUMBER not in repr(CardRead(NUMBER, 1)) + repr(AskCard(1, NUMBER))
    assert isinstance(clerk.lay().stage, Looking) and clerk.stage.credential == ""


def page(stage: object, language: Language) -> Page:
    shown = Reader().flow.shown
    setting = Setting(language, CHINA, cards=True)
    return page_of(replace(shown, stage=stage), setting, 10)


@pytest.mark.parametrize("language", list(Language))
def test_what_stands_on_the_page(language: Language) -> None:
    """What each is, what is left, until when, and whether; the page is a list like the history."""
    shown = page(Choosing((VIEW, LATER, OVER), 1), language)
    assert shown.mood is Mood.LIST and "3" in shown.title
    names = [row.columns[0] for row in shown.rows]
    assert names == [VIEW.product_name, LATER.product_name, OVER.product_name]
    assert [row.chosen for row in shown.rows] == [False, True, False]
    assert [row.marked for row in shown.rows] == [False, False, True]
    assert shown.rows[0].columns[2] == "2024-07-31"
    assert [cap for cap, _ in shown.keys] == ["Enter", "8/2", "-"]
    assert prompt_of(Choosing((VIEW, LATER))) == "plain.prompt.choose"
    assert customer_lines(Choosing((VIEW,)), language) == customer_lines(
        Looking(1, "", 0), language
    )
    follows = page(
        Done(replace(REDEEMED, successor_code=None, code_follows=True), 0), language
    ).lines
    hidden = page(Done(replace(REDEEMED, successor_code=None), 0), language).lines
    assert follows != hidden, "sent already, or sent when central hears of it"
    card = "ID card" if language is Language.EN else "身份证"
    assert any(card in line for line in page(Ready(), language).lines)
