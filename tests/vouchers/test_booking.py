"""Booking at central: who comes first, who bears the excess, and what undoing changes."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from vouchers.booking import (
    FLAG_CLOCK,
    FLAG_OFFLINE_LONG,
    FLAG_RELATED,
    Booking,
    Judgement,
    Use,
    Verdict,
    VoucherFacts,
    book,
    is_plain,
    rank,
)
from vouchers.entries import Kind

HOME, OTHER, STRANGE = 1, 2, 3
DAY, MINUTE = 86_400_000, 60_000
FROM, UNTIL = 100 * DAY, 200 * DAY
FACTS = VoucherFacts(3, 0, FROM, UNTIL, frozenset({HOME, OTHER}), HOME)
UNHOMED = VoucherFacts(3, 0, FROM, UNTIL, frozenset({HOME, OTHER}), None)


def a_use(serial: str, arrival: int, shares: int = 1, **changes: Any) -> Use:
    """A lone redemption at a shop that is not the voucher's home; the serial names the terminal."""
    given: dict[str, Any] = {
        "kind": Kind.REDEEMED,
        "posid": serial[0],
        "outlet": OTHER,
        "after": 1,
        "at": FROM + DAY,
    }
    return Use(serial=serial, arrival=arrival, shares=shares, **{**given, **changes})


def undo(serial: str, arrival: int, original: str, shares: int = 1, **changes: Any) -> Use:
    """A reversal by the terminal that its serial names."""
    given = {"kind": Kind.REVERSED, "reverses": original, **changes}
    return a_use(serial, arrival, shares, **given)


def verdicts(booking: Booking) -> dict[str, str]:
    return {one.serial: str(one.verdict) for one in booking.judgements}


def of(booking: Booking, serial: str) -> Judgement:
    (found,) = [one for one in booking.judgements if one.serial == serial]
    return found


def test_the_verdicts_are_those_of_the_contract() -> None:
    """Design section 7: the closed list of verdicts and flags."""
    listed = (
        "accepted, over_redeemed, late, after_refund, unknown_voucher, wrong_outlet, "
        "bad_signature, reversal_late, nothing_to_reverse, reversal_mismatch, quarantined"
    )
    assert [str(verdict) for verdict in Verdict] == listed.split(", ")
    assert {FLAG_CLOCK, FLAG_RELATED, FLAG_OFFLINE_LONG} == {
        "clock_suspect",
        "related",
        "offline_long",
    }


def test_nothing_used_books_to_nothing() -> None:
    """Design section 7: used and generation are what follows from the entries, here none."""
    assert book(FACTS, []) == Booking(0, 0, (), frozenset())


def test_within_the_shares_all_are_accepted() -> None:
    """Design section 7: used is the sum of net shares, generation the highest that follows."""
    uses = [a_use("a1", 1, 2, after=1), a_use("a2", 2, 1, after=3), a_use("b1", 3, 0, after=2)]
    booking = book(FACTS, uses[:2])
    assert verdicts(booking) == {"a1": "accepted", "a2": "accepted"}
    assert (booking.used, booking.generation, booking.reversed) == (3, 3, frozenset())
    assert all(one.flags == frozenset() and one.others == () for one in booking.judgements)
    assert book(FACTS, uses).generation == 3


def test_an_outlet_that_cannot_have_heard_is_not_blamed() -> None:
    """A product that was taken from an outlet: what was made there before the news must have come
    is accepted, what came later is not, whenever it is booked.
    """
    gone = 9
    good, former = frozenset({HOME, OTHER}), {gone: FROM + 500}
    facts = VoucherFacts(3, 0, FROM, UNTIL, good, HOME, former)
    early, late = (a_use(f"u{n}", n, at=FROM + at, outlet=gone) for n, at in ((1, 499), (2, 500)))
    for uses in ([early, late], [late, early]):
        assert verdicts(book(facts, uses)) == {"u1": "accepted", "u2": "wrong_outlet"}
    assert verdicts(book(FACTS, [early])) == {"u1": "wrong_outlet"}


def test_a_stale_generation_is_no_verdict() -> None:
    """Design section 7: two counters that presented the same code are both right inside 3."""
    booking = book(FACTS, [a_use("a1", 1, after=1), a_use("b1", 2, after=1)])
    assert verdicts(booking) == {"a1": "accepted", "b1": "accepted"}
    assert (booking.used, booking.generation) == (2, 1)


