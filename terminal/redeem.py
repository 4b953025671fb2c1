"""The redeem use case: from an opened voucher to a committed entry.

Responsible for: looking up (what it is and what is left) and redeeming (EV-046, EV-047, EV-049),
straight down the page, in one transaction. Not responsible for: screens, paper or the network
beyond asking for a claim. Invariants: nothing is visible before the commit; one request leads to
one entry; a partial redemption voids the code and writes the successor's row with it.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import apsw

from terminal import slip_jobs
from terminal.journal import Stored
from terminal.opening import Opened, new_id, open_card, open_credential, standing_of
from terminal.outcomes import Place, Redeemed, View
from terminal.parts import Claimed, Parts
from vouchers import codes, entries, rules, sealed
from vouchers.entries import Entry, Kind, Redemption
from vouchers.presented import presented
from vouchers.reasons import Refusal, known_reason
from vouchers.rules import Accepted, Case
from vouchers.sealed import Record, SealKey


@dataclass(frozen=True, slots=True)
class _Done:
    """A committed redemption, as it was written."""

    at: int
    head: str
    redemption: Redemption
    code: str | None


CLAIM_MARGIN_MS = 10_000
"""A claim is used only with this much of its time left (design, section 7, Claims)."""


CARD_CHOICES_MAX = 32
"""Vouchers of one card that a clerk is shown: nobody chooses among more."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the clerk confirmed: `request` identifies it before it has an effect."""

    shares: int
    clerk: str
    request: str
    slip: bool
    claim: Claimed | None = None


def look_up(
    parts: Parts, credential: str, last4: str, *, clerk: str
) -> tuple[Opened, View] | Refusal:
    """Open a voucher and say what it is; changes no voucher. A refused view is journalled."""
    with parts.replica.reading():
        opened = open_credential(parts, credential, last4, clerk=clerk)
        if isinstance(opened, Refusal):
            return opened
        view = view_of(parts, opened)
    if view.refusal is not None:
        _journal_refusal(parts, opened, view.refusal, clerk)
    return opened, view


def look_up_card(
    parts: Parts, number: str, *, clerk: str
) -> Sequence[tuple[Opened, View]] | Refusal:
    """Open a person's vouchers by the ID card that was read (EV-032); changes none of them.

    What can be redeemed here and now comes first, the soonest to expire before the others; then
    what cannot, the newest first. When nothing can, the first one's reason is journalled.
    """
    with parts.replica.reading():
        opened = open_card(parts, number, clerk=clerk)
        if isinstance(opened, Refusal):
            return opened
        found = sorted(((one, view_of(parts, one)) for one in opened), key=_offered)
    first, view = found[0]
    if view.refusal is not None:
        _journal_refusal(parts, first, view.refusal, clerk)
    return found[:CARD_CHOICES_MAX]


def _offered(found: tuple[Opened, View]) -> tuple[bool, int]:
    view = found[1]
    return view.refusal is not None, view.valid_until if view.refusal is None else -view.valid_until


def view_of(parts: Parts, opened: Opened) -> View:
    """What a voucher is, by this terminal's view, and why not if not."""
    # While central is in reach it is asked before a redemption, so the limits of being alone do
    # not show yet; without its answer they hold all the same.
    reachable = parts.online is not None and parts.online.reachable()
    case = replace(case_of(parts, opened, count=None), claimed=reachable)
    refusal = rules.refusal(case)
    return View(
        handle=opened.handle,
        voucher=opened.record.voucher,
        product=opened.record.product,
        product_name=opened.product.name,
        shares=opened.record.shares,
        left=_left_for(case),
        max_now=rules.redeemable_now(case),
        generation=case.record.generation,
        valid_from=case.standing.valid_from,
        valid_until=case.standing.valid_until,
        outlets=_places(parts, opened),
        evidence=opened.evidence,
        refusal=None if refusal is None else _named(parts, refusal),
    )


