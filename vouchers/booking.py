"""Booking: what the uses of one voucher add up to, and who bears the excess.

Responsible for: the order in which entries of one voucher are booked and the verdict on each
(design, section 7, "Booking"; decisions 4, 8, 11). Not responsible for: storing verdicts, money.
Invariants: an entry is a fact, so every authentic use counts; the verdicts depend on the set of
entries and their arrival numbers alone, so a later entry may change them; each excess share is
borne by exactly one entry.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from vouchers.entries import Kind
from vouchers.limits import LATE_TOLERANCE_MS


class Verdict(StrEnum):
    """Central's word on an entry. All but `accepted` stay visible until a person settles them."""

    ACCEPTED = "accepted"
    OVER_REDEEMED = "over_redeemed"
    LATE = "late"
    AFTER_REFUND = "after_refund"
    UNKNOWN_VOUCHER = "unknown_voucher"
    WRONG_OUTLET = "wrong_outlet"
    BAD_SIGNATURE = "bad_signature"
    REVERSAL_LATE = "reversal_late"
    NOTHING_TO_REVERSE = "nothing_to_reverse"
    REVERSAL_MISMATCH = "reversal_mismatch"
    QUARANTINED = "quarantined"


FLAG_CLOCK: Final = "clock_suspect"
FLAG_RELATED: Final = "related"
FLAG_OFFLINE_LONG: Final = "offline_long"

_CLAIM_RANK, _HOME_RANK, _HUB_RANK, _LONE_RANK = range(4)


class VoucherFacts(Struct, frozen=True):
    """What central knows of a voucher: `refunded_shares` are voided by refunds already paid.

    Validity in milliseconds UTC, half-open. `outlets` are those of its product; in a `former` one
    it was good until it must have been heard that it is no longer (ms UTC).
    """

    shares: int
    refunded_shares: int
    valid_from: int
    valid_until: int
    outlets: frozenset[int]
    home: int | None
    former: Mapping[int, int] = {}


class Arrived(Protocol):
    """What `is_plain` asks of an entry; a `Use` has it, and so may a row of a store."""

    @property
    def kind(self) -> str:
        """A `Kind`."""

    @property
    def outlet(self) -> int:
        """Where it was made."""

    @property
    def shares(self) -> int:
        """How many."""

    @property
    def at(self) -> int:
        """The recorded time, milliseconds UTC."""

    @property
    def barred(self) -> str | None:
        """A `Verdict` given before booking."""


class Use(Struct, frozen=True):
    """One authentic `redeemed` or `reversed` entry of the voucher.

    `arrival` numbers the entries in the order in which they came; `after` is the generation that
    is current after the entry; `settled` says that the redemption stands in a closed payout
    statement; `barred` is a verdict given before booking (bad signature, quarantine): such an
    entry counts for nothing.
    """

    serial: str
    kind: Kind
    posid: str
    outlet: int
    shares: int
    after: int
    at: int
    arrival: int
    mode: str = "lone"
    claimed: bool = False
    reverses: str | None = None
    settled: bool = False
    flags: frozenset[str] = frozenset()
    barred: Verdict | None = None


class Judgement(Struct, frozen=True):
    """The verdict on one entry: `excess` shares it bears, `others` it collided with (serials).

    `excess` counts every share that nothing stands behind: beyond those sold, or refunded before.
    """

    serial: str
    verdict: Verdict
    flags: frozenset[str]
    excess: int = 0
    others: tuple[str, ...] = ()


class Booking(Struct, frozen=True):
    """All uses of a voucher booked: net `used` shares, current `generation`, `reversed` serials."""

    used: int
    generation: int
    judgements: tuple[Judgement, ...]
    reversed: frozenset[str]


def rank(use: Use, facts: VoucherFacts) -> tuple[int, int]:
    """The place of a redemption in booking order: claim, home, hub, lone, then arrival."""
    if use.claimed:
        return _CLAIM_RANK, use.arrival
    if facts.home is not None and use.outlet == facts.home:
        return _HOME_RANK, use.arrival
    # `online` without a claim that central knows is a terminal's word alone.
    return (_HUB_RANK if use.mode == "hub" else _LONE_RANK), use.arrival


