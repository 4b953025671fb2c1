"""Getting back from central what this terminal's disk has lost, before a new epoch begins.

Responsible for: fetching the entries of earlier epochs, believing them by chain and signature, and
writing them with what follows from them (used shares, requests, reversals). Not responsible for:
opening the new epoch (`enrol`), which a person asked for. Invariants: nothing enters that a
signature of its epoch's key does not cover; what is here already is never touched; an epoch that
differs from central's copy is left as it is, and said.
"""

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Protocol

import apsw
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sync.acks import Signed, read_ack
from sync.errors import Garbled
from sync.journal_messages import HeldEpoch, HeldJournal, HeldPage
from terminal import acknowledged
from terminal.identity import Identity, Signer
from terminal.journal import Journal
from terminal.journal_schema import ENTRY, ENTRY_WITH_EFFECT, Effect, entry_id
from vouchers import entries, ids
from vouchers.entries import Entry, Redemption, Reversal, Totals
from vouchers.fields import EntryError
from vouchers.presented import generation_after


class Source(Protocol):
    """Central, asked as the terminal that was just paired."""

    def held_journal(self, posid: str) -> HeldJournal:
        """The epochs it holds."""
        ...

    def held_page(self, posid: str, epoch: int, after: int) -> HeldPage:
        """Entries of one of them."""
        ...


@dataclass(frozen=True, slots=True)
class Lost:
    """Entries `first`..`last` of an epoch happened here, as `proof` shows, and nobody holds them.

    `proof` is `central`: the terminal had named a later head to it; or `witness`.
    """

    epoch: int
    first: int
    last: int
    proof: str


@dataclass(frozen=True, slots=True)
class Brought:
    """What came back. `differs`: epochs of which central holds another history than this disk."""

    fetched: int = 0
    lost: tuple[Lost, ...] = ()
    differs: tuple[int, ...] = ()


def bring_back(
    journal: Journal, source: Source, identity: Identity, former: Signer | None
) -> Brought:
    """Fetch what central holds of the epochs before `identity.epoch` and this journal does not.

    `former` is the signing key that was used here last, if it still is here: its signatures are
    made again, which gives the same bytes. Raises SyncError; what came so far stays and is used.
    """
    held = [e for e in source.held_journal(identity.posid).epochs if e.epoch < identity.epoch]
    _check_links(held, identity)
    brought = Brought()
    for epoch in held:
        one = _Epoch(journal, source, identity, epoch, former)
        brought = _added(brought, one.bring())
    return brought


def _added(one: Brought, two: Brought) -> Brought:
    return Brought(one.fetched + two.fetched, one.lost + two.lost, one.differs + two.differs)


def _check_links(held: Sequence[HeldEpoch], identity: Identity) -> None:
    """Each epoch must begin where its enrolment record says, and name the head before it."""
    before: str | None = None
    for epoch in held:
        if epoch.previous_head != before or entries.first_prev(_record(identity, epoch)) != (
            epoch.first_prev
        ):
            raise Garbled(f"central's copy of epoch {epoch.epoch} does not begin as it should")
        before = epoch.head
    if identity.previous_head != before:
        raise Garbled("central's copy of this journal ends elsewhere than the new epoch begins")


def _record(identity: Identity, epoch: HeldEpoch) -> str:
    return entries.enrolment_record(
        merchant=identity.merchant,
        posid=identity.posid,
        epoch=epoch.epoch,
        public_key=ids.unb64u(epoch.public_key),
        previous_head=epoch.previous_head,
    )


@dataclass(frozen=True, slots=True)
class _Read:
    """An entry as it was read and checked; `sig` is empty where a later one covers it."""

    entry: Entry
    effect: Effect | None
    body: str
    hash: str
    sig: bytes


