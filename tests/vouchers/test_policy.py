"""The policy: its defaults, its bounds, and what the rules take from it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from vouchers import policy
from vouchers.policy import Offline, Policy, resolved
from vouchers.rules import OfflineLimits

DEFAULTS: dict[str, Any] = {
    "version": 0,
    "exceptions": {},
    "offline": {
        "max_redemptions": {"home": 5_000, "elsewhere": 50},
        "max_value_fen": 2_000_000,
        "max_hours": {"home": 72, "elsewhere": 24},
        "max_replica_age_hours": 72,
        "override_hours": 24,
        "unhomed_shares": 1,
        "foreign_shares_row": 1,
        "foreign_shares_qr": 1,
        "tills": "shared_risk",
    },
    "claim": {"budget_ms": 400, "hold_minutes": 15},
    "lookup": {"budget_ms": 400},
    "reversal": {"clerk_minutes": 10},
    "guess": {"per_code": 5, "lock_minutes": 15, "per_terminal": 20, "window_minutes": 10},
    "replica": {"scope": "merchant"},
    "receipt": {"successor": "always"},
    "cli": {"redeem": "allow"},
    "slip_text": None,
}


def test_the_defaults_are_those_of_the_contract() -> None:
    """Design section 7, decisions 10, 11 and 13: every number as it was agreed."""
    assert msgspec.to_builtins(policy.DEFAULT) == DEFAULTS
    assert msgspec.convert({}, Policy) == policy.DEFAULT


def test_the_rules_take_each_number_from_its_own_name() -> None:
    """Design section 7: no two limits are swapped on their way to the decision."""
    assert policy.offline_limits(policy.DEFAULT) == OfflineLimits()
    offline = {
        "max_redemptions": {"home": 1, "elsewhere": 2},
        "max_value_fen": 3,
        "max_hours": {"home": 4, "elsewhere": 5},
        "max_replica_age_hours": 6,
        "unhomed_shares": 7,
        "foreign_shares_row": 8,
        "foreign_shares_qr": 9,
    }
    found = policy.offline_limits(msgspec.convert({"offline": offline}, Policy))
    assert found == OfflineLimits(1, 2, 3, 4, 5, 6, 7, 8, 9)


@pytest.mark.parametrize(
    "given",
    [
        {"version": -1},
        {"offline": {"max_value_fen": -1}},
        {"offline": {"max_value_fen": 10**12 + 1}},
        {"offline": {"max_hours": {"home": 1}}},
        {"offline": {"tills": "anything"}},
        {"reversal": {"clerk_minutes": 1.5}},
        {"reversal": {"clerk_minutes": "10"}},
        {"receipt": {"successor": "sometimes"}},
        {"cli": {"redeem": "maybe"}},
    ],
)
def test_a_policy_out_of_bounds_is_refused(given: dict[str, Any]) -> None:
    """Design section 7: what central sends is checked before a terminal obeys it."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(given, Policy)


def test_names_of_a_newer_central_are_read_past() -> None:
    """Design section 7: the schema before the current one still reads the policy."""
    given = {"later": 1, "guess": {"per_code": 3, "later": 2}}
    assert msgspec.convert(given, Policy).guess.per_code == 3


def test_the_most_specific_word_wins() -> None:
    """A terminal's own number, else its outlet's, else the merchant's; single numbers only."""
    policy = Policy(
        version=7,
        exceptions={
            "outlet:1": {"offline.max_hours.home": 48, "offline.max_value_fen": 5},
            "terminal:T1": {"offline.max_hours.home": 12, "cli.redeem": "deny"},
            "terminal:T2": {"offline.max_hours.home": 1},
        },
    )
    mine = resolved(policy, outlet=1, posid="T1")
    assert (mine.offline.max_hours.home, mine.offline.max_value_fen) == (12, 5)
    assert (mine.cli.redeem, mine.version, mine.exceptions) == ("deny", 7, {})
    assert mine.offline.max_hours.elsewhere == 24
    assert resolved(policy, outlet=1, posid="T9").offline.max_hours.home == 48
    assert resolved(policy, outlet=2, posid="T9") == Policy(version=7)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("offline.max_hours", 3),
        ("offline.no_such", 3),
        ("no.such", 3),
        ("offline.max_hours.home.x", 3),
        ("offline.max_hours.home", -1),
        ("offline.max_hours.home", "many"),
        ("cli.redeem", "perhaps"),
        ("", 3),
    ],
)
def test_an_exception_that_cannot_be_applied_is_passed_over_alone(name: str, value: object) -> None:
    """Of a newer central, say: the others hold."""
    numbers = {name: value, "offline.unhomed_shares": 4}
    policy = Policy(exceptions={"outlet:1": numbers})  # type: ignore[dict-item]
    found = resolved(policy, outlet=1, posid="T1")
    assert found == Policy(offline=Offline(unhomed_shares=4))
