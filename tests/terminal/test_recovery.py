"""What comes back from central after a disk was lost, and what is not believed of it.

`Copy` gives out a real journal as central holds one; each test changes bytes of what it says.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync import acks
from sync.errors import Garbled, Unreachable
from sync.journal_messages import HeldEntry, HeldEpoch, HeldJournal, HeldPage, Said
from terminal import acknowledged
from terminal import identity as identities
from terminal.identity import Identity, Signer
from terminal.journal import Journal
from terminal.outcomes import Redeemed, View
from terminal.recovery import Brought, Lost, bring_back, merged
from tests.terminal.asking import redeem, reverse
from tests.terminal.shop import Shop, close
from vouchers.entries import Totals
from vouchers.ids import b64u

PAGE = 4
BATCH = 2
"""Entries to a page, and every how many one is signed, in the copy."""


@dataclass
class Copy:
    """Central's copy of a terminal's journal: of each entry, only the last of a batch is signed."""

    shop: Shop
    identity: Identity
    epochs: list[HeldEpoch] = field(default_factory=list)
    entries: dict[int, list[HeldEntry]] = field(default_factory=dict)
    cut_after: int = 1_000
    asked: int = 0

    def hold(self, journal: Journal) -> None:
        """Take a copy of everything in a journal."""
        for epoch in journal.epochs():
            record, public, first_prev = journal.epoch_record(epoch)
            head = journal.head(epoch)
            stored = journal.entries(epoch, 0, 1_000)
            self.entries[epoch] = [
                HeldEntry(
                    body=one.body, sig=b64u(one.sig) if self._ends(one.seq, head.seq) else None
                )
                for one in stored
            ]
            self.epochs.append(
                HeldEpoch(
                    epoch=epoch,
                    public_key=b64u(public),
                    previous_head=json.loads(record)["previous_head"],
                    first_prev=first_prev,
                    seq=head.seq,
                    head=head.hash,
                    **self._signed(epoch, head.seq, head.hash),
                )
            )

    def _ends(self, seq: int, last: int) -> bool:
        return seq % BATCH == 0 or seq == last

    def _signed(self, epoch: int, seq: int, head: str) -> dict[str, Any]:
        if not seq:
            return {}
        text = acks.compose_ack("T1", epoch, seq, head=head, at_ms=0)
        signed = acks.sign(acks.ACK_DOMAIN, text, kid=1, key=self.shop.central_key)
        return {"ack": signed.text, "kid": 1, "sig": signed.sig}

    def change(self, index: int, **changes: object) -> None:
        """Say something else of an epoch."""
        self.epochs[index] = msgspec.structs.replace(self.epochs[index], **changes)

    def held_journal(self, posid: str) -> HeldJournal:
        assert posid == "T1"
        return HeldJournal(epochs=tuple(self.epochs))

    def held_page(self, posid: str, epoch: int, after: int) -> HeldPage:
        self.asked += 1
        if self.asked > self.cut_after:
            raise Unreachable("cut")
        found = self.entries[epoch][after : after + PAGE]
        return HeldPage(entries=tuple(found), more=after + PAGE < len(self.entries[epoch]))


@pytest.fixture
def copy(shop: Shop) -> Copy:
    """Of a journal of ten entries: eight redemptions, one with a request of its own, two undone."""
    counter = shop.open()
    serials = [redeem(counter, shop.issue(2), request=f"r{n}").serial for n in range(8)]
    for serial in serials[:2]:
        reverse(counter, serial)
    journal = counter.parts.journal
    identity = counter.parts.identity
    after = msgspec.structs.replace(identity, epoch=2, previous_head=journal.head().hash)
    made = Copy(shop, after)
    made.hold(journal)
    close(counter)
    return made


@pytest.fixture
def empty(tmp_path: Path) -> Callable[[], Journal]:
    """A new disk."""
    return lambda: new_journal(tmp_path / "new.db", Ed25519PrivateKey.generate())


def new_journal(path: Path, key: Ed25519PrivateKey) -> Journal:
    signer = Signer(key, key.public_key().public_bytes_raw())
    return Journal(path, b"k" * 32, merchant=1, posid="T1", signer=signer)


def bring(journal: Journal, copy: Copy, former: Signer | None = None) -> Brought:
    try:
        return bring_back(journal, copy, copy.identity, former)
    finally:
        journal.close()


def table(journal: Journal, name: str) -> list[Any]:
    return journal.connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall()


def effects(journal: Journal) -> list[Any]:
    """What the entries brought about; the successor's row is lost, its place in `after` is not."""
    columns = "id, kind, request, voucher, generation, shares, after, reverses"
    return journal.connection.execute(f"SELECT {columns} FROM entry ORDER BY id").fetchall()


