"""Redeeming by ID card: a card names a voucher, not one generation of its code (EV-032, EV-049)."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from tests.vouchers.counter import ELSEWHERE, HERE, NOW, a_case, answer
from vouchers import rules
from vouchers.booking import Use, VoucherFacts, book
from vouchers.entries import Kind
from vouchers.presented import ID_CARD, generation_after, next_code_here, presented
from vouchers.reasons import Refusal
from vouchers.standing import OwnUse, Standing, VoucherState, effective


def by_card(**parts: Any) -> rules.Case:
    """The same cases with a card presented."""
    case = a_case(credential=ID_CARD, **parts)
    return replace(case, record=presented(case.record, case.standing, case.credential))


def accepted(case: rules.Case) -> rules.Accepted:
    decided = rules.decide(case)
    assert isinstance(decided, rules.Accepted), decided
    return decided


def test_a_card_is_never_replaced() -> None:
    """The newest generation that is known is presented, from the row or from central's state."""
    known = {"generation": 2, "used": 2}
    assert answer(a_case(known=known)) == "replaced"
    assert accepted(by_card(known=known)).generation_after == 3
    newer = by_card(record={"generation": 3}, known=known)
    assert newer.record.generation == 3 and newer.left == 2
    assert presented(a_case().record, newer.standing, "code") == a_case().record


@pytest.mark.parametrize(
    ("reason", "parts"),
    [
        ("used_up", {"known": {"used": 5, "generation": 1}}),
        ("refunded", {"known": {"state": VoucherState.REFUNDED}}),
        ("refunding", {"known": {"state": VoucherState.REFUNDING}}),
        ("wrong_outlet", {"product": {"outlets": frozenset({ELSEWHERE})}}),
        ("wrong_outlet", {"product": {"outlets": frozenset()}}),
        ("expired", {"known": {"valid_until": 0}}),
    ],
)
def test_everything_else_is_asked_as_always(reason: str, parts: dict[str, Any]) -> None:
    """EV-032: without the outlet associated, a card is good nowhere."""
    assert answer(by_card(**parts)) == reason


def test_the_rest_has_no_code_here() -> None:
    """Nobody knows the last four digits: central makes the next code; the generation moves on."""
    part, all_of_it = accepted(by_card(count=2)), accepted(by_card(count=5))
    assert (part.left, part.successor, part.generation_after) == (3, False, 1)
    assert (all_of_it.left, all_of_it.successor, all_of_it.generation_after) == (0, False, 0)
    assert accepted(a_case(count=2)).successor


def test_no_horizon_binds_a_card() -> None:
    """Its row keeps the horizon of the day it was sealed, and no code is made here."""
    last = {"record": {"horizon": 0}}
    assert answer(a_case(**last, count=2)) == "needs_network"
    assert answer(by_card(**last, count=2)) == "yes"
    assert rules.judge(by_card(**last, count=None)) == (None, 5)


@pytest.mark.parametrize("credential", ["code", "qr", "id_card"])
@pytest.mark.parametrize("evidence", ["row", "qr", "central"])
@pytest.mark.parametrize("count", [1, 5])
def test_the_entry_says_where_the_decision_led(credential: str, evidence: str, count: int) -> None:
    """EV-049: central, and a terminal that got its journal back, find the same generation."""
    case = a_case(credential=credential, evidence=evidence, count=count)
    decided = accepted(replace(case, claimed=True))
    said = SimpleNamespace(
        generation=case.record.generation,
        left=decided.left,
        successor=decided.successor,
        credential=credential,
        evidence=evidence,
    )
    assert generation_after(said) == decided.generation_after


@pytest.mark.parametrize(
    ("credential", "evidence", "here"),
    [
        ("code", "row", True),
        ("qr", "row", True),
        ("qr", "qr", False),
        ("id_card", "row", False),
        ("id_card", "central", False),
    ],
)
def test_who_makes_the_next_code(credential: str, evidence: str, here: bool) -> None:
    """EV-049: one rule for the counter, its slip, and the generation that central books."""
    assert next_code_here(credential, evidence) is here


@dataclass
class Counter:
    """A terminal that never hears of the others: central's first word and its own uses."""

    standing: Standing
    own: list[OwnUse] = field(default_factory=list)

    def use(self, credential: str, count: int) -> tuple[rules.Case, rules.Accepted | Refusal]:
        """Present the newest code that this terminal knows, or the card; redeem if it may."""
        now = effective(self.standing, self.own)
        case = a_case(count=count, credential=credential, known=asdict(now), posture=None)
        case = replace(case, record=presented(case.record, now, ID_CARD))
        decided = rules.decide(case)
        if isinstance(decided, rules.Accepted):
            self.own.append(OwnUse(case.record.generation, count, decided.generation_after))
        return case, decided


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(["code", ID_CARD]), st.integers(1, 3)),
        max_size=12,
    )
)
def test_counters_and_central_agree_on_the_generation(steps: list[tuple[int, str, int]]) -> None:
    """EV-049: whatever mix of codes and cards, apart from each other: central's generation is the
    newest that any counter reached, its count the sum, and no card was called replaced.
    """
    first = a_case().standing
    counters = [Counter(first) for _ in range(3)]
    uses: list[Use] = []
    for arrival, (which, credential, count) in enumerate(steps):
        case, decided = counters[which].use(credential, count)
        if isinstance(decided, Refusal):
            assert str(decided.reason) in ("used_up", "not_enough_left")
            continue
        said = SimpleNamespace(
            generation=case.record.generation,
            left=decided.left,
            successor=decided.successor,
            credential=credential,
            evidence="row",
        )
        after = generation_after(said)
        name = f"T{which}"
        uses.append(Use(f"{name}_{arrival}", Kind.REDEEMED, name, HERE, count, after, NOW, arrival))
    facts = VoucherFacts(5, 0, first.valid_from, first.valid_until, frozenset({HERE}), HERE)
    booked = book(facts, uses)
    assert booked.used == sum(use.shares for use in uses)
    reached = [effective(each.standing, each.own).generation for each in counters]
    assert booked.generation == max(reached)
