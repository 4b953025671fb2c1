"""What must hold for every decision at the counter and every booking at central.

Goal: no decision gives out more than is left, allowances are kept, booking depends on the set of
entries alone and each excess share is borne once. Method: hypothesis draws cases and histories.
"""

from __future__ import annotations

import random

from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from vouchers import codes, rules, standing
from vouchers.booking import Booking, Use, Verdict, VoucherFacts, book
from vouchers.entries import Kind
from vouchers.reasons import Reason, Refusal
from vouchers.sealed import Record
from vouchers.standing import OwnUse, Standing, VoucherState

HERE, THERE = 1, 2
DAY = 86_400_000
VOUCHER = "0190f5a0-7c00-7abc-8def-0123456789ab"


@st.composite
def cases(draw: st.DrawFn) -> rules.Case:
    """Cases near the limits: few shares, generations around the known one, home or not."""
    shares = draw(st.integers(1, 6))
    record = Record(
        voucher=VOUCHER,
        secret=bytes(32),
        generation=draw(st.integers(0, 4)),
        horizon=draw(st.sampled_from([0, 1, 3, codes.horizon(shares)])),
        shares=shares,
        product=1,
        home=draw(st.sampled_from([None, HERE, THERE])),
        paid_fen=draw(st.integers(0, 1_000)),
    )
    known = Standing(
        state=draw(st.sampled_from([VoucherState.LIVE] * 5 + list(VoucherState))),
        generation=draw(st.integers(0, 4)),
        used=draw(st.integers(0, 6)),
        valid_from=draw(st.sampled_from([0, 10 * DAY])),
        valid_until=draw(st.sampled_from([20 * DAY, 40 * DAY])),
        home=record.home,
        own=draw(st.integers(-2, 4)),
    )
    limits = rules.OfflineLimits(
        max_value_fen=draw(st.sampled_from([0, 300, 2_000_000])),
        unhomed_shares=draw(st.integers(0, 3)),
        foreign_shares_row=draw(st.integers(0, 3)),
        foreign_shares_qr=draw(st.integers(0, 3)),
    )
    posture = rules.Posture(
        limits=limits,
        redemptions_home=draw(st.sampled_from([0, 4_999, 5_000])),
        redemptions_away=draw(st.sampled_from([0, 49, 50])),
        value_fen=draw(st.sampled_from([0, 250])),
        last_contact=draw(st.sampled_from([25 * DAY, 30 * DAY])),
        replica_at=draw(st.sampled_from([20 * DAY, 30 * DAY])),
        home_rights=draw(st.booleans()),
    )
    return rules.Case(
        record=record,
        standing=known,
        product=rules.ProductRule(
            product=1,
            outlets=draw(st.sampled_from([frozenset({HERE}), frozenset({HERE, THERE})])),
            weekdays=draw(st.sampled_from([frozenset(), frozenset({1, 2, 3})])),
            online_only=draw(st.sampled_from([False, False, True])),
        ),
        moment=rules.Moment(
            now=30 * DAY,
            floor=draw(st.sampled_from([15 * DAY, 30 * DAY])),
            weekday=draw(st.integers(1, 7)),
            suspect=draw(st.sampled_from([False, False, True])),
            outlet=draw(st.sampled_from([HERE, HERE, THERE])),
        ),
        evidence=draw(st.sampled_from(["row", "qr", "central"])),
        count=draw(st.integers(-1, 7)),
        claimed=draw(st.booleans()),
        claim_refusal=draw(st.sampled_from([None, None, Reason.IN_PROGRESS])),
        posture=draw(st.sampled_from([posture, posture, None])),
    )


@given(cases())
def test_never_more_than_is_left(case: rules.Case) -> None:
    """One terminal never gives out more shares than it knows of (design, section 4)."""
    found = rules.decide(case)
    if isinstance(found, Refusal):
        return
    assert case.count is not None
    unseen = max(0, case.record.generation - case.standing.generation)
    assert 1 <= found.shares == case.count
    assert case.standing.used + unseen + found.shares <= case.record.shares
    assert found.left == case.record.shares - case.standing.used - unseen - found.shares
    assert case.record.generation >= case.standing.generation
    assert case.standing.state is VoucherState.LIVE
    assert 0 <= found.amount_fen <= case.record.paid_fen


