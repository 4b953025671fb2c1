"""Group commit: one transaction for those that wait together, and each its own answer."""

import dataclasses
import itertools
import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import update

from central import ledger, reports, schema
from central.arriving import Upload
from central.database import Database
from central.errors import OutOfService
from central.grouping import SMALL, Group
from central.ingest import Gap, Held, UnknownStream
from central.service import Central
from tests.central.conftest import Pair, issue
from tests.central.test_two_processes import upload
from tests.central.till import Till


@pytest.fixture
def counted(central: Central) -> Central:
    """Its clock goes on with every transaction, so an answer's time tells which one it was."""
    ticks = itertools.count(central.clock())
    return dataclasses.replace(central, clock=lambda: next(ticks))


def waiting_behind(group: Group, uploads: list[Upload]) -> Iterator[list[object]]:
    """Hold the database, let all uploads come, then let go; the answers in their order."""
    answers: list[object] = [None] * len(uploads)

    def send(place: int, one: Upload) -> None:
        try:
            answers[place] = group.ingest(one)
        except Exception as error:  # noqa: BLE001 an answer like any other here
            answers[place] = error

    threads = [threading.Thread(target=send, args=pair) for pair in enumerate(uploads)]
    for place, thread in enumerate(threads):
        thread.start()
        # The first one leads and is stuck; each further one is in the queue before the next comes.
        while group.waiting < place:
            thread.join(0.001)
    yield answers
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def together(central: Central, group: Group, uploads: list[Upload]) -> list[object]:
    """All uploads behind one that is stuck."""
    table = schema.streams
    with central.write() as work:
        work.connection.execute(update(table).values(forked_at=table.c.forked_at))
        behind = waiting_behind(group, uploads)
        answers = next(behind)
    assert next(behind, None) is None
    return answers


def sent(till: Till) -> Upload:
    return upload(till, len(till.bodies), len(till.bodies))


def test_those_that_wait_together_share_a_transaction(counted: Central, pair: Pair) -> None:
    """The first goes alone, all others at once; the shares are counted once for each."""
    voucher = issue(counted, shares=4)
    tills = [pair(f"POS{n}") for n in range(6)]
    for till in tills:
        till.redeem(voucher)
    answers = together(counted, Group(counted), [sent(till) for till in tills])
    held = [answer for answer in answers if isinstance(answer, Held)]
    assert len(held) == 6 and len({answer.at for answer in held}) == 2
    assert [answer.up_to for answer in held] == [1] * 6
    assert [answer.booked[0].posid for answer in held] == [till.posid for till in tills]
    verdicts = [answer.booked[0].verdict for answer in held]
    assert sorted(verdicts) == ["accepted"] * 4 + ["over_redeemed"] * 2
    with counted.read() as work:
        found = ledger.find(work, voucher.voucher)
    assert found is not None and found.used == 6


def test_each_gets_the_answer_to_what_it_sent(counted: Central, pair: Pair) -> None:
    """A gap, an unknown stream and the same batch twice stand beside good ones."""
    voucher = issue(counted, shares=9)
    tills = [pair(f"POS{n}") for n in range(3)]
    for till in tills:
        till.redeem(voucher)
    tills[1].redeem(voucher)
    stranger = dataclasses.replace(sent(tills[0]), posid="NOBODY")
    uploads = [sent(tills[0]), sent(tills[1]), stranger, sent(tills[2]), sent(tills[2])]
    answers = together(counted, Group(counted), uploads)
    assert [type(answer) for answer in answers] == [Held, Gap, UnknownStream, Held, Held]
    assert [a.added for a in answers if isinstance(a, Held)] == [1, 1, 0]


def test_a_bug_that_one_brings_out_is_answered_to_it_alone(counted: Central, pair: Pair) -> None:
    voucher = issue(counted, shares=9)
    tills = [pair(f"POS{n}") for n in range(4)]
    for till in tills:
        till.redeem(voucher)
    table = schema.streams
    with counted.write() as work:
        broken = update(table).where(table.c.posid == "POS2").values(totals="no totals")
        work.connection.execute(broken)
    answers = together(counted, Group(counted), [sent(till) for till in tills])
    assert [isinstance(answer, Held) for answer in answers] == [True, True, False, True]
    assert isinstance(answers[2], ValueError)
    with counted.read() as work:
        assert len(list(reports.redemptions(work))) == 3


def test_an_outage_is_told_to_all(central: Central, pair: Pair) -> None:
    """The database is gone: an outage for each, and nobody is left waiting."""
    tills = [pair(f"POS{n}") for n in range(3)]
    for till in tills:
        till.redeem(issue(central))
    nowhere = Database("postgresql://postgres@/gone?host=/nowhere")
    group = Group(dataclasses.replace(central, database=nowhere))
    for till in tills:
        with pytest.raises(OutOfService):
            group.ingest(sent(till))
    assert group.waiting == 0


def test_a_long_upload_does_not_wait_for_others(central: Central, pair: Pair) -> None:
    voucher = issue(central, shares=SMALL + 1)
    till = pair("POS1")
    for generation in range(SMALL + 1):
        till.redeem(voucher, generation=generation, left=SMALL - generation)
    taken = Group(central).ingest(upload(till, 1, SMALL + 1))
    assert isinstance(taken, Held) and taken.added == SMALL + 1
