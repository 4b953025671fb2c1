"""A terminal reads its own journal back, over real HTTP, and nobody else's."""

import pytest

from central import reports
from central.service import Central
from sync import acks
from sync.errors import Refused
from sync.journal_messages import SetAside
from sync.limits import BATCH_ENTRIES_MAX, HELD_PAGE_BYTES_MAX
from sync.messages import BatchAnswer
from tests.central.conftest import Pair, issue
from tests.central.till import pair as pair_again
from vouchers import entries, ids
from vouchers.entries import Kind


def test_epochs_and_entries_come_back_verbatim(central: Central, url: str, pair: Pair) -> None:
    """Each epoch signed for, bodies as they came, and the last on the page signed."""
    voucher = issue(central, shares=4)
    first = pair("POS1")
    first.redeem(voucher)
    first.push()
    first.add(Kind.STARTED, {"text": "核销"})
    first.push(2)
    first.add(Kind.STARTED, {})
    first.hello()
    second = pair_again(central, url, "POS1")
    held = second.http.held_journal("POS1").epochs
    assert [(one.epoch, one.seq, one.head) for one in held] == [
        (1, 2, first.heads[2]),
        (2, 0, second.heads[0]),
    ]
    assert held[0].first_prev == first.heads[0] and held[1].previous_head == first.heads[2]
    assert held[0].said is not None
    assert (held[0].said.seq, held[0].said.hash) == (3, first.heads[3])
    assert held[1].ack is None and held[1].said is None
    keys = {key.kid: ids.unb64u(key.key) for key in second.enrolment.server_keys}
    assert held[0].ack is not None and held[0].sig is not None
    ack = acks.read_ack(acks.Signed(held[0].ack, held[0].kid, held[0].sig), keys)
    assert (ack.posid, ack.epoch, ack.up_to, ack.head) == ("POS1", 1, 2, first.heads[2])
    page = second.http.held_page("POS1", 1, 0)
    assert [one.body for one in page.entries] == first.bodies[:2] and page.more is False
    last = page.entries[-1].sig
    assert last is not None and ids.unb64u(last) == entries.sign_entry(first.bodies[1], first.key)
    assert second.http.held_page("POS1", 1, 2).entries == ()
    assert second.http.held_page("POS1", 7, 0).entries == ()
    second.http.close()


def test_a_page_ends_with_a_signed_entry(central: Central, pair: Pair) -> None:
    """However long the batches were: within its entries and its bytes, whole batches only."""
    till = pair("POS1")
    for _ in range(BATCH_ENTRIES_MAX + 10):
        till.add(Kind.STARTED, {})
    till.push(1, 300)
    till.push(301, 1_010)
    for size in range(6):
        till.add(Kind.STARTED, {"text": "x" * 900_000, "size": size})
        till.push(1_011 + size)
    lengths, after, more = [], 0, True
    while more:
        page = till.http.held_page("POS1", 1, after)
        assert page.entries[-1].sig is not None
        assert sum(len(one.body) for one in page.entries) <= HELD_PAGE_BYTES_MAX
        lengths.append(len(page.entries))
        after, more = after + len(page.entries), page.more
    assert lengths == [300, 710 + 4, 2]


def test_a_journal_is_its_terminal_s_own(central: Central, url: str, pair: Pair) -> None:
    """Not another terminal's, and not for a key of an older epoch."""
    first, other = pair("POS1"), pair("POS2")
    for ask in (
        lambda: other.http.held_journal("POS1"),
        lambda: other.http.held_page("POS1", 1, 0),
    ):
        with pytest.raises(Refused) as no:
            ask()
        assert (no.value.problem.status, no.value.reason) == (403, "not_this_terminal")
    with pytest.raises(Refused) as no:
        other.http.held_page("POS2", 0, 0)
    assert no.value.problem.status == 404
    pair_again(central, url, "POS1").http.close()
    with pytest.raises(Refused) as no:
        first.http.held_journal("POS1")
    assert (no.value.problem.status, no.value.reason) == (401, "unknown_key")


def test_totals_never_fall_across_epochs(central: Central, url: str, pair: Pair) -> None:
    """A new epoch may have counted more than has arrived; one that counts less is set aside."""
    voucher = issue(central, shares=4)
    first = pair("POS1")
    first.redeem(voucher)
    first.push()
    more = pair_again(central, url, "POS1")
    more.totals = entries.Totals(redemptions=3, shares=3)
    more.add(Kind.RECOVERED, {})
    assert more.push().verdicts == ()
    less = pair_again(central, url, "POS1")
    less.totals = entries.Totals(redemptions=2, shares=3)
    less.add(Kind.RECOVERED, {})
    assert [one.verdict for one in less.push().verdicts] == ["quarantined"]
    more.http.close()
    less.http.close()


def test_an_entry_is_set_aside_by_hash_and_signature(central: Central, pair: Pair) -> None:
    """The chain goes on over it; again changes nothing; another hash forks; unsigned is told."""
    till = pair("POS1")
    for _ in range(3):
        till.add(Kind.STARTED, {})

    def aside(seq: int, **changes: str) -> BatchAnswer:
        sig = ids.b64u(entries.sign_entry(till.bodies[seq - 1], till.key))
        whole = {"prev": till.heads[seq - 1], "hash": till.heads[seq], "sig": sig} | changes
        return till.http.set_aside("POS1", 1, SetAside(seq=seq, **whole))

    with pytest.raises(Refused) as gap:
        aside(2)
    assert (gap.value.reason, gap.value.problem.expected) == ("gap", 1)
    till.push(1, 1)
    for _ in range(2):
        assert [one.verdict for one in aside(2).verdicts] == ["quarantined"]
    assert till.push(3).verdicts == ()
    with pytest.raises(Refused) as fork:
        aside(2, hash="0" * 64)
    assert fork.value.reason == "fork"
    other = pair("POS2")
    other.add(Kind.STARTED, {})
    till = other
    with pytest.raises(Refused):
        aside(1)
    other.http.set_aside(
        "POS2", 1, SetAside(seq=1, prev=other.heads[0], hash=other.heads[1], sig="A" * 86)
    )
    with central.read() as work:
        assert [row["verdict"] for row in reports.conflicts(work)] == [
            "quarantined",
            "bad_signature",
        ]
