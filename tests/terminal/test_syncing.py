"""The terminal's ports for `sync`, on real files."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from sync import keyring, messages, sealedbox
from sync.acks import Ack, Signed
from sync.errors import NoContact
from terminal import identity as identities
from terminal import syncing
from terminal.counter import ShopCounter
from terminal.errors import OutOfService
from terminal.holding import HolderOfTerminal
from terminal.journal import Journal
from terminal.syncing import ClockOfTerminal, JournalOfTerminal
from tests.terminal.asking import redeem, reverse, view
from tests.terminal.shop import Shop
from vouchers import entries
from vouchers.ids import b64u


@pytest.fixture
def port(counter: ShopCounter) -> JournalOfTerminal:
    return JournalOfTerminal(counter)


@pytest.fixture
def holder(shop: Shop, counter: ShopCounter) -> HolderOfTerminal:
    return HolderOfTerminal(counter, shop.key, instance="i", version="1")


def ack(epoch: int, up_to: int) -> Ack:
    signed = Signed('{"a":1}', 1, b64u(b"s" * 64))
    return Ack("T1", epoch, up_to, "0" * 64, 0, signed)


def test_lines_are_the_entries_verbatim(
    shop: Shop, counter: ShopCounter, port: JournalOfTerminal
) -> None:
    """What is sent is the body as it was signed, with its hash and signature."""
    done = [redeem(counter, shop.issue()) for _ in range(3)]
    lines = port.entries(1, after=1, limit=5)
    assert [line.seq for line in lines] == [2, 3] and lines[-1].hash == done[-1].head
    assert entries.entry_hash(lines[0].body) == lines[0].hash == port.hash_at(1, 2)
    assert (port.posid, port.epochs()) == ("T1", [1])
    assert (port.head(1).seq, port.head(1).hash) == (3, done[-1].head)
    assert port.hash_at(1, 0) == counter.parts.journal.epoch_record(1)[2]
    assert port.hash_at(1, 4) is None


def test_a_long_backlog_is_read_in_slices(
    shop: Shop, counter: ShopCounter, port: JournalOfTerminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clerk who redeems meanwhile waits for one slice at most; the lines are all there."""
    for _ in range(5):
        redeem(counter, shop.issue())
    monkeypatch.setattr(syncing, "_SLICE", 2)
    asked, real = [], Journal.entries

    def watched(journal: Journal, epoch: int, after: int, limit: int) -> object:
        asked.append(limit)
        return real(journal, epoch, after, limit)

    monkeypatch.setattr(Journal, "entries", watched)
    for after, limit, due in ((0, 99, [1, 2, 3, 4, 5]), (1, 3, [2, 3, 4]), (5, 9, [])):
        assert [line.seq for line in port.entries(1, after=after, limit=limit)] == due
    assert set(asked) == {1, 2}


def test_an_acknowledgement_moves_forward_only(
    shop: Shop, counter: ShopCounter, port: JournalOfTerminal
) -> None:
    """A late, lower acknowledgement changes nothing, and one per epoch is kept."""
    for _ in range(3):
        redeem(counter, shop.issue())
    for up_to in (2, 3, 1):
        port.acknowledge(ack(1, up_to))
    assert port.acknowledged(1) == 3 and port.acknowledged(2) == 0
    assert counter.parts.journal.watermark("acknowledged") == (1, 3)
    assert counter.status().unacknowledged == 0


def test_an_older_epoch_s_acknowledgement_keeps_the_newer_mark(
    shop: Shop, counter: ShopCounter, port: JournalOfTerminal
) -> None:
    """What is rescued of an older epoch is acknowledged without going back."""
    redeem(counter, shop.issue())
    counter.parts.journal.open_epoch(epoch=2, previous_head=None)
    redeem(counter, shop.issue())
    port.acknowledge(ack(2, 1))
    port.acknowledge(ack(1, 1))
    assert counter.parts.journal.watermark("acknowledged") == (2, 1)
    assert port.acknowledged(1) == 1


def test_verdicts_are_kept_with_their_cursor(
    shop: Shop, counter: ShopCounter, port: JournalOfTerminal
) -> None:
    """A page of changed verdicts replaces what was known and moves the cursor with it."""
    done = redeem(counter, shop.issue())
    assert port.verdict_cursor() == ""
    said = messages.Verdict(seq=1, serial=done.serial, verdict="accepted")
    port.store_verdicts(1, [said])
    late = messages.Verdict(seq=1, serial=done.serial, verdict="over_redeemed", excess=1)
    port.store_verdict_page(messages.VerdictsPage(verdicts=(late,), cursor="7"))
    assert port.verdict_cursor() == "7"
    assert counter.history(1)[0].verdict == "over_redeemed"


