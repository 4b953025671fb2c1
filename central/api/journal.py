"""Routes about journals and shares: `/journal/{posid}`, `/journal/{posid}/{epoch}`, `/claims`."""

from typing import Final

from litestar import Response, get, post
from litestar.params import FromPath, RawBody

from central import claims, feed, ingest, ledger, own_journal, verdicts, wipes
from central.api import wire
from central.api.wire import AnyRequest, ProblemError
from central.arriving import Upload
from central.claims import Claimant, Denied, Granted
from central.hello import Terminal
from central.ingest import Forked, Gap, Held, UnknownStream
from central.service import Central
from sync import acks
from sync.journal_messages import decode_set_aside
from sync.limits import BATCH_BYTES_MAX, SAFE_INTEGER_MAX
from sync.messages import BatchAnswer, ClaimAnswer, decode_batch, decode_claim_request
from vouchers import ids

EPOCH_MAX: Final = 999_999_999
"""What a serial can hold; far beyond any number of pairings."""


@post("/journal/{posid:str}/{epoch:int}", sync_to_thread=True, status_code=200)
def upload(
    request: AnyRequest, body: RawBody, posid: FromPath[str], epoch: FromPath[int]
) -> Response[bytes]:
    """Entries of a terminal's journal, acknowledged under a signature."""
    who = _uploader(request, body, posid)
    batch = wire.read(request, body, decode_batch, limit=BATCH_BYTES_MAX)
    last = batch.from_ + len(batch.entries) - 1
    sent = Upload(
        posid=posid,
        epoch=epoch,
        first=batch.from_,
        prev=batch.prev,
        bodies=batch.entries,
        signatures={last: ids.unb64u(batch.sig)},
    )
    return _taken(request, who, sent)


@post("/journal/{posid:str}/{epoch:int}/aside", sync_to_thread=True, status_code=200)
def set_aside(
    request: AnyRequest, body: RawBody, posid: FromPath[str], epoch: FromPath[int]
) -> Response[bytes]:
    """An entry whose body this service refused: the chain goes on over its hash, quarantined."""
    who = _uploader(request, body, posid)
    aside = wire.read(request, body, decode_set_aside)
    sent = Upload(
        posid=posid,
        epoch=epoch,
        first=aside.seq,
        prev=aside.prev,
        bodies=("",),
        signatures={aside.seq: ids.unb64u(aside.sig)},
        aside={aside.seq: aside.hash},
    )
    return _taken(request, who, sent)


def _uploader(request: AnyRequest, body: bytes, posid: str) -> Terminal:
    who = wire.called(request, body, any_epoch=True).terminal
    if who.posid != posid:
        raise ProblemError(403, "not_this_terminal", "a terminal uploads its own journal only")
    return who


def _taken(request: AnyRequest, who: Terminal, sent: Upload) -> Response[bytes]:
    if not 1 <= sent.epoch <= EPOCH_MAX:
        raise _refused(UnknownStream())
    desk = wire.desk(request)
    taken = desk.uploads.ingest(sent)
    if isinstance(taken, Held | Forked) and wipes.is_ordered(desk.central, who):
        return wire.answer(request, _let_go(desk, who, sent))
    if not isinstance(taken, Held):
        raise _refused(taken)
    return wire.answer(request, _acknowledge(desk, who, taken, sent))


def _refused(taken: Gap | Forked | UnknownStream) -> ProblemError:
    match taken:
        case Gap(expected=expected):
            return ProblemError(409, "gap", f"entry {expected} is next", expected=expected)
        case Forked(at=at):
            return ProblemError(409, "fork", f"entry {at} differs from what central holds")
        case UnknownStream():
            return ProblemError(404, "unknown_stream", "this terminal never had that epoch")


