"""The redeem use case: from an opened voucher to a committed entry.

Responsible for: looking up (what it is and what is left) and redeeming (EV-046, EV-047, EV-049),
straight down the page, in one transaction. Not responsible for: screens, paper or the network
beyond asking for a claim. Invariants: nothing is visible before the commit; one request leads to
one entry; a partial redemption voids the code and writes the successor's row with it.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec import Struct, structs

from terminal import slip_jobs
from terminal.asked import Asked
from terminal.clock import Estimate
from terminal.journal import Stored
from terminal.journal_schema import Effect
from terminal.opening import Opened, open_card, open_credential, standing_of
from terminal.outcomes import Place, Redeemed, View
from terminal.parts import Claimed, Parts
from vouchers import codes, entries, rules, sealed
from vouchers.entries import Kind, Redemption
from vouchers.presented import presented
from vouchers.reasons import Reason, Refusal, known_reason
from vouchers.rules import Accepted, Case
from vouchers.sealed import Record, Vault


class _Done(Struct, frozen=True):
    """A committed redemption, as it was written."""

    at: int
    head: str
    redemption: Redemption
    code: str | None


class Successor(Struct, frozen=True):
    """The code of the next generation and the sealed row that it opens (EV-049)."""

    code: str
    row_key: bytes
    record: bytes


CLAIM_MARGIN_MS = 10_000
"""A claim is used only with this much of its time left (design, section 7, Claims)."""


CARD_CHOICES_MAX = 32
"""Vouchers of one card that a clerk is shown: nobody chooses among more."""


@dataclass(slots=True)
class Order:
    """What the clerk confirmed: `request` identifies it before it has an effect.

    `claim` is what central then answered.
    """

    shares: int
    clerk: str
    request: str
    slip: bool
    claim: Claimed | None = None


def look_up(
    parts: Parts, credential: str, last4: str, *, clerk: str, asked: Asked
) -> tuple[Opened, View] | Refusal:
    """Open a voucher and say what it is; changes no voucher. A refused view is journalled.

    Raises NotAsked, with nothing written, where central's word is needed first, and OutOfService
    where this terminal may redeem nothing any more: the clerk hears it before the customer waits.
    """
    parts.ensure_trusted()
    estimate = parts.clock.estimate()
    with parts.replica.reading():
        opened = open_credential(
            parts, credential, last4, now=estimate.now, clerk=clerk, asked=asked
        )
        if isinstance(opened, Refusal):
            return opened
        view = _view_of(parts, opened, estimate)
    if view.refusal is not None:
        _journal_refusal(parts, opened, view.refusal, parts.clock.estimate(), clerk)
    return opened, view


def look_up_card(
    parts: Parts, number: str, *, clerk: str, asked: Asked
) -> Sequence[tuple[Opened, View]] | Refusal:
    """Open a person's vouchers by the ID card that was read (EV-032); changes none of them.

    What can be redeemed here and now comes first, the soonest to expire before the others; then
    what cannot, the newest first. When nothing can, the first one's reason is journalled. Raises
    like `look_up`.
    """
    parts.ensure_trusted()
    estimate = parts.clock.estimate()
    with parts.replica.reading():
        opened = open_card(parts, number, now=estimate.now, clerk=clerk, asked=asked)
        if isinstance(opened, Refusal):
            return opened
        found = sorted(((one, _view_of(parts, one, estimate)) for one in opened), key=_offered)
    first, view = found[0]
    if view.refusal is not None:
        _journal_refusal(parts, first, view.refusal, parts.clock.estimate(), clerk)
    return found[:CARD_CHOICES_MAX]


def _offered(found: tuple[Opened, View]) -> tuple[bool, int]:
    view = found[1]
    return view.refusal is not None, view.valid_until if view.refusal is None else -view.valid_until


def _view_of(parts: Parts, opened: Opened, estimate: Estimate) -> View:
    """What a voucher is, by this terminal's view, and why not if not."""
    # While central is in reach it is asked before a redemption, so the limits of being alone do
    # not show yet; without its answer they hold all the same.
    reachable = parts.online is not None and parts.online.reachable()
    case = case_of(parts, opened, estimate, count=None, claimed=reachable)
    refusal, most = rules.judge(case)
    return View(
        handle=opened.handle,
        voucher=opened.record.voucher,
        product=opened.record.product,
        product_name=opened.product.name,
        shares=opened.record.shares,
        left=_left_for(case),
        max_now=most,
        generation=case.record.generation,
        valid_from=case.standing.valid_from,
        valid_until=case.standing.valid_until,
        outlets=_places(parts, opened),
        evidence=opened.evidence,
        refusal=None if refusal is None else _named(parts, refusal),
    )


def case_of(
    parts: Parts,
    opened: Opened,
    estimate: Estimate,
    *,
    count: int | None,
    claim: Claimed | None = None,
    claimed: bool = False,
) -> Case:
    """The question for the rules; `claimed` takes a claim for granted that is not asked for yet."""
    granted = claim is not None and claim.granted and _in_time(parts, claim)
    refused = None if claim is None else known_reason(claim.reason)
    standing = standing_of(parts, opened)
    return Case(
        record=presented(opened.record, standing, opened.credential),
        standing=standing,
        product=opened.product.rule,
        moment=parts.moment(estimate),
        evidence=opened.evidence,
        count=count,
        # Who was refused by central is not alone either: the network is not what is missing.
        claimed=granted or claimed or refused is not None,
        claim_refusal=refused,
        posture=parts.posture(),
        credential=opened.credential,
    )


