"""A central database that was put back from a backup: what it forgot, and what others remember."""

from collections.abc import Iterable
from dataclasses import replace

import msgspec

from central import ahead, horizon, keys, ledger, past, policies, reports, restoring, verdicts
from central.errors import Refused
from central.service import Central
from sync.messages import BatchAnswer, SentAck
from tests.central.backups import Backup
from tests.central.conftest import Pair, issue, served
from tests.central.till import Till, now_ms
from vouchers import ids, times

Shown = dict[str, tuple[object, ...]]


class Counter:
    """What a counter shows of its entries: the verdicts it heard, as the terminal keeps them."""

    def __init__(self, till: Till) -> None:
        self.till, self.cursor = till, ""
        self.shown: Shown = {}

    def push(self, first: int = 1) -> None:
        """Send, and keep the verdicts that come with the answer."""
        self._keep(self.till.push(first).verdicts)

    def hear(self) -> Shown:
        """Ask for what is new until there is no more."""
        more = True
        while more:
            page = self.till.http.verdicts(self.cursor)
            self._keep(page.verdicts)
            self.cursor, more = page.cursor, page.more
        return self.shown

    def _keep(self, heard: Iterable[object]) -> None:
        for one in heard:
            self.shown[one.serial] = _plain(one)  # type: ignore[attr-defined]


def _plain(one: object) -> tuple[object, ...]:
    names = ("verdict", "flags", "excess", "others", "settled")
    return tuple(getattr(one, name) for name in names)


def judged(central: Central, posid: str) -> Shown:
    """The verdicts of a device as central has them."""
    with central.read() as work:
        page = verdicts.changed_since(work, posid, 0)
    return {one.serial: _plain(one) for one in page.verdicts}


def test_a_counter_unlearns_what_central_forgot(central: Central, pair: Pair) -> None:
    """A verdict from after the backup that does not come again is taken back at the counter:
    here that head office had closed it, and one that the other counter's entry had brought about.
    """
    voucher = issue(central, shares=1, home=None)
    one, two = Counter(pair("POS1")), Counter(pair("POS2", 2))
    one.till.redeem(voucher)
    one.push()
    backup = Backup.of(central)
    serial = two.till.redeem(voucher)
    two.push()
    assert verdicts.settle(central, serial, "loss")
    before = one.hear() | two.hear()
    assert {entry[0] for entry in before.values()} == {"accepted", "over_redeemed"}
    assert before[serial][4] == "loss"

    backup.put_back(central)
    restoring.renew(central)
    assert one.hear() == judged(central, "POS1") == {"POS1_1_00000001": PLAIN}
    two.push()
    assert two.hear() == judged(central, "POS2")
    assert two.shown[serial][4] is None
    assert one.hear() == judged(central, "POS1")


PLAIN = ("accepted", (), 0, (), None)


def test_what_was_numbered_since_the_backup_is_not_numbered_again(
    central: Central, pair: Pair
) -> None:
    """A till paired since, its slips, a key and a policy made since: none is given a second time.

    The till of that time had epoch 1 and heard verdicts; its serials stand on paper.
    """
    voucher = issue(central, shares=3)
    backup = Backup.of(central)
    lost = Counter(pair("POS1"))
    lost.till.redeem(voucher)
    lost.push()
    heard = len(lost.hear())
    kid, _ = keys.rotate(central, at_once=True)
    lost_policy = policies.change(central, ["claim.budget_ms=250"])
    assert not isinstance(lost_policy, Refused)

    backup.put_back(central)
    restoring.renew(central)
    again = Counter(pair("POS1"))
    assert again.till.epoch > lost.till.epoch
    again.cursor = lost.cursor
    serials = {again.till.redeem(voucher) for _ in range(heard)}
    again.push()
    assert set(again.hear()) == serials
    assert keys.rotate(central)[0] > kid
    with central.read() as work:
        assert policies.current(work).version > lost_policy.version
        assert policies.current(work).claim.budget_ms != 250