@given(cases())
def test_a_successor_stays_inside_the_horizon(case: rules.Case) -> None:
    """EV-049, decision 10: shares left make a successor, unless the QR alone is known."""
    found = rules.decide(case)
    if isinstance(found, Refusal):
        return
    assert found.successor == (found.left > 0 and case.evidence != "qr")
    assert found.generation_after == case.record.generation + int(found.left > 0)
    assert not found.successor or found.generation_after <= case.record.horizon


@st.composite
def foreign_cases(draw: st.DrawFn) -> rules.Case:
    """A good voucher of another home, or of none, before a terminal that is cut off."""
    case = draw(cases())
    home = draw(st.sampled_from([None, THERE]))
    known = Standing(VoucherState.LIVE, 0, 0, 0, 40 * DAY, home, own=draw(st.integers(-1, 2)))
    limits = rules.OfflineLimits(
        unhomed_shares=draw(st.integers(1, 3)),
        foreign_shares_row=draw(st.integers(1, 3)),
        foreign_shares_qr=draw(st.integers(1, 3)),
    )
    return replace(
        case,
        record=replace(case.record, shares=6, generation=0, horizon=9, home=home),
        standing=known,
        product=rules.ProductRule(1, frozenset({HERE}), frozenset(), online_only=False),
        moment=rules.Moment(30 * DAY, 30 * DAY, 1, suspect=False, outlet=HERE),
        count=draw(st.integers(1, 4)),
        claimed=False,
        claim_refusal=None,
        posture=rules.Posture(limits, 0, 0, 0, last_contact=30 * DAY, replica_at=30 * DAY),
    )


@given(cases() | foreign_cases())
def test_alone_means_within_the_allowance(case: rules.Case) -> None:
    """Without a claim, units of another home are given only as far as the owner allows."""
    found = rules.decide(case)
    if isinstance(found, Refusal) or case.claimed or case.posture is None:
        return
    assert not case.product.online_only
    if case.standing.home != case.moment.outlet:
        limits = case.posture.limits
        foreign = limits.foreign_shares_qr if case.evidence == "qr" else limits.foreign_shares_row
        allowed = limits.unhomed_shares if case.standing.home is None else foreign
        assert found.shares + max(0, case.standing.own) <= allowed
        assert not case.moment.suspect
    assert case.posture.value_fen + found.amount_fen <= case.posture.limits.max_value_fen


@given(cases())
def test_the_first_reason_is_told(case: rules.Case) -> None:
    """A refusal is the first in the contract's order of all that hold."""
    assume(case.count is not None and case.count >= 1)  # later checks may rely on bad_count
    held = [reason for reason, check in rules.CHECKS if check(case) is not None]
    found = rules.decide(case)
    assert (found.reason if isinstance(found, Refusal) else None) == (held or [None])[0]
    order = list(Reason)
    assert held == sorted(held, key=order.index)


@given(cases())
def test_what_is_offered_is_accepted(case: rules.Case) -> None:
    """The count that a look-up calls redeemable is accepted, and the next one is not."""
    refused, most = rules.judge(replace(case, count=None))
    assert refused == rules.refusal(replace(case, count=None))
    if most:
        assert not isinstance(rules.decide(replace(case, count=most)), Refusal)
    assert isinstance(rules.decide(replace(case, count=most + 1)), Refusal)


@given(cases(), st.integers(1, 6))
def test_a_claim_only_helps(case: rules.Case, count: int) -> None:
    """What is allowed alone is allowed with central's word too."""
    alone = replace(case, claimed=False, claim_refusal=None, count=count)
    if not isinstance(rules.decide(alone), Refusal):
        assert not isinstance(rules.decide(replace(alone, claimed=True)), Refusal)


@given(st.integers(1, 6), st.lists(st.integers(1, 3), max_size=6))
def test_redeeming_in_a_row_never_exceeds(shares: int, wanted: list[int]) -> None:
    """A home terminal that redeems successor after successor gives out exactly the shares."""
    record = Record(VOUCHER, bytes(32), 0, codes.horizon(shares), shares, 1, HERE, 1_000)
    start = Standing(VoucherState.LIVE, 0, 0, 0, 40 * DAY, HERE)
    product = rules.ProductRule(1, frozenset({HERE}), frozenset(), online_only=False)
    moment = rules.Moment(30 * DAY, 30 * DAY, 1, suspect=False, outlet=HERE)
    own: list[OwnUse] = []
    paid = 0
    for count in wanted:
        now = standing.effective(start, own)
        presented = replace(record, generation=now.generation)
        found = rules.decide(rules.Case(presented, now, product, moment, "row", count))
        if isinstance(found, Refusal):
            assert found.reason in {Reason.NOT_ENOUGH_LEFT, Reason.USED_UP}
            continue
        own.append(OwnUse(now.generation, count, found.generation_after))
        paid += found.amount_fen
    used = sum(use.shares for use in own)
    assert used <= shares
    assert paid <= 1_000
    assert (paid == 1_000) == (used == shares)


