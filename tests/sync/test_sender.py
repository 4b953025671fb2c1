"""The sender books everything once, whatever the line does, and stops when its disk lies."""

import json
import random
from dataclasses import replace

import pytest

from sync import sender
from sync.errors import Busy, Garbled, Refused, Slow, Unreachable
from sync.limits import BATCH_BYTES_MAX, BATCH_ENTRIES_MAX
from sync.messages import Head, Verdict, encode
from sync.pacing import Pace
from sync.problems import Problem
from sync.sender import Fence, Pass, Rest, Send, Sending, Sent, Stream
from tests.sync.peer import FIRST_PREV, KEYS, Chain, Peer, ack_of, refusal


def stream(head=10, acknowledged=0, waited_ms=10_000):
    return Stream("T1", 1, head, acknowledged, waited_ms)


def step(sending, **changes):
    return sender.plan(sending, stream(**changes), now_ms=0)


TEN = Sent(1, 10)


def fail(sending, error, sent=TEN, head=10):
    return sender.failed(sending, sent, error, stream=stream(head), now_ms=0, chance=0.0)


def test_nothing_to_send():
    """An acknowledged journal rests until there is a new entry."""
    assert step(Sending(), head=0) == Rest(None)
    assert step(Sending(), acknowledged=10) == Rest(None)


def test_a_young_entry_waits_for_company():
    """By age: the oldest entry lingers a moment. By size: a full batch goes at once."""
    assert step(Sending(), head=1, waited_ms=0) == Rest(sender.LINGER_MS)
    assert step(Sending(), head=1, waited_ms=sender.LINGER_MS) == Send(0, BATCH_ENTRIES_MAX)
    assert step(Sending(), head=BATCH_ENTRIES_MAX, waited_ms=0) == Send(0, BATCH_ENTRIES_MAX)


def test_it_begins_after_the_watermark_or_where_central_asks():
    """What was signed for is not sent again, unless central lost it."""
    assert step(Sending(), acknowledged=4) == Send(4, BATCH_ENTRIES_MAX)
    assert step(Sending(resume=3), acknowledged=4) == Send(2, BATCH_ENTRIES_MAX)


def test_a_pause_is_kept():
    """After a failure nothing is sent before its time."""
    assert step(Sending(pace=Pace(1, 700))) == Rest(700)
    assert step(Sending(pace=Pace(1, 0))) == Send(0, BATCH_ENTRIES_MAX)


def test_a_fence_stops_everything():
    """No entry leaves a stream that is under suspicion."""
    fence = Fence("fork", "two histories")
    assert step(Sending(fence=fence)) is fence


def test_a_batch_is_the_contract():
    """Field by field as design section 7 writes it."""
    chain = Chain().grown(3)
    batch, sent = sender.pack(chain.hashes[1], chain.lines(1, 5))
    assert sent == Sent(2, 3)
    assert json.loads(encode(batch)) == {
        "schema": 1,
        "from": 2,
        "prev": chain.hashes[1],
        "entries": chain.bodies[1:],
        "sig": "S" * 85 + "A",
    }


def test_a_batch_stays_within_the_size_limit():
    """Quotes and Chinese are counted as they go over the wire; one giant still goes alone."""
    chain = Chain().grown(40, words='核销"' * 10_000)
    batch, sent = sender.pack(FIRST_PREV, chain.lines(0, 40))
    assert 1 < sent.last < 40
    assert BATCH_BYTES_MAX * 0.9 < len(encode(batch)) <= BATCH_BYTES_MAX
    giant = Chain().grown(1, words="x" * 2 * BATCH_BYTES_MAX).grown(1)
    assert sender.pack(FIRST_PREV, giant.lines(0, 2))[1] == Sent(1, 1)


def hear(chain, answer, sending=Sending(), sent=Sent(1, 3)):  # noqa: B008
    return sender.answered(
        sending,
        sent,
        answer,
        stream=stream(len(chain.bodies)),
        keys=KEYS,
        own_hash=chain.hash_at,
    )


def test_an_acknowledgement_is_stored_and_moves_on():
    """Verdicts come along; the batch grows again; the next one begins after it."""
    chain = Chain().grown(5)
    verdict = Verdict(seq=2, serial="T1_1_00000002", verdict="over_redeemed", excess=1)
    heard = hear(
        chain,
        ack_of("T1", 1, 3, chain.hashes[3], verdicts=(verdict,)),
        Sending(batch_max=3, pace=Pace(4, 99), poison=1),
    )
    assert heard.ack.up_to == 3
    assert heard.verdicts == (verdict,)
    assert heard.sending == Sending(resume=4, batch_max=6)