def test_a_backup_from_before_an_earlier_restore(central: Central, pair: Pair) -> None:
    """Put back again, it gives out nothing that was given out after the first time either."""
    backup = Backup.of(central)
    epochs, kids, versions = [], [], []
    for hours in range(3):
        later = replace(central, clock=lambda h=hours: now_ms() + h * times.HOUR_MS)
        backup.put_back(later)
        restoring.renew(later)
        till = pair("POS1")
        epochs.append(till.epoch)
        kids.append(keys.rotate(central)[0])
        with central.read() as work:
            versions.append((policies.current(work).version, past.first_change(work)))
    assert len(set(epochs)) == len(set(kids)) == len(set(versions)) == 3
    for found in (epochs, kids, versions):
        assert found == sorted(found)
    assert max(epochs) < 1_000, "serials stay short"


def proof(answer: BatchAnswer) -> SentAck:
    """An acknowledgement as a terminal keeps it."""
    return SentAck(text=answer.ack, kid=answer.kid, sig=answer.sig)


def alarms_of(central: Central, kind: str) -> list[str]:
    with central.read() as work:
        return [str(row["detail"]) for row in reports.alarms(work) if row["kind"] == kind]


def is_unsaid(central: Central) -> bool:
    with central.read() as work:
        return ahead.unsaid(work)


def test_a_restore_that_nobody_said_shows_at_the_next_hello(central: Central, pair: Pair) -> None:
    """The terminal holds central's own signature under an entry that central does not have."""
    voucher = issue(central, shares=3)
    till = pair("POS1")
    till.redeem(voucher)
    till.push()
    backup = Backup.of(central)
    till.redeem(voucher, generation=1)
    ack = proof(till.push(2))
    till.hello(ack=ack)
    assert not alarms_of(central, "ahead")

    backup.put_back(central)
    for _ in range(2):
        till.hello(ack=ack)
    (said,) = alarms_of(central, "ahead")
    assert "entry 2 was signed for, 1 is the last" in said and "`hexiao central restored`" in said
    assert is_unsaid(central)
    restoring.renew(central)
    assert not is_unsaid(central)
    later = replace(central, clock=lambda: now_ms() + 2 * times.HOUR_MS)
    with served(later) as url:
        till.at(url).hello(ack=ack)
    assert len(alarms_of(central, "ahead")) == 1, "what was signed before it was said is no news"
    assert not is_unsaid(central)


def test_only_central_proves_what_central_lost(central: Central, pair: Pair) -> None:
    """Not a terminal's own signature, nor an acknowledgement of another stream."""
    voucher = issue(central, shares=3)
    till, other = pair("POS1"), pair("POS2")
    till.redeem(voucher)
    ack = proof(till.push())
    text = ack.text.replace('"up_to":1', '"up_to":9')
    other.hello(ack=ack)
    for forged in (
        msgspec.structs.replace(ack, text=text),
        msgspec.structs.replace(ack, kid=7),
        SentAck(text="rubbish", kid=1, sig=ids.b64u(till.key.sign(b"hexiao-ack-v1rubbish"))),
    ):
        till.hello(ack=forged)
    assert not alarms_of(central, "ahead")


def test_verdicts_that_were_heard_beyond_what_there_is(central: Central, pair: Pair) -> None:
    """A counter that only listens notices too, and only then."""
    voucher = issue(central, shares=1)
    one, two = Counter(pair("POS1")), Counter(pair("POS2"))
    one.till.redeem(voucher)
    one.push()
    backup = Backup.of(central)
    two.till.redeem(voucher)
    two.push()
    one.hear()
    one.hear()
    assert not alarms_of(central, "ahead")
    backup.put_back(central)
    one.hear()
    (said,) = alarms_of(central, "ahead")
    assert "change 2 of its verdicts was heard" in said


def test_codes_beyond_the_horizon_are_the_same_after_a_restore(
    central: Central, pair: Pair
) -> None:
    """A counter may have printed some of them since the backup."""
    voucher = issue(central, shares=60)
    till = pair("POS1")
    for generation in range(20):
        till.redeem(voucher, generation=generation, left=59 - generation)
    backup = Backup.of(central)
    found = []
    for _ in range(2):
        backup.put_back(central)
        restoring.renew(central)
        till.push()
        horizon.extend(central, [voucher.voucher])
        with central.read() as work:
            now = ledger.find(work, voucher.voucher)
        assert now is not None and now.horizon > 24
        found.append([now.code_of(generation) for generation in range(25, now.horizon + 1)])
    assert found[0] == found[1]