IN_ORDER = [
    a_use("c1", 9, 3, claimed=True, mode="online"),
    a_use("h1", 8, 3, outlet=HOME),
    a_use("u1", 7, 3, mode="hub"),
    a_use("l1", 5, 3, mode="online"),  # a claim that central does not know raises no rank
    a_use("l2", 6, 3),
]


@pytest.mark.parametrize("dropped", range(4))
def test_claim_then_home_then_hub_then_lone_then_arrival(dropped: int) -> None:
    """Design section 7: the best-placed entry stands, whichever came first."""
    uses = IN_ORDER[dropped:]
    for shuffled in permutations(uses):
        booking = book(FACTS, shuffled)
        found = verdicts(booking)
        assert found.pop(uses[0].serial) == "accepted"
        assert set(found.values()) == {"over_redeemed"}


def test_the_place_of_a_claim_does_not_depend_on_home_or_mode() -> None:
    """Design section 7: an entry with a claim comes first also as lone; home before hub."""
    assert rank(a_use("c1", 4, claimed=True), FACTS) == (0, 4)
    assert rank(a_use("c2", 5, claimed=True, outlet=HOME), FACTS) == (0, 5)
    assert rank(a_use("h1", 1, outlet=HOME, mode="hub"), FACTS)[0] == 1
    assert rank(a_use("h2", 1, outlet=HOME, mode="hub"), UNHOMED)[0] == 2
    assert rank(a_use("l1", 1, outlet=HOME), UNHOMED)[0] == 3


def test_a_better_placed_entry_changes_a_verdict_later() -> None:
    """Design section 7: verdicts may change when a better-placed entry arrives later."""
    lone = a_use("a1", 1, 2)
    assert verdicts(book(FACTS, [lone])) == {"a1": "accepted"}
    booking = book(FACTS, [lone, a_use("h1", 2, 2, outlet=HOME)])
    assert verdicts(booking) == {"a1": "over_redeemed", "h1": "accepted"}
    assert of(booking, "a1").excess == 1


def test_the_one_that_crosses_bears_the_excess() -> None:
    """Design section 7: over_redeemed with excess and others; the others stay, marked related."""
    uses = [a_use("a1", 1, 2), a_use("b1", 2, 2, flags=frozenset({FLAG_CLOCK})), a_use("d1", 3, 4)]
    booking = book(FACTS, uses)
    assert of(booking, "a1") == Judgement("a1", Verdict.ACCEPTED, frozenset({FLAG_RELATED}))
    assert of(booking, "b1") == Judgement(
        "b1", Verdict.OVER_REDEEMED, frozenset({FLAG_CLOCK}), 1, ("a1", "d1")
    )
    assert of(booking, "d1") == Judgement("d1", Verdict.OVER_REDEEMED, frozenset(), 4, ("a1", "b1"))
    assert booking.used == 8


def test_exactly_all_is_not_too_much() -> None:
    """Design section 7: the limit itself is not crossed."""
    booking = book(FACTS, [a_use("a1", 1, 2), a_use("b1", 2, 1)])
    assert verdicts(booking) == {"a1": "accepted", "b1": "accepted"}
    assert of(booking, "a1").flags == frozenset()


def test_related_is_told_to_a_late_one_too() -> None:
    """Design section 7: both counters are told, whatever else was wrong with theirs."""
    late = a_use("a1", 1, 2, at=UNTIL + DAY, flags=frozenset({FLAG_OFFLINE_LONG}))
    booking = book(FACTS, [late, a_use("b1", 2, 2)])
    assert of(booking, "a1").verdict is Verdict.LATE
    assert of(booking, "a1").flags == {FLAG_OFFLINE_LONG, FLAG_RELATED}


def test_after_a_refund_is_not_over_redeemed() -> None:
    """Decision 4: what was refunded and then used is after_refund; beyond the bought is over."""
    facts = VoucherFacts(3, 2, FROM, UNTIL, frozenset({OTHER}), None)
    booking = book(facts, [a_use("a1", 1), a_use("b1", 2), a_use("d1", 3)])
    assert verdicts(booking) == {"a1": "accepted", "b1": "after_refund", "d1": "after_refund"}
    assert of(booking, "b1") == Judgement("b1", Verdict.AFTER_REFUND, frozenset(), 1, ("a1", "d1"))
    assert of(booking, "a1").flags == frozenset()
    more = book(facts, [a_use("a1", 1), a_use("b1", 2), a_use("d1", 3, 2)])
    assert verdicts(more) == {"a1": "accepted", "b1": "after_refund", "d1": "over_redeemed"}
    assert of(more, "d1").excess == 2