def test_hello_says_who_and_where(
    shop: Shop, counter: ShopCounter, holder: HolderOfTerminal
) -> None:
    """The instance, the head and the nonce go to central, whose keys are the enrolment's."""
    done = redeem(counter, shop.issue())
    said = holder.hello("n" * 22)
    assert (said.instance, said.nonce, said.version) == ("i", "n" * 22, "1")
    assert (said.head.epoch, said.head.seq, said.head.hash) == (1, 1, done.head)
    assert said.report is not None
    told = said.report
    assert (told.queue, told.printer, told.clock, told.key_source) == (1, "none", "ok", "file")
    assert told.disk_free_mb > 0 and told.notices == 0 and told.replica_age_s == 0
    assert holder.server_keys() == {1: shop.central_key.public_key().public_bytes_raw()}


def test_central_s_message_is_a_notice(counter: ShopCounter, holder: HolderOfTerminal) -> None:
    """A `message` is shown once; other directives are not the holder's business."""
    wishes = [
        messages.Directive(do="message", text="Stock-taking at 6"),
        messages.Directive(do="rebootstrap"),
    ]
    for _ in range(2):
        holder.directed(wishes, "n" * 22)
    (notice,) = counter.status().notices
    assert (notice.kind, notice.detail) == ("message", {"text": "Stock-taking at 6"})


def test_a_fenced_terminal_redeems_nothing_until_it_is_enrolled_anew(
    shop: Shop, counter: ShopCounter, holder: HolderOfTerminal
) -> None:
    """After `fork` nothing is booked under this epoch; the next epoch is free again."""
    sample, done = shop.issue(), redeem(counter, shop.issue())
    fence = type("F", (), {"trouble": "fork", "detail": "x"})()
    seen = view(counter, sample.code(), sample.last4)
    holder.fenced(1, fence)
    with pytest.raises(OutOfService, match=r"disagree \(fork\).*hexiao enrol"):
        counter.look_up(sample.code(), sample.last4)
    with pytest.raises(OutOfService, match=r"disagree \(fork\).*hexiao enrol"):
        counter.redeem(seen.handle, 1, clerk="li", request="q")
    with pytest.raises(OutOfService, match="disagree"):
        reverse(counter, done.serial)
    assert "fenced" in [notice.kind for notice in counter.status().notices]
    text = counter.parts.journal.meta("fenced")
    assert json.loads(str(text)) == {"epoch": 1, "trouble": "fork"}
    holder.fenced(0, fence)
    assert json.loads(str(counter.parts.journal.meta("fenced")))["epoch"] == 1
    with counter.parts.journal.transaction() as connection:
        counter.parts.journal.set_meta(connection, "fenced", '{"epoch": 0, "trouble": "fork"}')
    assert counter.parts.fence() is None


def test_the_clock_s_port(shop: Shop, counter: ShopCounter) -> None:
    """Estimated time, time since boot, chance and nonces are handed on."""
    clock = ClockOfTerminal(counter)
    assert clock.now_ms() == shop.clock.wall_ms and clock.monotonic_ms() == shop.clock.mono_ms
    assert 0 <= clock.random() < 1 and clock.nonce() != clock.nonce()


def test_errors_of_the_network_are_errors_of_sync() -> None:
    """What the ports may meet is an exception of `sync`, which the worker turns into a word."""
    assert issubclass(NoContact, Exception)


# New keys of central


def test_a_vouched_key_is_believed_and_kept(
    shop: Shop, counter: ShopCounter, holder: HolderOfTerminal
) -> None:
    """It verifies what central signs and voucher QRs, also after a restart."""
    new = Ed25519PrivateKey.generate()
    public = new.public_key().public_bytes_raw()
    vouched = keyring.vouch(2, public, by=1, key=shop.central_key)
    seal_public = X25519PrivateKey.from_private_bytes(counter.parts.identity.seal_key).public_key()
    box = sealedbox.seal(b"t" * 32, seal_public.public_bytes_raw(), one_time=b"o" * 32)
    tag = messages.SealedKey(kid=2, sealed=b64u(box))
    holder.keys_told([vouched], [tag], [])
    assert holder.server_keys()[2] == public and counter.parts.server_keys[2] == new.public_key()
    kept = identities.load(shop.data, shop.key)
    assert kept.server_keys[2] == public and kept.tag_keys[2] == b"t" * 32
    assert kept.server_keys[1] == shop.central_key.public_key().public_bytes_raw()


def test_an_untrusted_key_is_refused(
    shop: Shop, counter: ShopCounter, holder: HolderOfTerminal
) -> None:
    """A stranger's word, a box for another terminal and the loss of the last key change nothing."""
    before = shop.data.identity.read_bytes()
    stranger = Ed25519PrivateKey.generate()
    public = stranger.public_key().public_bytes_raw()
    forged = keyring.vouch(2, public, by=1, key=stranger)
    bare = messages.ServerKey(kid=3, key=b64u(public))
    holder.keys_told([forged, bare], [messages.SealedKey(kid=2, sealed="AAAA")], [1])
    assert set(holder.server_keys()) == {1} == set(counter.parts.server_keys)
    assert shop.data.identity.read_bytes() == before