def redeem(
    parts: Parts, opened: Opened, order: Order, successor: Callable[[], Successor]
) -> Redeemed | Refusal:
    """Redeem (EV-047). Raises OutOfService when nothing was done, OutcomeUnknown otherwise.

    `successor` gives the next code and its row; they were made while the clerk decided.
    """
    before = parts.journal.find_request(order.request)
    if before is not None:
        return first_result(parts, before, opened)
    estimate = parts.clock.estimate()
    with parts.replica.reading():
        case = case_of(parts, opened, estimate, count=order.shares, claim=order.claim)
        decision = _decide(case)
        if isinstance(decision, Refusal):
            _journal_refusal(parts, opened, decision, estimate, order.clerk)
            return _named(parts, decision)
        parts.ensure_fit()
        version = parts.replica.version()
    stamp = parts.stamp(estimate, order.clerk)
    made = successor() if decision.successor else None
    code = None if made is None else made.code
    effect = _effect(opened, order, case, decision, made)
    with parts.journal.transaction() as connection:
        redemption = _redemption(parts, opened, order, case, decision, version)
        data = entries.redemption_data(redemption)
        stored, entry = parts.journal.append(connection, Kind.REDEEMED, data, stamp, effect)
        if order.slip:
            product, until = opened.product, case.standing.valid_until
            said = slip_jobs.Context(stored.hash, product.name, product.slip_text, until)
            facts = slip_jobs.facts_in(parts, entry, redemption, said)
            slip_jobs.queue(connection, stored, facts, code, estimate.now)
    parts.clock.journalled(estimate.now)
    return _redeemed(parts, _Done(entry.at, stored.hash, redemption, code), opened.product.name)


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
    return structs.replace(_redeemed(parts, done, name), repeated=True)


def make_successor(opened: Opened, vault: Vault) -> Successor:
    """The next code and its row; takes the vault's time, so it is made while the clerk decides."""
    code = next_code(opened.record, opened.record.generation)
    key = sealed.stretch(code, opened.last4, vault)
    after = structs.replace(opened.record, generation=opened.record.generation + 1)
    nonce = secrets.token_bytes(sealed.NONCE_BYTES)
    return Successor(code, key.row_key, sealed.seal(after, key, nonce))


def next_code(record: Record, generation: int) -> str:
    """The successor of a generation's code, as long as the presented one (EV-049)."""
    return codes.derive(record.secret, generation + 1)


def _decide(case: Case) -> Accepted | Refusal:
    decision = rules.decide(case)
    if case.claim_refusal is None:
        return decision
    if isinstance(decision, Refusal) and decision.reason is not Reason.NEEDS_NETWORK:
        return decision
    # Central knows more than the replica: its word stands.
    return Refusal(case.claim_refusal)


def _redemption(
    parts: Parts, opened: Opened, order: Order, case: Case, decision: Accepted, version: str | None
) -> Redemption:
    """What the entry will say; inside its transaction, where it gets its serial (AX-01)."""
    record = opened.record
    return Redemption(
        serial=parts.journal.next_serial(),
        request=order.request,
        claim=None if order.claim is None else order.claim.claim,
        voucher=record.voucher,
        generation=case.record.generation,
        shares=decision.shares,
        left=decision.left,
        successor=decision.successor,
        credential=opened.credential,
        evidence=opened.evidence,
        mode="online" if case.claimed else "lone",
        product=record.product,
        amount_fen=decision.amount_fen,
        replica_version=version,
    )


def _effect(
    opened: Opened, order: Order, case: Case, decision: Accepted, made: Successor | None
) -> Effect:
    """What the entry brings about."""
    record, lone = opened.record, not case.claimed
    return Effect(
        voucher=record.voucher,
        generation=case.record.generation,
        shares=decision.shares,
        after=decision.generation_after,
        used_after=record.shares - decision.left,
        total=record.shares,
        request=order.request,
        home=rules.is_home(case) if lone else None,
        amount_fen=decision.amount_fen if lone else None,
        row_key=None if made is None else made.row_key,
        record=None if made is None else made.record,
    )


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
        code_follows=redemption.left > 0 and not redemption.successor,
    )


def _left_for(case: Case) -> int:
    """A replaced code stands for nothing, whatever is left of the voucher."""
    return 0 if case.record.generation < case.standing.generation else case.left


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


def _journal_refusal(
    parts: Parts, opened: Opened, refusal: Refusal, estimate: Estimate, clerk: str
) -> None:
    data: dict[str, object] = {
        "reason": str(refusal.reason),
        "credential": opened.credential,
        "voucher": opened.record.voucher,
    }
    with parts.journal.transaction() as connection:
        parts.journal.append(connection, Kind.REFUSED, data, parts.stamp(estimate, clerk))
    parts.clock.journalled(estimate.now)