def test_a_redemption_before_the_refund_stands() -> None:
    """Decision 4: the refund pays only what was left, so an earlier use bears nothing."""
    facts = VoucherFacts(3, 2, FROM, UNTIL, frozenset({OTHER}), None)
    assert verdicts(book(facts, [a_use("a1", 1)])) == {"a1": "accepted"}


def test_one_entry_bears_refunded_and_excess_shares() -> None:
    """Decision 4: an entry across both limits is over_redeemed and bears all of it."""
    facts = VoucherFacts(3, 1, FROM, UNTIL, frozenset({OTHER}), None)
    booking = book(facts, [a_use("a1", 1, 1), a_use("b1", 2, 3)])
    assert of(booking, "b1") == Judgement("b1", Verdict.OVER_REDEEMED, frozenset(), 2, ("a1",))


@pytest.mark.parametrize(
    ("at", "verdict"),
    [
        (FROM - 10 * MINUTE - 1, "late"),
        (FROM - 10 * MINUTE, "accepted"),
        (UNTIL + 10 * MINUTE - 1, "accepted"),
        (UNTIL + 10 * MINUTE, "late"),
    ],
)
def test_ten_minutes_of_tolerance(at: int, verdict: str) -> None:
    """Decision 8: a recorded time may miss the validity by ten minutes, half-open."""
    assert verdicts(book(FACTS, [a_use("a1", 1, at=at)])) == {"a1": verdict}


def test_the_wrong_outlet_is_said_before_late() -> None:
    """EV-020, AX-10: a use at an outlet that is not the product's, and it still counts."""
    booking = book(FACTS, [a_use("a1", 1, outlet=STRANGE, at=UNTIL + DAY)])
    assert verdicts(booking) == {"a1": "wrong_outlet"}
    assert booking.used == 1


def test_a_reversal_gives_the_shares_back() -> None:
    """Decision 11, AX-08: the successor stays the current code, the shares return."""
    booking = book(FACTS, [a_use("a1", 1, 2, after=1), undo("a2", 2, "a1", 2, after=1)])
    assert verdicts(booking) == {"a1": "accepted", "a2": "accepted"}
    assert (booking.used, booking.generation, booking.reversed) == (0, 1, frozenset({"a1"}))


def test_a_reversal_frees_the_other_counter() -> None:
    """Design section 7: undoing one of two that collided leaves nothing to bear."""
    first, second = a_use("a1", 1, 2), a_use("b1", 2, 2)
    assert verdicts(book(FACTS, [first, second]))["b1"] == "over_redeemed"
    booking = book(FACTS, [first, second, undo("a2", 3, "a1", 2)])
    assert verdicts(booking) == {"a1": "accepted", "b1": "accepted", "a2": "accepted"}
    assert of(booking, "b1") == Judgement("b1", Verdict.ACCEPTED, frozenset())
    assert booking.used == 2


def test_an_undone_over_redemption_is_accepted() -> None:
    """Decision 11: an excess that was undone is borne by nobody; a late one stays late."""
    uses = [a_use("a1", 1, 3), a_use("b1", 2, 2), undo("b2", 3, "b1", 2)]
    assert verdicts(book(FACTS, uses)) == {"a1": "accepted", "b1": "accepted", "b2": "accepted"}
    uses[1] = a_use("b1", 2, 2, at=UNTIL + DAY)
    assert verdicts(book(FACTS, uses))["b1"] == "late"


@pytest.mark.parametrize(
    ("reversal", "verdict"),
    [
        (undo("a2", 2, "a9"), "nothing_to_reverse"),
        (undo("a2", 2, "a1", reverses=None), "nothing_to_reverse"),
        (undo("a2", 2, "a1", 1), "reversal_mismatch"),
        (undo("a2", 2, "a1", 3), "reversal_mismatch"),
        (undo("b1", 2, "a1", 2), "reversal_mismatch"),
        (undo("a2", 2, "a2", 2), "nothing_to_reverse"),
    ],
)
def test_a_reversal_that_does_not_fit_changes_nothing(reversal: Use, verdict: str) -> None:
    """AX-04, AX-06, AX-09: the serial, the count and the device must be the redemption's."""
    booking = book(FACTS, [a_use("a1", 1, 2), reversal])
    assert verdicts(booking) == {"a1": "accepted", reversal.serial: verdict}
    assert (booking.used, booking.reversed) == (2, frozenset())


