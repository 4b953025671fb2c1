"""Claims: shares held for one counter while it commits (design, section 7; AX-12, AX-13).

Responsible for: granting, and freeing what was not used. Not responsible for: HTTP. Invariants: a
claim id is granted once; shares held and used never exceed the voucher's; a claim stops holding
shares when its entry arrives, when an entry that came later than its expiry shows that it was not
used, or after the policy's hold.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, func, select, tuple_, update

from central import catalogue, keys, ledger, policies, schema, sealing
from central.booked import Booked
from central.database import retried
from central.ledger import Voucher
from central.service import Central, Work
from sync.limits import CLAIM_S
from sync.messages import ClaimRequest
from vouchers import ids, rules, sealed, times
from vouchers.presented import ID_CARD, presented
from vouchers.reasons import Reason, Refusal
from vouchers.rules import Case, Moment, ProductRule
from vouchers.standing import Standing, VoucherState

GRANTED: Final = "granted"
USED: Final = "used"
RELEASED: Final = "released"

_CODE: Final = "code"
"""The credential of a claim by a code; that of a claim by a card is `ID_CARD`."""


@dataclass(frozen=True, slots=True)
class Claimant:
    """The terminal that asks: its epoch, its outlet, and the sequence central holds of it."""

    posid: str
    epoch: int
    outlet: int
    head_seq: int


@dataclass(frozen=True, slots=True)
class Granted:
    """Shares are held for `valid_ms` from now; `voucher` is how it stands."""

    voucher: Voucher
    valid_ms: int


@dataclass(frozen=True, slots=True)
class Denied:
    """Why not; `voucher` is None when the row key opens nothing."""

    refusal: Refusal
    voucher: Voucher | None


@retried
def claim(central: Central, who: Claimant, asked: ClaimRequest) -> Granted | Denied:
    """Hold shares for a terminal, or say why not. The same claim again answers as before."""
    credential = _credential(central, asked)
    if credential is None:
        return Denied(Refusal(Reason.UNKNOWN_OR_WRONG), None)
    with central.write() as work:
        voucher = ledger.find_all(work, [asked.voucher], lock=True)[asked.voucher]
        known = _known(work, who, asked)
        if known is not None:
            return known if isinstance(known, Denied) else Granted(voucher, known)
        refusal = _refusal(central, work, who, asked, voucher, credential)
        if refusal is not None:
            return Denied(refusal, voucher)
        work.connection.execute(
            schema.claims.insert().values(
                merchant=work.merchant,
                claim=asked.claim,
                posid=who.posid,
                epoch=who.epoch,
                voucher=voucher.voucher,
                generation=asked.generation,
                shares=asked.shares,
                state=GRANTED,
                head_seq=who.head_seq,
                granted_at=work.now,
                expires_at=work.now + CLAIM_S * 1000,
            )
        )
        return Granted(voucher, CLAIM_S * 1000)


def _credential(central: Central, asked: ClaimRequest) -> str | None:
    """What the row key shows to have been presented: this generation's code with the last four
    digits, or a card of the voucher's person; None when neither was.
    """
    table = schema.sealed
    with central.read() as work:
        row = work.connection.execute(
            select(table.c.voucher, table.c.generation).where(
                table.c.merchant == work.merchant, table.c.k == ids.unb64u(asked.row_key)
            )
        ).one_or_none()
        if row is not None:
            by_card = row.generation == schema.CARD_ROW
            fits = row.voucher == asked.voucher and (by_card or row.generation == asked.generation)
            return None if not fits else ID_CARD if by_card else _CODE
        voucher = ledger.find(work, asked.voucher)
        vault = keys.load(work).vault
    if voucher is None or asked.generation > voucher.horizon:
        return None
    # A terminal derives successors faster than they are sealed here: look at the code itself.
    code = voucher.code_of(asked.generation)
    row_key = ids.b64u(sealed.stretch(code, voucher.last4, vault).row_key)
    return _CODE if row_key == asked.row_key else None


def _known(work: Work, who: Claimant, asked: ClaimRequest) -> int | Denied | None:
    table = schema.claims
    row = work.connection.execute(
        select(table).where(table.c.merchant == work.merchant, table.c.claim == asked.claim)
    ).one_or_none()
    if row is None:
        return None
    same = (row.posid, row.voucher, row.shares) == (who.posid, asked.voucher, asked.shares)
    # No longer than a claim lasts, also where this clock was set back since.
    left_ms = min(int(row.expires_at) - work.now, CLAIM_S * 1000)
    if not same or row.state != GRANTED or left_ms <= 0:
        return Denied(Refusal(Reason.IN_PROGRESS, {"why": "claim_over"}), None)
    return left_ms


def _refusal(
    central: Central,
    work: Work,
    who: Claimant,
    asked: ClaimRequest,
    voucher: Voucher,
    credential: str,
) -> Refusal | None:
    decided = rules.decide(_case(central, work, who, asked, voucher, credential))
    if isinstance(decided, Refusal):
        return decided
    if asked.shares > voucher.left - held_shares(work, voucher.voucher):
        return Refusal(Reason.IN_PROGRESS, {"left": voucher.left})
    return None


def _case(
    central: Central,
    work: Work,
    who: Claimant,
    asked: ClaimRequest,
    voucher: Voucher,
    credential: str,
) -> Case:
    product = catalogue.products(work)[voucher.product]
    standing = Standing(
        state=VoucherState(voucher.state),
        generation=voucher.generation,
        used=voucher.used,
        valid_from=voucher.valid_from,
        valid_until=voucher.valid_until,
        home=voucher.home,
    )
    record = sealing.record_of(voucher, asked.generation)
    return Case(
        record=presented(record, standing, credential),
        standing=standing,
        product=ProductRule(
            product=product.product,
            outlets=frozenset(product.outlets),
            weekdays=frozenset(product.terms.weekdays),
            online_only=product.terms.online_only,
        ),
        moment=Moment(
            now=work.now,
            floor=work.now,
            weekday=times.weekday(work.now, central.zone),
            suspect=False,
            outlet=who.outlet,
        ),
        evidence="central",
        count=asked.shares,
        claimed=True,
        credential=credential,
    )


def held_shares(work: Work, voucher: str) -> int:
    """Shares of a voucher that granted claims hold at this moment."""
    table = schema.claims
    hold_ms = policies.current(work).claim.hold_minutes * times.MINUTE_MS
    held = work.connection.execute(
        select(func.coalesce(func.sum(table.c.shares), 0)).where(
            table.c.merchant == work.merchant,
            table.c.voucher == voucher,
            table.c.state == GRANTED,
            table.c.granted_at > work.now - hold_ms,
        )
    ).scalar_one()
    return int(held)


def free_expired(work: Work) -> int:
    """Mark the claims whose hold is over (`claim.hold_minutes`) as released. Answers how many."""
    hold_ms = policies.current(work).claim.hold_minutes * times.MINUTE_MS
    table = schema.claims
    freed = work.connection.execute(
        update(table)
        .where(
            table.c.merchant == work.merchant,
            table.c.state == GRANTED,
            table.c.granted_at <= work.now - hold_ms,
        )
        .values(state=RELEASED)
    )
    return freed.rowcount


def consume(
    work: Work, named: Collection[tuple[str, str]]
) -> dict[tuple[str, str], tuple[str, int]]:
    """Mark the claims that entries of terminals name as used: pairs of POSID and claim.

    Answers voucher and shares of each that was granted to it and still held; nothing for others.
    """
    table = schema.claims
    granted: dict[tuple[str, str], tuple[str, int]] = {}
    for part in ledger.parts([pair for pair in sorted(named) if ids.is_uuid(pair[1])]):
        rows = work.connection.execute(
            update(table)
            .where(
                table.c.merchant == work.merchant,
                tuple_(table.c.posid, table.c.claim).in_(part),
                table.c.state == GRANTED,
            )
            .values(state=USED)
            .returning(table.c.posid, table.c.claim, table.c.voucher, table.c.shares)
        )
        granted |= {(row.posid, row.claim): (row.voucher, row.shares) for row in rows}
    return granted


def count(work: Work, rows: Sequence[Booked]) -> None:
    """Consume the claims that entries name; one that was never granted to them, or for fewer
    shares, counts for nothing (decision 0008).
    """
    named = [(row, row.claim) for row in rows if row.claim is not None]
    granted = consume(work, {(row.posid, claim) for row, claim in named})
    for row, claim in named:
        voucher, shares = granted.pop((row.posid, claim), (None, 0))
        if voucher != row.voucher or row.shares > shares:
            row.claim = None


# Made once: every upload asks.
_OVER: Final = select(
    schema.claims.c.claim,
    schema.claims.c.posid,
    schema.claims.c.epoch,
    schema.claims.c.expires_at,
).where(
    schema.claims.c.merchant == bindparam("of_merchant"),
    schema.claims.c.posid.in_(bindparam("of", expanding=True)),
    schema.claims.c.state == GRANTED,
    schema.claims.c.expires_at < bindparam("now"),
)


def release_passed(work: Work, latest: Mapping[tuple[str, int], int]) -> None:
    """Free the claims of terminals (POSID, epoch) that an acknowledged entry proves unused.

    `latest` has the newest recorded time (ms UTC) among the entries of each: one later than the
    end of a claim proves that the claim was not consumed before it.
    """
    table = schema.claims
    asked = {
        "of_merchant": work.merchant,
        "of": sorted({posid for posid, _ in latest}),
        "now": work.now,
    }
    held = work.connection.execute(_OVER, asked)
    passed = [row.claim for row in held if row.expires_at < latest.get((row.posid, row.epoch), 0)]
    for part in ledger.parts(sorted(passed)):
        work.connection.execute(
            update(table)
            .where(
                table.c.merchant == work.merchant,
                table.c.claim.in_(part),
                table.c.state == GRANTED,
            )
            .values(state=RELEASED)
        )