def book(facts: VoucherFacts, uses: Iterable[Use]) -> Booking:
    """Judge all uses of one voucher."""
    arrived = sorted(uses, key=lambda use: use.arrival)
    valid = [use for use in arrived if use.barred is None]
    redemptions = {use.serial: use for use in valid if use.kind is Kind.REDEEMED}
    undone, reversals = _judge_reversals(valid, redemptions)
    standing = [use for use in redemptions.values() if use.serial not in undone]
    judged = _judge_redemptions(facts, standing)
    judged |= {serial: _plain(facts, redemptions[serial]) for serial in undone}
    judged |= reversals
    judged |= {
        use.serial: Judgement(use.serial, use.barred, use.flags)
        for use in arrived
        if use.barred is not None
    }
    return Booking(
        used=sum(use.shares for use in standing),
        generation=max((use.after for use in valid), default=0),
        judgements=tuple(judged[use.serial] for use in arrived),
        reversed=frozenset(undone),
    )


def is_plain(facts: VoucherFacts, used: int, uses: Iterable[Arrived]) -> bool:
    """Whether new uses are each `accepted` by `book`, and change no verdict given before.

    `used` are the net shares of the uses before. Only for a voucher that no reversal has named:
    one may wait there for the entry that it reverses.
    """
    plain = True
    for use in uses:
        used += use.shares
        plain = (
            plain
            and use.kind == Kind.REDEEMED
            and use.barred is None
            and _verdict_within(facts, use) is Verdict.ACCEPTED
        )
    return plain and not _excess(used, 0, facts.shares - facts.refunded_shares)


def _judge_reversals(
    valid: Sequence[Use], redemptions: dict[str, Use]
) -> tuple[set[str], dict[str, Judgement]]:
    undone: set[str] = set()
    judged: dict[str, Judgement] = {}
    for use in valid:
        if use.kind is not Kind.REVERSED:
            continue
        verdict = _reversal_verdict(use, redemptions, undone)
        if verdict is Verdict.ACCEPTED and use.reverses is not None:
            undone.add(use.reverses)
        judged[use.serial] = Judgement(use.serial, verdict, use.flags)
    return undone, judged


def _reversal_verdict(use: Use, redemptions: dict[str, Use], undone: set[str]) -> Verdict:
    """AX-04, AX-06, AX-07, AX-09 and decision 11, judged on arrival."""
    original = redemptions.get(use.reverses or "")
    if original is None or original.serial in undone:
        return Verdict.NOTHING_TO_REVERSE
    if original.shares != use.shares or original.posid != use.posid:
        return Verdict.REVERSAL_MISMATCH
    if original.settled:
        return Verdict.REVERSAL_LATE
    return Verdict.ACCEPTED


def _judge_redemptions(facts: VoucherFacts, standing: Sequence[Use]) -> dict[str, Judgement]:
    ordered = sorted(standing, key=lambda use: rank(use, facts))
    serials = [use.serial for use in ordered]
    judged: dict[str, Judgement] = {}
    used = 0
    for use in ordered:
        judged[use.serial] = _redemption(facts, use, used, serials)
        used += use.shares
    if any(found.verdict is Verdict.OVER_REDEEMED for found in judged.values()):
        judged = {serial: _related(found) for serial, found in judged.items()}
    return judged


def _redemption(
    facts: VoucherFacts, use: Use, used_before: int, serials: Sequence[str]
) -> Judgement:
    excess = _excess(use.shares, used_before, facts.shares - facts.refunded_shares)
    if not excess:
        return _plain(facts, use)
    over = _excess(use.shares, used_before, facts.shares) > 0
    verdict = Verdict.OVER_REDEEMED if over else Verdict.AFTER_REFUND
    others = tuple(serial for serial in serials if serial != use.serial)
    return Judgement(use.serial, verdict, use.flags, excess, others)


def _excess(shares: int, used_before: int, capacity: int) -> int:
    """The shares of a use that lie beyond the capacity; those before it are borne elsewhere."""
    return min(shares, max(0, used_before + shares - capacity))


def _plain(facts: VoucherFacts, use: Use) -> Judgement:
    return Judgement(use.serial, _verdict_within(facts, use), use.flags)


def _verdict_within(facts: VoucherFacts, use: Arrived) -> Verdict:
    """The verdict on a use that is within the shares."""
    if use.outlet not in facts.outlets and use.at >= facts.former.get(use.outlet, 0):
        return Verdict.WRONG_OUTLET
    if facts.valid_from - LATE_TOLERANCE_MS <= use.at < facts.valid_until + LATE_TOLERANCE_MS:
        return Verdict.ACCEPTED
    return Verdict.LATE


def _related(found: Judgement) -> Judgement:
    if found.verdict is Verdict.OVER_REDEEMED:
        return found
    return replace(found, flags=found.flags | {FLAG_RELATED})