def test_a_settled_redemption_is_not_reversed() -> None:
    """AX-07, decision 11: inside a closed payout statement the reversal is late."""
    booking = book(FACTS, [a_use("a1", 1, settled=True), undo("a2", 2, "a1")])
    assert verdicts(booking) == {"a1": "accepted", "a2": "reversal_late"}
    assert booking.used == 1
    wrong = book(FACTS, [a_use("a1", 1, 2, settled=True), undo("a2", 2, "a1", 1)])
    assert verdicts(wrong)["a2"] == "reversal_mismatch"


def test_a_second_reversal_finds_nothing() -> None:
    """AX-05: shares return once, however often a reversal is written."""
    uses = [a_use("a1", 1, 2), undo("a2", 2, "a1", 2), undo("a3", 3, "a1", 2)]
    booking = book(FACTS, uses)
    assert verdicts(booking) == {
        "a1": "accepted",
        "a2": "accepted",
        "a3": "nothing_to_reverse",
    }
    assert booking.used == 0


def test_a_reversal_keeps_its_flags() -> None:
    """Design section 7: flags stand beside the verdict, also of a reversal."""
    flags = frozenset({FLAG_CLOCK})
    booking = book(FACTS, [a_use("a1", 1), undo("a2", 2, "a1", flags=flags)])
    assert of(booking, "a2").flags == flags


def test_a_barred_entry_counts_for_nothing() -> None:
    """Design section 7: a bad signature is kept with its verdict and moves no share."""
    flags = frozenset({FLAG_CLOCK})
    barred = a_use("x1", 1, 3, after=9, barred=Verdict.BAD_SIGNATURE, flags=flags)
    booking = book(FACTS, [barred, a_use("a1", 2, 3)])
    assert of(booking, "x1") == Judgement("x1", Verdict.BAD_SIGNATURE, flags)
    assert of(booking, "a1") == Judgement("a1", Verdict.ACCEPTED, frozenset())
    assert (booking.used, booking.generation) == (3, 1)


def test_a_barred_redemption_cannot_be_reversed_nor_a_barred_reversal_undo() -> None:
    """AX-06: what does not count cannot be undone, and does not undo."""
    barred = a_use("a1", 1, barred=Verdict.QUARANTINED)
    assert verdicts(book(FACTS, [barred, undo("a2", 2, "a1")]))["a2"] == "nothing_to_reverse"
    back = undo("a2", 2, "a1", barred=Verdict.QUARANTINED)
    booking = book(FACTS, [a_use("a1", 1), back])
    assert verdicts(booking) == {"a1": "accepted", "a2": "quarantined"}
    assert booking.used == 1


def test_judgements_come_in_the_order_of_arrival() -> None:
    """Design section 7: whatever order they are handed over in, the answer is the same."""
    uses = [a_use("a1", 1), undo("a2", 2, "a1"), a_use("h1", 3, 3, outlet=HOME), a_use("b1", 4, 1)]
    whole = book(FACTS, uses)
    assert [one.serial for one in whole.judgements] == ["a1", "a2", "h1", "b1"]
    assert all(book(FACTS, shuffled) == whole for shuffled in permutations(uses))


def test_plain_uses_are_those_that_change_nothing_but_the_count() -> None:
    """`is_plain` says beforehand what `book` will say, as long as no reversal is about."""
    before = [a_use("a1", 0), a_use("a2", 1, at=UNTIL + DAY)]
    facts = VoucherFacts(5, 1, FROM, UNTIL, frozenset({HOME, OTHER}), None)
    news = {
        "fits": [a_use("b1", 2), a_use("b2", 3)],
        "one too many": [a_use("b1", 2, 3)],
        "together too many": [a_use("b1", 2), a_use("b2", 3), a_use("b3", 4)],
        "late": [a_use("b1", 2, at=UNTIL + DAY)],
        "early": [a_use("b1", 2), a_use("b2", 3, at=FROM - DAY)],
        "elsewhere": [a_use("b1", 2, outlet=STRANGE)],
        "undoes": [undo("a3", 2, "a1")],
        "barred": [a_use("b1", 2, barred=Verdict.BAD_SIGNATURE)],
    }
    assert [name for name, new in news.items() if is_plain(facts, 2, new)] == ["fits"]
    for name, new in news.items():
        booked = book(facts, [*before, *new])
        new_ones = [of(booked, use.serial).verdict for use in new]
        same = booked.judgements[:2] == book(facts, before).judgements
        plain = same and set(new_ones) == {Verdict.ACCEPTED} and booked.used == 2 + len(new)
        assert plain == (name == "fits"), name