def case_of(
    parts: Parts, opened: Opened, *, count: int | None, claim: Claimed | None = None
) -> Case:
    """The question for the rules."""
    granted = claim is not None and claim.granted and _in_time(parts, claim)
    standing = standing_of(parts, opened)
    return Case(
        record=presented(opened.record, standing, opened.credential),
        standing=standing,
        product=opened.product.rule,
        moment=parts.moment(parts.clock.estimate()),
        evidence=opened.evidence,
        count=count,
        claimed=granted,
        claim_refusal=None if claim is None else known_reason(claim.reason),
        posture=parts.posture(),
        credential=opened.credential,
    )


def ask_claim(parts: Parts, opened: Opened, shares: int) -> Claimed | None:
    """Ask central for the right to redeem; outside any lock, within the budget. None: no answer."""
    if parts.online is None:
        return None
    return parts.online.claim(new_id(parts), opened.key.row_key, opened.record, shares)


def redeem(
    parts: Parts, opened: Opened, order: Order, successor: Callable[[], SealKey]
) -> Redeemed | Refusal:
    """Redeem (EV-047). Raises OutOfService when nothing was done, OutcomeUnknown otherwise.

    `successor` gives the key of the next code's row; it was stretched while the clerk decided.
    """
    before = parts.journal.find_request(order.request)
    if before is not None:
        return first_result(parts, before, opened)
    with parts.replica.reading():
        case = case_of(parts, opened, count=order.shares, claim=order.claim)
        decision = _decide(case, order.claim)
        if isinstance(decision, Refusal):
            _journal_refusal(parts, opened, decision, order.clerk)
            return _named(parts, decision)
        parts.ensure_fit()
        done = _commit(parts, opened, order, case, decision, successor)
    return _redeemed(parts, done, opened.product.name)


def first_result(parts: Parts, stored: Stored, opened: Opened | None) -> Redeemed:
    """The result of a request that was carried out before; the code only if it can be derived."""
    entry = entries.read_entry(stored.body)
    redemption = entries.read_redemption(entry)
    code = None
    known = opened is not None and opened.record.voucher == redemption.voucher
    if known and opened is not None and redemption.successor and opened.evidence != "qr":
        code = next_code(opened.record, redemption.generation)
    product = parts.known_product(redemption.product)
    name = f"#{redemption.product}" if product is None else product.name
    done = _Done(entry.at, stored.hash, redemption, code)
    return replace(_redeemed(parts, done, name), repeated=True)


def next_code(record: Record, generation: int) -> str:
    """The successor of a generation's code, as long as the presented one (EV-049)."""
    return codes.derive(record.secret, generation + 1)


def _decide(case: Case, claim: Claimed | None) -> Accepted | Refusal:
    decision = rules.decide(case)
    if isinstance(decision, Refusal):
        return decision
    refused = None if claim is None else known_reason(claim.reason)
    # Central knows more than the replica: its word stands.
    return decision if refused is None else Refusal(refused)


def _commit(
    parts: Parts,
    opened: Opened,
    order: Order,
    case: Case,
    decision: Accepted,
    successor: Callable[[], SealKey],
) -> _Done:
    estimate = parts.clock.estimate()
    code = next_code(opened.record, opened.record.generation) if decision.successor else None
    row = _successor_row(opened.record, decision, successor) if decision.successor else None
    mode = "online" if case.claimed else "lone"

    def data(serial: str) -> dict[str, object]:
        return {
            "serial": serial,
            "request": order.request,
            "claim": None if order.claim is None else order.claim.claim,
            "voucher": opened.record.voucher,
            "generation": case.record.generation,
            "shares": decision.shares,
            "left": decision.left,
            "successor": decision.successor,
            "credential": opened.credential,
            "evidence": opened.evidence,
            "mode": mode,
            "product": opened.record.product,
            "amount_fen": decision.amount_fen,
            "replica_version": parts.replica.version(),
        }

    stamp = parts.stamp(estimate, order.clerk)
    with parts.journal.transaction() as connection:
        stored, entry = parts.journal.append(connection, Kind.REDEEMED, data, stamp)
        redemption = entries.read_redemption(entry)
        _write_effects(connection, opened, decision, entry, redemption)
        _write_overlay(connection, case, stored, redemption, row)
        connection.execute(
            "INSERT INTO request VALUES (?, ?, ?)", (order.request, stored.epoch, stored.seq)
        )
        if order.slip:
            facts = slip_jobs.facts_of(
                parts, entry, stored.hash, valid_until=case.standing.valid_until
            )
            slip_jobs.queue(connection, facts, code, estimate.now)
    parts.clock.journalled(estimate.now)
    return _Done(entry.at, stored.hash, redemption, code)