def test_central_may_hold_more_than_was_sent():
    """The answer to an earlier batch was lost: its entries are ours, so the watermark leaps."""
    chain = Chain().grown(5)
    assert hear(chain, ack_of("T1", 1, 5, chain.hashes[5])).sending.resume == 6


@pytest.mark.parametrize(
    ("posid", "epoch", "up_to"),
    [("T2", 1, 3), ("T1", 2, 3), ("T1", 1, 2)],
)
def test_an_acknowledgement_that_does_not_answer(posid, epoch, up_to):
    """Another terminal's, another epoch's, or one for less than was sent."""
    chain = Chain().grown(5)
    with pytest.raises(Garbled):
        hear(chain, ack_of(posid, epoch, up_to, chain.hashes[up_to]))


def test_central_holds_more_than_this_disk():
    """The disk went back: stop before a second history is written."""
    held = Chain().grown(5)
    heard = hear(held, ack_of("T1", 1, 5, held.hashes[5]))
    assert heard.sending.fence is None
    short = held.copy()
    short.cut(4)
    heard = hear(short, ack_of("T1", 1, 5, held.hashes[5]))
    assert heard.sending.fence.trouble == "rolled_back"
    assert heard.ack is None


def test_central_holds_another_entry():
    """The same sequence with another hash: two histories run under one name."""
    ours, theirs = Chain().grown(5), Chain().grown(5, "theirs")
    heard = hear(ours, ack_of("T1", 1, 4, theirs.hashes[4]))
    assert heard.sending.fence.trouble == "fork"


def test_the_line_is_down():
    """Pauses grow; memory stays."""
    first = fail(Sending(resume=4), Unreachable("cut"))
    assert (first.resume, first.pace) == (4, Pace(1, 500))
    assert fail(first, Garbled("?")).pace == Pace(2, 1_000)


def test_a_thin_line_gets_smaller_batches():
    """Slow halves what was sent, down to one."""
    assert fail(Sending(), Slow("30 s"), Sent(1, 10)).batch_max == 5
    assert fail(Sending(batch_max=1), Slow("30 s"), Sent(1, 1)).batch_max == 1


def test_central_is_busy():
    """Its wish is kept."""
    error = Busy(Problem(type="/problems/busy", status=503, retry_after_s=9))
    assert fail(Sending(), error).pace == Pace(1, 9_500)


def test_central_lost_its_tail():
    """It asks from 3 on: our journal is its backup, and there is no pause. Twice, there is."""
    leapt = fail(Sending(resume=6), refusal("gap", 409, expected=3), Sent(6, 10))
    assert (leapt.resume, leapt.pace) == (3, Pace(1, 0))
    again = fail(leapt, refusal("gap", 409, expected=2), Sent(3, 10))
    assert (again.resume, again.pace) == (2, Pace(2, 1_000))


def test_central_expects_what_we_never_had():
    """It is ahead of this disk."""
    assert fail(Sending(), refusal("gap", 409, expected=12)).fence.trouble == "rolled_back"
    assert fail(Sending(), refusal("gap", 409, expected=11)).resume == 11


@pytest.mark.parametrize("expected", [None, 0, -1, 1])
def test_a_gap_that_makes_no_sense(expected):
    """No number, or the very entry that was sent: wait, and send the same again."""
    after = fail(Sending(), refusal("gap", 409, expected=expected))
    assert (after.resume, after.fence, after.pace.failures) == (None, None, 1)


@pytest.mark.parametrize("reason", ["fork", "revoked"])
def test_central_stops_this_stream(reason):
    """A fork or a revocation is for people, not for another try."""
    after = fail(Sending(), refusal(reason, 409, detail="entry 7"))
    assert after.fence == Fence(reason, "entry 7")


@pytest.mark.parametrize("status", [400, 413, 422])
def test_poison_is_found_named_and_kept(status):
    """A refused batch is halved at once until one entry stands alone; that one is set aside, and
    where even that is refused it is tried again slowly."""
    sending, last, tries = Sending(), 10, 0
    while sending.poison is None:
        sending = fail(sending, refusal("malformed", status), Sent(1, last))
        last, tries = min(last, sending.batch_max), tries + 1
        assert sending.pace == Pace()
    assert (sending.poison, tries) == (1, 4)
    again = fail(sending, refusal("malformed", status), Sent(1, 1))
    assert step(sending, waited_ms=0) == Pass(1)
    assert (again.poison, again.pace.failures) == (1, 1)
    assert step(again) == Rest(500)
    assert step(again, acknowledged=5) == Rest(500)
    assert step(replace(again, pace=Pace()), acknowledged=5) == Send(5, 1)