def test_everything_comes_back(copy: Copy, empty: Callable[[], Journal]) -> None:
    """Bodies, hashes, use of shares, requests, reversals; and the acknowledgement under it all."""
    assert bring(empty(), copy) == Brought(fetched=10)
    journal = empty()
    counter = copy.shop.open()
    old = counter.parts.journal
    assert [s.body for s in journal.entries(1, 0, 99)] == [s.body for s in old.entries(1, 0, 99)]
    assert effects(journal) == effects(old)
    assert acknowledged.up_to(journal.connection, 1) == 10 and journal.watermark(
        "acknowledged"
    ) == (1, 10)
    assert journal.totals() == old.totals() and journal.totals_at_start(1) == Totals()
    signed = [seq for seq, one in enumerate(journal.entries(1, 0, 99), 1) if one.sig]
    assert signed == [2, 4, 6, 8, 10]
    journal.close()
    close(counter)


def test_what_had_no_successor_here_comes_back_too(
    shop: Shop, empty: Callable[[], Journal]
) -> None:
    """EV-049: by a card or a QR alone the counter made no code, but the old one was void."""
    counter = shop.open()
    by_card, by_qr = shop.issue(3), shop.issue(3, rows=())
    shop.link_card("11010519491231002X", by_card)
    shop.database.execute("DELETE FROM state WHERE voucher = ?", (by_qr.voucher,))
    found = counter.look_up_card("11010519491231002X")
    assert isinstance(found, list)
    for view in (*found, counter.look_up(shop.qr(by_qr), by_qr.last4)):
        assert isinstance(view, View)
        done = counter.redeem(view.handle, 1, clerk="li", request=view.voucher)
        assert isinstance(done, Redeemed) and done.code_follows
    journal = counter.parts.journal
    after = msgspec.structs.replace(
        counter.parts.identity, epoch=2, previous_head=journal.head().hash
    )
    copy = Copy(shop, after)
    copy.hold(journal)
    assert bring(empty(), copy) == Brought(fetched=2)
    brought = empty()
    assert effects(brought) == effects(journal)
    assert [row[6] for row in effects(brought)] == [1, 1]
    brought.close()
    close(counter)


def test_with_the_old_key_every_signature_is_what_it_was(
    copy: Copy, empty: Callable[[], Journal]
) -> None:
    """Ed25519 gives the same bytes for the same key and text."""
    bring(empty(), copy, identities.signer(copy.identity))
    journal, counter = empty(), copy.shop.open()
    here = [one.sig for one in journal.entries(1, 0, 99)]
    assert here == [one.sig for one in counter.parts.journal.entries(1, 0, 99)]
    journal.close()
    close(counter)


def test_a_line_that_breaks_costs_only_another_try(
    copy: Copy, empty: Callable[[], Journal]
) -> None:
    """What came stays; the next try goes on from there."""
    copy.cut_after = 2
    with pytest.raises(Unreachable):
        bring(empty(), copy)
    copy.cut_after = 1_000
    assert bring(empty(), copy) == Brought(fetched=2)
    assert bring(empty(), copy) == Brought()


def test_the_journal_that_is_there_gets_the_rest(copy: Copy) -> None:
    """Nothing to fetch where nothing is missing; the acknowledgement is kept."""
    counter = copy.shop.open()
    assert bring_back(counter.parts.journal, copy, copy.identity, None) == Brought()
    assert acknowledged.up_to(counter.parts.journal.connection, 1) == 10
    close(counter)


def test_a_head_that_was_named_proves_what_is_lost(
    copy: Copy, empty: Callable[[], Journal]
) -> None:
    """The terminal had told central of entry 12; nobody holds 11 and 12."""
    copy.change(0, said=Said(seq=12, hash="f" * 64))
    assert bring(empty(), copy).lost == (Lost(1, 11, 12, "central"),)
    copy.change(0, said=Said(seq=10, hash="f" * 64))
    assert bring(empty(), copy).lost == ()


def test_both_proofs_are_told_once() -> None:
    """Of one epoch the longer tail counts."""
    told = Lost(1, 11, 12, "central")
    assert merged([told], None) == (told,)
    assert merged([told], Lost(1, 11, 11, "witness")) == (told,)
    assert merged([told], Lost(1, 11, 15, "witness")) == (Lost(1, 11, 15, "witness"),)
    assert merged([told], Lost(2, 1, 3, "witness")) == (told, Lost(2, 1, 3, "witness"))


