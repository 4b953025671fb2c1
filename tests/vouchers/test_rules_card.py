"""Redeeming by ID card: a card names a voucher, not one generation of its code (EV-032, EV-049)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from tests.vouchers.counter import ELSEWHERE, a_case, answer
from vouchers import rules
from vouchers.presented import ID_CARD, generation_after, next_code_here, presented
from vouchers.standing import VoucherState


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