def test_one_entry_is_set_aside_freely_and_many_are_not():
    """A mistake on the way that refuses everything must not empty a journal into quarantine."""
    chain, sending, waits = Chain().grown(9), Sending(poison=1), []
    for seq in range(1, 7):
        heard = hear(chain, ack_of("T1", 1, seq, chain.hashes[seq]), sending, Sent(seq, seq))
        sending = sender.set_aside(heard, sending, now_ms=0, chance=0.0).sending
        assert (sending.resume, sending.passed) == (seq + 1, seq)
        waits.append(sending.pace.wait_ms(0))
    assert waits == [0, 0, 0, 1_000, 2_000, 4_000]
    heard = hear(chain, ack_of("T1", 1, 7, chain.hashes[7]), sending, Sent(7, 7))
    assert heard.sending.passed == 0


def test_a_bug_over_one_entry_holds_up_only_what_is_behind_it():
    """500 halves, slowly, and sets nothing aside at once: central may be mended."""
    first = fail(Sending(), refusal("internal", 500))
    assert (first.batch_max, first.pace.failures, first.poison) == (5, 1, None)
    alone = fail(first, refusal("internal", 500), Sent(1, 1))
    assert (alone.batch_max, alone.pace.failures, alone.poison) == (1, 2, None)


def stuck_at(sending, now_ms, seq=1):
    error = refusal("internal", 500)
    return sender.failed(sending, Sent(seq, seq), error, stream=stream(), now_ms=now_ms, chance=0.0)


def test_a_bug_over_one_entry_does_not_hold_up_the_rest_for_ever():
    """After an hour alone with it the entry is set aside, when it has just failed again."""
    began = stuck_at(Sending(), 1_000)
    waiting = stuck_at(began, 1_000 + sender.PATIENCE_MS - 1)
    assert (waiting.poison, waiting.pace.failures) == (None, 2)
    over = stuck_at(waiting, 1_000 + sender.PATIENCE_MS)
    assert over.poison == 1 and over.pace == waiting.pace
    assert sender.plan(over, stream(), now_ms=2_000 + sender.PATIENCE_MS) == Pass(1)
    # A central that fails over this too may be mended by the next time: then it takes it whole.
    refused = stuck_at(over, 2_000 + sender.PATIENCE_MS)
    assert (refused.poison, refused.pace.failures) == (None, 3)
    assert stuck_at(refused, 90_000 + sender.PATIENCE_MS).poison == 1


def test_the_hour_is_of_one_entry():
    """Another entry, or a batch that fails as a whole, begins anew; nothing else does."""
    began = stuck_at(Sending(), 0)
    assert stuck_at(began, sender.PATIENCE_MS, seq=2).poison is None
    whole = fail(began, refusal("internal", 500))
    assert stuck_at(whole, sender.PATIENCE_MS).poison is None
    away = fail(began, Unreachable("cut"), Sent(1, 1))
    assert stuck_at(away, sender.PATIENCE_MS).poison == 1


def test_a_proxy_s_wish_is_kept():
    """Like central's own."""
    assert fail(Sending(), Unreachable("503", 7)).pace.wait_ms(0) == 7_500


def test_another_refusal_only_costs_time():
    """Say, 401: a person may be replacing keys."""
    after = fail(Sending(), refusal("bad_signature", 401))
    assert (after.batch_max, after.pace.failures, after.fence) == (BATCH_ENTRIES_MAX, 1, None)


@pytest.mark.parametrize(
    ("head", "resume"),
    [
        (Head(epoch=2, seq=7, hash=FIRST_PREV), None),  # as it should be
        (Head(epoch=2, seq=9, hash=FIRST_PREV), None),  # an answer of central's was lost
        (Head(epoch=2, seq=4, hash=FIRST_PREV), 5),
        (None, 1),
        (Head(epoch=1, seq=4, hash=FIRST_PREV), None),  # it does not know this epoch: pair again
    ],
)
def test_a_central_that_was_put_back_gets_again_what_it_lost(head, resume):
    """It signed for 7 entries of epoch 2, and says at hello what it holds now."""
    after = sender.go_on_from(Sending(), head, epoch=2, acknowledged=7)
    assert after == Sending(resume=resume)