def swap_body(copy: Copy) -> None:
    copy.entries[1][1] = HeldEntry(
        body=copy.entries[1][1].body.replace('"shares":1', '"shares":2'), sig=copy.entries[1][1].sig
    )


def unreadable(copy: Copy) -> None:
    copy.entries[1][1] = HeldEntry(body="{", sig=copy.entries[1][1].sig)


def wrong_signature(copy: Copy) -> None:
    copy.entries[1][3] = HeldEntry(body=copy.entries[1][3].body, sig=copy.entries[1][1].sig)


def no_signature(copy: Copy) -> None:
    copy.entries[1][3] = HeldEntry(body=copy.entries[1][3].body)


def left_out(copy: Copy) -> None:
    del copy.entries[1][2]


@pytest.mark.parametrize("harm", [swap_body, unreadable, wrong_signature, no_signature, left_out])
def test_what_does_not_hold_together_is_left_out(
    copy: Copy, empty: Callable[[], Journal], harm: Callable[[Copy], None]
) -> None:
    """Nothing of a page that is wrong anywhere enters the journal."""
    harm(copy)
    assert bring(empty(), copy) == Brought(0, differs=(1,))
    journal = empty()
    assert table(journal, "entry") == []
    journal.close()


@pytest.mark.parametrize(
    "changes",
    [{"first_prev": "0" * 64}, {"previous_head": "0" * 64}, {"head": "0" * 64}],
    ids=["first_prev", "previous_head", "head"],
)
def test_epochs_that_do_not_link_are_not_believed(
    copy: Copy, empty: Callable[[], Journal], changes: dict[str, str]
) -> None:
    """Each begins at its enrolment record and at the head before it."""
    copy.change(0, **changes)
    with pytest.raises(Garbled):
        bring(empty(), copy)


@pytest.mark.parametrize("seq", [9, 10])
def test_an_acknowledgement_for_something_else_is_not_kept(
    copy: Copy, empty: Callable[[], Journal], seq: int
) -> None:
    """Of another terminal, or of another history than central gave."""
    posid = "T2" if seq == 10 else "T1"
    text = acks.compose_ack(posid, 1, seq, head="0" * 64, at_ms=0)
    signed = acks.sign(acks.ACK_DOMAIN, text, kid=1, key=copy.shop.central_key)
    copy.change(0, ack=signed.text, sig=signed.sig)
    with pytest.raises(Garbled):
        bring(empty(), copy)


def test_a_journal_that_differs_stays_as_it_is(copy: Copy) -> None:
    """A restored journal went on offline: from the backup's end there are two histories."""
    counter = copy.shop.open()
    redeem(counter, copy.shop.issue())
    close(counter)
    other = copy.shop.open()
    changed = copy.entries[1][9].body
    journal = other.parts.journal
    copy.change(0, head="0" * 64)
    with pytest.raises(Garbled):
        bring_back(journal, copy, copy.identity, None)
    after = msgspec.structs.replace(copy.identity, previous_head="0" * 64)
    assert bring_back(journal, copy, after, None) == Brought(differs=(1,))
    assert journal.entry(1, 10).body == changed and journal.head().seq == 11
    close(other)


def test_empty_epochs_are_opened_and_a_later_one_bars_the_earlier(
    copy: Copy, empty: Callable[[], Journal]
) -> None:
    """An epoch without entries is a link too; where a later one began, nothing is put before it."""
    journal = empty()
    totals = bring_back(journal, copy, copy.identity, None) and journal.totals()
    journal.open_epoch(epoch=2, previous_head=journal.head().hash)
    journal.open_epoch(epoch=3, previous_head=journal.head().hash)
    made = Copy(copy.shop, msgspec.structs.replace(copy.identity, epoch=4))
    made.hold(journal)
    made.identity = msgspec.structs.replace(made.identity, previous_head=journal.head().hash)
    journal.close()
    again = new_journal(copy.shop.root / "again.db", Ed25519PrivateKey.generate())
    assert bring_back(again, made, made.identity, None) == Brought(fetched=10)
    assert again.epochs() == [1, 2, 3] and again.totals() == totals
    short = made.entries[1][:8]
    again.close()
    third = new_journal(copy.shop.root / "third.db", Ed25519PrivateKey.generate())
    made.entries[1] = short
    assert bring_back(third, made, made.identity, None).fetched == 8
    made.hold(third)
    assert bring_back(third, Held(made), made.identity, None).differs == (1,)
    third.close()


class Held(Copy):
    """The first three epochs of another copy."""

    def __init__(self, other: Copy) -> None:
        super().__init__(other.shop, other.identity, other.epochs[:3], other.entries)