def _let_go(desk: wire.Desk, terminal: Terminal, sent: Upload) -> BatchAnswer:
    """Sign for what a terminal sent that is to be wiped, wherever it is kept: as its stream, or
    apart where it fits into none. A signature under the stream alone would never let it end.
    """
    last = sent.first + len(sent.bodies) - 1
    now = desk.central.clock()
    head = sent.hashes()[-1]
    text = acks.compose_ack(terminal.posid, sent.epoch, last, head=head, at_ms=now)
    ring = desk.gate.ring
    signed = acks.sign(acks.ACK_DOMAIN, text, kid=ring.sign_kid, key=ring.sign)
    return BatchAnswer(ack=signed.text, kid=signed.kid, sig=signed.sig)


def _acknowledge(desk: wire.Desk, terminal: Terminal, held: Held, sent: Upload) -> BatchAnswer:
    epoch = sent.epoch
    text = acks.compose_ack(terminal.posid, epoch, held.up_to, head=held.head, at_ms=held.at)
    ring = desk.gate.ring
    signed = acks.sign(acks.ACK_DOMAIN, text, kid=ring.sign_kid, key=ring.sign)
    last = sent.first + len(sent.bodies) - 1
    with desk.central.read() as work:
        moved = feed.heads(work, held.buckets)
        if held.added == len(sent.bodies):
            found = verdicts.of_booked(held.booked)
        else:
            found = verdicts.of_batch(work, sent, last if held.apart is None else held.apart - 1)
            if held.apart is not None:
                found += verdicts.of_branch(work, sent, held.apart)
    return BatchAnswer(
        ack=signed.text,
        kid=signed.kid,
        sig=signed.sig,
        verdicts=found,
        cursor={str(bucket): cursor for bucket, cursor in moved.items()},
    )


@get("/journal/{posid:str}", sync_to_thread=True)
def held_journal(request: AnyRequest, posid: FromPath[str]) -> Response[bytes]:
    """What central holds of the journal of the terminal that asks."""
    _own(request, posid)
    desk = wire.desk(request)
    with desk.central.read() as work:
        found = own_journal.held(work, desk.gate.ring, posid)
    return wire.answer(request, found)


@get("/journal/{posid:str}/{epoch:int}", sync_to_thread=True)
def held_page(request: AnyRequest, posid: FromPath[str], epoch: FromPath[int]) -> Response[bytes]:
    """Entries of an own epoch, for a terminal that lost them."""
    _own(request, posid)
    after = wire.number(request, "after", 0, SAFE_INTEGER_MAX)
    if not 1 <= epoch <= EPOCH_MAX:
        raise _refused(UnknownStream())
    with wire.desk(request).central.read() as work:
        found = own_journal.page(work, posid, epoch, after)
    return wire.answer(request, found)


def _own(request: AnyRequest, posid: str) -> None:
    if wire.called(request, b"").terminal.posid != posid:
        raise ProblemError(403, "not_this_terminal", "a terminal reads its own journal only")


@post("/claims", sync_to_thread=True, status_code=200)
def claim(request: AnyRequest, body: RawBody) -> Response[bytes]:
    """Shares held for this terminal while it commits, or why not."""
    who = wire.called(request, body)
    asked = wire.read(request, body, decode_claim_request)
    central = wire.desk(request).central
    result = claims.claim(central, _claimant(central, who.terminal), asked)
    return wire.answer(request, _claim_answer(asked.claim, result))


def _claimant(central: Central, terminal: Terminal) -> Claimant:
    with central.read() as work:
        seq = ingest.head_seq(work, terminal.posid, terminal.epoch)
    return Claimant(terminal.posid, terminal.epoch, terminal.outlet, seq)


def _claim_answer(claim_id: str, result: Granted | Denied) -> ClaimAnswer:
    match result:
        case Granted(voucher=voucher, valid_ms=valid_ms):
            return ClaimAnswer(
                claim=claim_id,
                granted=True,
                valid_s=valid_ms // 1000,
                state=ledger.state_item(voucher),
            )
        case Denied(refusal=refusal, voucher=found):
            detail = {
                name: value
                for name, value in refusal.detail.items()
                if value is None or isinstance(value, str | int)
            }
            return ClaimAnswer(
                claim=claim_id,
                granted=False,
                reason=str(refusal.reason),
                detail=detail,
                state=None if found is None else ledger.state_item(found),
            )