def test_heads_are_compared_at_hello():
    """Behind or equal is fine; ahead or different is not; epochs come first."""
    chain = Chain().grown(3)

    def judge(head):
        return sender.compare_head(head, epoch=2, own_hash=chain.hash_at)

    assert judge(None) is None
    assert judge(Head(epoch=1, seq=99, hash="ff" * 32)) is None
    assert judge(Head(epoch=2, seq=0, hash=FIRST_PREV)) is None
    assert judge(Head(epoch=2, seq=3, hash=chain.hashes[3])) is None
    assert judge(Head(epoch=3, seq=0, hash=FIRST_PREV)).trouble == "rolled_back"
    assert judge(Head(epoch=2, seq=4, hash="ff" * 32)).trouble == "rolled_back"
    assert judge(Head(epoch=2, seq=3, hash="ff" * 32)).trouble == "fork"


class Till:
    """A journal with a sender, on a line that may do anything."""

    def __init__(self, chain, peer):
        self.chain, self.peer, self.acknowledged = chain, peer, 0
        self.sending = Sending()
        self.late = []

    def act(self, rng, now_ms):
        view = Stream("T1", 1, len(self.chain.bodies), self.acknowledged, 10_000)
        todo = sender.plan(self.sending, view, now_ms=now_ms)
        if not isinstance(todo, Send):
            return
        limit = min(todo.limit, rng.randint(1, 5))
        lines = self.chain.lines(todo.after, limit)
        batch, sent = sender.pack(self.chain.hash_at(todo.after), lines)
        try:
            heard = sender.answered(
                self.sending,
                sent,
                self.exchange(rng, batch),
                stream=view,
                keys=KEYS,
                own_hash=self.chain.hash_at,
            )
        except (Unreachable, Refused) as error:
            self.sending = sender.failed(
                self.sending, sent, error, stream=view, now_ms=now_ms, chance=rng.random()
            )
        else:
            self.sending = heard.sending
            if heard.ack:
                self.acknowledged = max(self.acknowledged, heard.ack.up_to)

    def exchange(self, rng, batch):
        """Lost on the way there, doubled, late by any number of rounds, or lost on the way back."""
        fate = rng.random()
        if fate < 0.15:
            raise Unreachable("request lost")
        if fate < 0.3:
            self.late.append(batch)
            raise Unreachable("request late")
        if fate < 0.4:
            self.peer.take(batch)
        if self.late and fate < 0.6:
            try:
                self.peer.take(self.late.pop(rng.randrange(len(self.late))))
            except Refused:
                self.late.clear()
        answer = self.peer.take(batch)
        if fate > 0.9:
            raise Unreachable("answer lost")
        return answer


def test_any_line_books_everything_once(rng):
    """Lost, doubled, late and reordered batches: central ends with exactly our chain."""
    for _ in range(20):
        till = Till(Chain(), Peer())
        for round_ in range(400):
            if round_ < 120 and rng.random() < 0.5:
                till.chain.append()
            if round_ > 60 and rng.random() < 0.01:
                till.peer.chain.cut(rng.randint(0, len(till.peer.chain.bodies)))
            till.act(rng, now_ms=round_ * 120_000)
        assert till.peer.chain.bodies == till.chain.bodies[: len(till.peer.chain.bodies)]
        till.chain.append()
        for round_ in range(400, 800):
            till.act(random.Random(round_), now_ms=round_ * 120_000)
        assert till.peer.chain.bodies == till.chain.bodies
        assert till.acknowledged == len(till.chain.bodies)
        assert till.sending.fence is None


def test_clones_and_restored_backups_are_found(rng):
    """Two disks with one name: whenever both wrote and spoke, a fence stands."""
    found = 0
    for _ in range(60):
        peer = Peer()
        first = Till(Chain().grown(rng.randint(0, 6)), peer)
        for round_ in range(20):
            first.act(rng, now_ms=round_ * 120_000)
        second = Till(first.chain.copy(), peer)
        second.acknowledged = first.acknowledged
        first.chain.grown(rng.randint(1, 4), "first")
        second.chain.grown(rng.randint(1, 4), "second")
        for round_ in range(20, 120):
            rng.choice((first, second)).act(rng, now_ms=round_ * 120_000)
        fences = [till.sending.fence for till in (first, second)]
        assert any(fences), "two histories met and nobody noticed"
        assert {fence.trouble for fence in fences if fence} <= {"fork", "rolled_back"}
        found += 1
    assert found == 60