class _Epoch:
    """One epoch on its way back."""

    def __init__(
        self,
        journal: Journal,
        source: Source,
        identity: Identity,
        held: HeldEpoch,
        former: Signer | None,
    ) -> None:
        self._journal, self._source, self._identity, self._held = journal, source, identity, held
        public = ids.unb64u(held.public_key)
        self._key = Ed25519PublicKey.from_public_bytes(public)
        self._signer = former if former is not None and former.public == public else None

    def bring(self) -> Brought:
        """Fetch what is missing here."""
        held, journal = self._held, self._journal
        known = held.epoch in journal.epochs()
        here = journal.head(held.epoch).seq if known else 0
        fetched = 0
        if here < held.seq:
            if known and held.epoch != journal.epochs()[-1]:
                return Brought(differs=(held.epoch,))  # a later epoch began without these
            for page in self._pages(here):
                added = self._take(page, known=known)
                if added is None:
                    return Brought(fetched, differs=(held.epoch,))
                known, fetched = True, fetched + added
        elif known and self._hash_at(held.seq) != held.head:
            return Brought(differs=(held.epoch,))
        if not known:
            self._open(self._journal.totals() if journal.epochs() else Totals())
        self._keep_ack()
        return Brought(fetched, self._lost())

    def _pages(self, after: int) -> Iterator[HeldPage]:
        while True:
            page = self._source.held_page(self._identity.posid, self._held.epoch, after)
            yield page
            after += len(page.entries)
            if not page.more or not page.entries:
                return

    def _take(self, page: HeldPage, *, known: bool) -> int | None:
        """Check and store a page; the entries it brought, None where it does not fit."""
        if not page.entries:
            return 0
        head = self._journal.head(self._held.epoch) if known else None
        seq, prev = (0, self._held.first_prev) if head is None else (head.seq, head.hash)
        totals = self._journal.totals(self._held.epoch) if head is not None else None
        read: list[_Read] = []
        for held in page.entries:
            try:
                entry = entries.read_entry(held.body)
                effect = _effect(entry)
            except EntryError:
                return None
            totals = _start(entry) if totals is None else totals
            if entries.follows(entry, prev=prev, seq=seq + 1, totals=totals) is not None:
                return None
            seq, prev, totals = entry.seq, entries.entry_hash(held.body), entry.totals
            sig = ids.unb64u(held.sig) if held.sig else b""
            read.append(_Read(entry, effect, held.body, prev, sig))
        if not entries.signature_holds(prev, read[-1].sig, self._key):
            return None
        if not known:
            self._open(_start(read[0].entry))
        with self._journal.transaction() as connection:
            for one in read:
                self._store(connection, one)
        return len(read)

    def _open(self, totals: Totals) -> None:
        self._journal.add_epoch(
            self._held.epoch,
            _record(self._identity, self._held),
            ids.unb64u(self._held.public_key),
            totals,
        )

    def _store(self, connection: apsw.Connection, one: _Read) -> None:
        entry, sig = one.entry, one.sig
        if not sig and self._signer is not None:
            sig = entries.sign_entry(one.body, self._signer.private)
        row = (entry_id(entry.epoch, entry.seq), entry.kind.value, one.body, one.hash, sig)
        effect = one.effect
        if effect is None:
            connection.execute(ENTRY, row)
            return
        # Asked again after a backup had been put back, a request has an entry in either epoch.
        if effect.request is not None and self._journal.find_request(effect.request) is not None:
            effect = effect._replace(request=None)
        connection.execute(ENTRY_WITH_EFFECT, (*row, *effect))

    def _hash_at(self, seq: int) -> str:
        if seq == 0:
            return self._journal.epoch_record(self._held.epoch)[2]
        return self._journal.entry(self._held.epoch, seq).hash

    def _keep_ack(self) -> None:
        """What came from central is acknowledged: it is neither sent again nor counted twice."""
        held, identity = self._held, self._identity
        if held.ack is None or held.sig is None:
            return
        ack = read_ack(Signed(held.ack, held.kid, held.sig), identity.server_keys)
        if (ack.posid, ack.epoch) != (identity.posid, held.epoch):
            raise Garbled(f"an acknowledgement for {ack.posid} epoch {ack.epoch}")
        if ack.up_to <= self._journal.head(held.epoch).seq:
            if ack.head != self._hash_at(ack.up_to):
                raise Garbled("central signs for another history than it gave")
            acknowledged.keep(self._journal, ack)

    def _lost(self) -> tuple[Lost, ...]:
        said, here = self._held.said, self._journal.head(self._held.epoch).seq
        if said is None or said.seq <= here:
            return ()
        return (Lost(self._held.epoch, here + 1, said.seq, "central"),)


def merged(lost: Sequence[Lost], seen: Lost | None) -> tuple[Lost, ...]:
    """All that is lost, with what the witness shows: of one epoch, the longer tail."""
    found = {one.epoch: one for one in lost}
    if seen is not None:
        known = found.get(seen.epoch)
        if known is None or seen.last > known.last:
            found[seen.epoch] = replace(seen, first=known.first if known else seen.first)
    return tuple(found[epoch] for epoch in sorted(found))


def _start(entry: Entry) -> Totals:
    """The totals before an entry."""
    step = Totals().after(entry.kind, entry.data)
    pairs = zip(astuple(entry.totals), astuple(step), strict=True)
    return Totals(*(after - grown for after, grown in pairs))


def _effect(entry: Entry) -> Effect | None:
    """What an entry brought about; the successor's row is not in it. Raises EntryError.

    What the voucher had before is central's to know; here it counts from this entry on.
    """
    moved = entries.moved(entry)
    if moved is None:
        return None
    after = generation_after(moved) if isinstance(moved, Redemption) else moved.generation
    shares = moved.shares if isinstance(moved, Redemption) else -moved.shares
    used = max(shares, 0)
    return Effect(
        voucher=moved.voucher,
        generation=moved.generation,
        shares=shares,
        after=after,
        used_after=used,
        total=used + moved.left,
        request=moved.request if isinstance(moved, Redemption) else None,
        reverses=None if isinstance(moved, Redemption) else _reversed_entry(moved),
    )


def _reversed_entry(undone: Reversal) -> int:
    named = ids.parse_serial(undone.reverses)
    if named is None:
        raise EntryError("what it reverses is not a serial")
    return entry_id(named.epoch, named.seq)