@st.composite
def histories(draw: st.DrawFn) -> list[Use]:
    """Uses of one voucher from several terminals, some of them reversals of earlier ones."""
    uses: list[Use] = []
    for arrival in range(draw(st.integers(0, 8))):
        posid = draw(st.sampled_from("ABC"))
        undo = draw(st.sampled_from([None, None, *range(len(uses))]))
        mode = draw(st.sampled_from(["online", "hub", "lone"]))
        original = uses[undo] if undo is not None else None
        uses.append(
            Use(
                serial=f"{posid}_1_{arrival + 1:08d}",
                kind=Kind.REVERSED if original else Kind.REDEEMED,
                posid=posid,
                outlet=draw(st.sampled_from([HERE, THERE])),
                shares=original.shares if original else draw(st.integers(1, 3)),
                after=draw(st.integers(0, 5)),
                at=draw(st.sampled_from([5 * DAY, 50 * DAY])),
                arrival=arrival,
                mode=mode,
                claimed=mode == "online" or draw(st.booleans()),
                reverses=original.serial if original else None,
                settled=draw(st.sampled_from([False, False, True])),
                barred=draw(st.sampled_from([None] * 5 + [Verdict.BAD_SIGNATURE])),
            )
        )
    return uses


def facts(shares: int, refunded: int = 0) -> VoucherFacts:
    return VoucherFacts(shares, refunded, 0, 40 * DAY, frozenset({HERE}), HERE)


def verdicts(found: Booking) -> dict[str, Verdict]:
    return {judgement.serial: judgement.verdict for judgement in found.judgements}


@given(histories(), st.integers(1, 6), st.integers(0, 2**32))
def test_booking_depends_on_the_set_alone(uses: list[Use], shares: int, seed: int) -> None:
    """The same entries in any order, or judged twice, give the same booking."""
    shuffled = random.Random(seed).sample(uses, len(uses))
    assert book(facts(shares), uses) == book(facts(shares), shuffled)


@given(histories(), st.integers(1, 6))
def test_each_excess_share_is_borne_once(uses: list[Use], shares: int) -> None:
    """Without refunds, over-redeemed entries bear exactly what was used beyond the shares."""
    found = book(facts(shares), uses)
    over = [one for one in found.judgements if one.verdict is Verdict.OVER_REDEEMED]
    assert sum(one.excess for one in over) == max(0, found.used - shares)
    for one in over:
        assert one.serial not in one.others
        assert set(one.others) <= {use.serial for use in uses}


@given(histories(), st.integers(1, 6))
def test_every_entry_is_judged_once(uses: list[Use], shares: int) -> None:
    """An entry is a fact: each gets one verdict, in the order of arrival."""
    found = book(facts(shares), uses)
    assert [one.serial for one in found.judgements] == [use.serial for use in uses]
    undone = {
        use.reverses
        for use in uses
        if verdicts(found)[use.serial] is Verdict.ACCEPTED and use.kind is Kind.REVERSED
    }
    assert found.reversed == undone
    counted = [use for use in uses if use.kind is Kind.REDEEMED and use.barred is None]
    assert found.used == sum(use.shares for use in counted if use.serial not in undone)


@given(histories(), st.integers(1, 6))
def test_a_claim_is_never_pushed_out(uses: list[Use], shares: int) -> None:
    """Entries with central's word are booked first: only claims can exceed against claims."""
    found = book(facts(shares), uses)
    claimed = [
        use
        for use in uses
        if use.kind is Kind.REDEEMED
        and use.claimed
        and use.barred is None
        and use.serial not in found.reversed
    ]
    if sum(use.shares for use in claimed) <= shares:
        assert all(verdicts(found)[use.serial] is not Verdict.OVER_REDEEMED for use in claimed)


@given(histories(), st.integers(2, 6), st.data())
def test_refunded_shares_are_borne_once(uses: list[Use], shares: int, data: st.DataObject) -> None:
    """Uses beyond what was left after a refund bear exactly that (decision 4)."""
    refunded = data.draw(st.integers(0, shares))
    found = book(facts(shares, refunded), uses)
    borne = sum(one.excess for one in found.judgements)
    assert borne == max(0, found.used - (shares - refunded))
