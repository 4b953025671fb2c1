"""The closed list of reasons."""

from __future__ import annotations

from vouchers.reasons import Reason, Refusal, known_reason

LISTED = (
    "malformed, mistyped, locked, unknown_or_wrong, voided, refunded, refunding, replaced, "
    "used_up, not_yet_valid, expired, wrong_outlet, wrong_weekday, bad_count, not_enough_left, "
    "online_only, needs_network, in_progress, offline_limit, replica_too_old, clock_suspect, "
    "nothing_to_reverse, reversal_late, not_this_terminal, reversal_mismatch, "
    "busy, outcome_unknown, out_of_service"
)


def test_the_reasons_are_those_of_the_contract_in_its_order() -> None:
    """Design section 5: a closed list, decided in this order."""
    assert [str(reason) for reason in Reason] == LISTED.split(", ")


def test_a_refusal_without_detail_has_an_empty_one() -> None:
    """Design section 5: a refusal is a value, equal to another with the same reason and detail."""
    assert Refusal(Reason.VOIDED) == Refusal(Reason.VOIDED, {})
    assert Refusal(Reason.VOIDED) != Refusal(Reason.REFUNDED)


def test_a_reason_is_known_by_its_machine_name() -> None:
    """Design section 5: what a newer central says and we do not know is no reason of ours."""
    assert all(known_reason(str(reason)) is reason for reason in Reason)
    assert known_reason(None) is None
    assert known_reason("VOIDED") is None
    assert known_reason("something_new") is None