def _write_effects(
    connection: apsw.Connection,
    opened: Opened,
    decision: Accepted,
    entry: Entry,
    redemption: Redemption,
) -> None:
    connection.execute(
        "INSERT INTO redemption VALUES (?, ?, ?, ?, ?, ?, NULL)",
        (
            redemption.serial,
            entry.epoch,
            entry.seq,
            redemption.voucher,
            redemption.shares,
            entry.at,
        ),
    )
    used_after = opened.record.shares - decision.left
    connection.execute(
        "INSERT INTO own_use VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            redemption.voucher,
            entry.epoch,
            entry.seq,
            redemption.generation,
            redemption.shares,
            decision.generation_after,
            used_after,
            opened.record.shares,
        ),
    )


def _write_overlay(
    connection: apsw.Connection,
    case: Case,
    stored: Stored,
    redemption: Redemption,
    row: tuple[bytes, bytes] | None,
) -> None:
    if row is not None:
        connection.execute(
            "INSERT INTO own_row VALUES (?, ?, ?)"
            " ON CONFLICT (k) DO UPDATE SET record = excluded.record",
            (*row, redemption.voucher),
        )
    if not case.claimed:
        connection.execute(
            "INSERT INTO lone_use VALUES (?, ?, ?, ?)",
            (stored.epoch, stored.seq, int(rules.is_home(case)), redemption.amount_fen),
        )


def _successor_row(
    record: Record, decision: Accepted, successor: Callable[[], SealKey]
) -> tuple[bytes, bytes]:
    key = successor()
    after = Record(
        voucher=record.voucher,
        secret=record.secret,
        generation=decision.generation_after,
        horizon=record.horizon,
        shares=record.shares,
        product=record.product,
        home=record.home,
        paid_fen=record.paid_fen,
    )
    return key.row_key, sealed.seal(after, key, secrets.token_bytes(sealed.NONCE_BYTES))


def _redeemed(parts: Parts, done: _Done, name: str) -> Redeemed:
    redemption = done.redemption
    return Redeemed(
        serial=redemption.serial,
        posid=parts.identity.posid,
        voucher=redemption.voucher,
        product=redemption.product,
        product_name=name,
        shares=redemption.shares,
        left=redemption.left,
        successor_code=done.code,
        mode=redemption.mode,
        at=done.at,
        head=done.head,
        repeated=False,
    )


def _left_for(case: Case) -> int:
    """A replaced code stands for nothing, whatever is left of the voucher."""
    return 0 if case.record.generation < case.standing.generation else rules.shares_left(case)


def _in_time(parts: Parts, claim: Claimed) -> bool:
    return parts.clock.read().mono_ms + CLAIM_MARGIN_MS <= claim.until_mono_ms


def _places(parts: Parts, opened: Opened) -> tuple[Place, ...]:
    outlets = sorted(opened.product.rule.outlets)
    return tuple(Place(outlet, parts.replica.outlet_name(outlet)) for outlet in outlets)


def _named(parts: Parts, refusal: Refusal) -> Refusal:
    """A refusal that speaks of outlets names them (AX-14)."""
    outlets = refusal.detail.get("outlets")
    if not isinstance(outlets, list):
        return refusal
    names = [parts.replica.outlet_name(outlet) for outlet in outlets]
    return Refusal(refusal.reason, {**refusal.detail, "outlets": names})


def _journal_refusal(parts: Parts, opened: Opened, refusal: Refusal, clerk: str) -> None:
    estimate = parts.clock.estimate()
    data: dict[str, object] = {
        "reason": str(refusal.reason),
        "credential": opened.credential,
        "voucher": opened.record.voucher,
    }
    with parts.journal.transaction() as connection:
        parts.journal.append(connection, Kind.REFUSED, data, parts.stamp(estimate, clerk))
    parts.clock.journalled(estimate.now)
