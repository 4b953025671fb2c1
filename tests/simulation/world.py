"""One world: a few terminals, a few vouchers, some tens of steps, then rest and an audit.

Responsible for: choosing what happens next, from the seed alone, and doing it through the
product's doors. Not responsible for: judging; the auditor does. The same seed gives the same
history, line for line.
"""

import hashlib
import random
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from central import (
    deciding,
    import_journal,
    issuing,
    jobs,
    orders,
    policies,
    restoring,
    sealing,
    verdicts,
)
from central.deciding import Decided, Wanted
from central.errors import Refused
from central.issuing import Issued, NewOrder
from sync.policy import Policy
from terminal.errors import TerminalError
from terminal.outcomes import Redeemed, Reversed
from tests.simulation import branches
from tests.simulation.audit import Books, audit, stopped
from tests.simulation.auditor import Auditor, Written, insist
from tests.simulation.customers import Customer, Wish, present
from tests.simulation.network import CENTRAL_FUSE, CentralDied, Network, Weather
from tests.simulation.seams import FUSE, Crash, TillClock, Time, seams
from tests.simulation.service import Answered, Asked, Service
from tests.simulation.template import MOBILES, OFFLINE_TOO, ONLINE_ONLY, TILLS, Template, pair
from tests.simulation.till import Till
from vouchers.reasons import Reason, Refusal
from vouchers.times import DAY_MS, HOUR_MS, MINUTE_MS


class World:
    """Everything one seed makes happen."""

    def __init__(self, seed: int, template: Template) -> None:
        self.seed, self._template = seed, template
        self.rng, self.time = random.Random(seed), Time()
        self.auditor = Auditor()
        self.history: list[str] = []
        self.tills: list[Till] = []
        self._customers: list[Customer] = []
        self._wishes: list[Wish] = []
        self._nested = False
        self._slips: dict[tuple[str, str], Customer] = {}
        self._changes = ["refund", "withdraw", "pay", "extend", "mobile"]
        self._saved: list[Path] = []

    # --- the frame --------------------------------------------------------------------------

    def run(self) -> str:
        """Live through it and have it audited; answers a digest of the history. Raises Wrong."""
        with seams(self.rng, self.time):
            try:
                self._begin()
                for _ in range(self.rng.randrange(10, 28)):
                    self._step()
                self._rest()
            finally:
                for till in self.tills:
                    till.end()
        return hashlib.sha256("\n".join(self.history).encode()).hexdigest()

    def _begin(self) -> None:
        rng, folder = self.rng, self._template.root / "world"
        self.folder = folder
        names = sorted(rng.sample(sorted(TILLS), rng.choice((2, 2, 3, 3, 4))))
        self.central = self._template.lay_out(folder, names, rng, self.time)
        self.network = Network(Service(self.central), rng, Weather())
        self.network.restarted = lambda: Service(self.central)
        self.network.meanwhile = self._meanwhile
        self.network.page_items = rng.choice((2, 5_000))
        self.network.granted = self._granted
        self.network.heard = self._heard
        self.tills = [self._till(posid, posid) for posid in names]
        self._set_policy()
        for ready in self._template.sold:
            self.auditor.issued(ready.issued, ready.order)
        for ready in rng.sample(self._template.sold, rng.choice((1, 1, 2, 3))):
            self._meet(ready.issued)
        self.believes_up = rng.choice((0.0, 0.3, 0.9))
        self._acts = self._choose_acts()
        for till in self.tills:
            self._at(till, self._start, till)
            if till.on and rng.random() < 0.4:
                self._at(till, till.pull)
        self.network.weather = self._weather()

    def _till(self, name: str, posid: str) -> Till:
        away = self.rng.random() < 0.5
        till = Till(
            name,
            posid,
            TILLS[posid],
            self.folder / posid,
            TillClock(self.time),
            self.network,
            self.folder / f"witness.{name}" if away else None,
        )
        if away:
            (till.disk / "witness").rename(self.folder / f"witness.{name}")
        return till

    def _weather(self) -> Weather:
        if self.rng.random() < 0.3:
            return Weather()
        names = ("lost", "unanswered", "twice", "late", "stale", "garbled", "busy", "meanwhile")
        faults = {name: self.rng.choice((0.0, 0.05, 0.15)) for name in names}
        dying = {name: self.rng.choice((0.0, 0.03)) for name in ("central_dies", "till_dies")}
        return Weather(**faults, **dying)

    def _set_policy(self) -> None:
        choose = self.rng.choice
        changes = {
            "offline.foreign_shares_row": choose((0, 1, 1, 2)),
            "offline.foreign_shares_qr": choose((0, 1, 1, 2)),
            "offline.unhomed_shares": choose((0, 1, 1, 2)),
            "offline.tills": choose(("shared_risk", "shared_risk", "primary_only")),
            "offline.max_redemptions.home": choose((5000, 5000, 2, 1)),
            "offline.max_redemptions.elsewhere": choose((50, 1)),
            "offline.max_value_fen": choose((2_000_000, 2_000_000, 5_000)),
        }
        made = policies.change(self.central, [f"{name}={value}" for name, value in changes.items()])
        assert isinstance(made, Policy), made
        new, old = made.offline, Policy().offline
        self.auditor.allowed = max(
            max(some.foreign_shares_row, some.foreign_shares_qr, some.unhomed_shares)
            for some in (new, old)
        )
        self._say("policy", changes)

    def _choose_acts(self) -> list[tuple[int, str, Callable[[], None]]]:
        """What may happen in this world and how often; not every world has every misfortune."""
        rare = self.rng.random
        acts = [
            (40, "redeem", self._redeem),
            (4, "again", self._again),
            (7, "reverse", self._reverse),
            (6, "round", lambda: self._sync(lambda till: till.round())),
            (7, "push", lambda: self._sync(lambda till: till.process.uplink.step(flush=True))),
            (7, "pull", lambda: self._sync(lambda till: till.process.downlink.step(0))),
            (8, "wait", self._wait),
            (5, "seal", lambda: self._central(sealing.run, self.central)),
            (6, "order", self._order),
            (3, "late", lambda: self.network.deliver_late()),
            (4, "line", self._line),
            (3, "jobs", self._jobs),
            (1, "issue", self._issue),
            (2, "settle", self._settle),
        ]
        if rare() < 0.7:
            acts += [(6, "power", self._power), (10, "fuse", self._arm)]
            acts.append((4, "news", self._pull_news))
        if rare() < 0.15:
            # What people did since the backup is gone with it: here only tills have news.
            acts = [act for act in acts if act[1] not in ("issue", "settle")]
            acts += [(10, "save", self._save_central), (12, "put central back", self._put_central)]
            self._changes.remove("mobile")
            return acts
        if rare() < 0.3:
            acts += [(8, "back up", self._back_up), (10, "put back", self._put_back)]
            acts += [(10, "pair", self._pair_stopped), (6, "decide", self._decide)]
        if rare() < 0.25:
            # What was copied shows only where the copies meet central.
            acts += [(12, "clone", self._clone), (6, "pair", self._pair_stopped)]
            acts += [(12, "meet", self._meet_central), (6, "decide", self._decide)]
        if rare() < 0.3:
            acts.append((4, "clock", self._set_clock))
        return acts

    def _step(self) -> None:
        weights = [weight for weight, _, _ in self._acts]
        _, name, act = self.rng.choices(self._acts, weights)[0]
        self.time.now_ms += self.rng.randrange(200, 20_000)
        self._say("step", name)
        act()

    def _meanwhile(self, till: str, path: str) -> None:
        """Something else happens while a request is under way; at most one thing at a time."""
        if self._nested:
            return
        self._nested = True
        others = ["redeem", "redeem", "reverse", "order", "seal", "wait"]
        if not path.startswith("snapshot"):
            others += ["push", "pull"]
        wanted = self.rng.choice(others)
        try:
            self._say("meanwhile", till, path, wanted)
            next(act for _, name, act in self._acts if name == wanted)()
        finally:
            self._nested = False

    def _say(self, *words: Any) -> None:
        self.history.append(f"{self.time.now_ms} " + " ".join(map(str, words)))

    # --- at a terminal ----------------------------------------------------------------------

    def _at(self, till: Till, work: Callable[..., Any], *values: Any) -> Any:
        """Run something of a terminal's process; when it dies, the process is gone."""
        try:
            result = work(*values)
        except Crash:
            self._say(till.name, "died")
            self.auditor.count("crash")
            till.end()
            return None
        except TerminalError as error:
            self._say(till.name, "out of service:", error)
            result = None
        FUSE.disarm()
        self.auditor.observe(till)
        return result

    def _start(self, till: Till) -> None:
        till.start(self.rng.randbytes(10))
        self._say(till.name, "starts", till.refused or "")
        self.auditor.started(till)

    def _choose(self) -> Till | None:
        running = [till for till in self.tills if till.on]
        return self.rng.choice(running) if running else None

    def _meet_central(self) -> None:
        """All that run speak with central, the copies among them; then customers come again."""
        running = [till for till in self.tills if till.on]
        for till in running:
            if till.on:
                self._at(till, till.round)
        for till in running:
            self._redeem(till)

    def _redeem(self, till: Till | None = None) -> None:
        till = till or self._choose()
        if till is None or not self._customers:
            return
        customer = self.rng.choice(self._customers)
        newest = self.rng.random() < 0.75
        credential = customer.shown[-1] if newest else self.rng.choice(customer.shown)
        last4 = customer.last4
        if self.rng.random() < 0.05:
            credential, last4 = self.rng.choice([*customer.former, (credential, "0000")])
        shares = self.rng.choice((1, 1, 1, 2, 3))
        self._ask(Wish(till, credential, last4, shares, self.rng.randbytes(8).hex()))

    def _ask(self, wish: Wish) -> None:
        till = wish.till
        if not till.on or not any(till is one for one in self.tills):
            return
        self._wishes.append(wish)
        self._at(till, self._ask_now, wish)

    def _ask_now(self, wish: Wish) -> None:
        till = wish.till
        assert till.process is not None
        till.online = self.rng.random() < self.believes_up
        done = till.process.counter.redeem_presented(
            wish.credential, wish.last4, wish.shares, clerk="li", request=wish.request, slip=False
        )
        FUSE.disarm()
        if isinstance(done, Refusal):
            self._say(till.name, "refuses", done.reason)
            self.auditor.count(f"refused {done.reason}")
            self.auditor.refused(till, wish.request)
            self._knows_its_own_slips(wish, done)
            return
        self._say(till.name, "redeemed", done.serial, done.shares, done.left, done.mode)
        self.auditor.redeemed(till, wish.request, done)
        self._slip(till, done)

    def _slip(self, till: Till, done: Redeemed) -> None:
        """The customer takes the slip with the next code."""
        for customer in self._customers:
            if customer.voucher == done.voucher and done.successor_code is not None:
                customer.shown.append(done.successor_code)
                self._slips[till.name, done.successor_code] = customer

    def _knows_its_own_slips(self, wish: Wish, refusal: Refusal) -> None:
        """A code that this till gave out is never unknown to it, unless the number was changed."""
        customer = self._slips.get((wish.till.name, wish.credential))
        if customer is None or wish.till.posid in self.auditor.cut or customer.former:
            return
        unknown = refusal.reason is Reason.UNKNOWN_OR_WRONG and wish.last4 == customer.last4
        insist(not unknown, wish.till.name, "does not know the code it gave out")

    def _again(self) -> None:
        if self._wishes:
            self._ask(self.rng.choice(self._wishes[-5:]))

    def _reverse(self) -> None:
        till = self._choose()
        mine = [seen for seen in self.auditor.seen if till is not None and seen.till == till.name]
        if till is None or not mine:
            return
        self._at(till, self._reverse_now, till, self.rng.choice(mine[-4:]).serial)

    def _reverse_now(self, till: Till, serial: str) -> None:
        assert till.process is not None
        done = till.process.counter.reverse(
            serial, reason_code="mistake", clerk="li", supervisor=self.rng.random() < 0.5
        )
        FUSE.disarm()
        if isinstance(done, Reversed):
            self._say(till.name, "reversed", serial, done.serial)
            self.auditor.undone(till, done)

    def _sync(self, work: Callable[[Any], Any]) -> None:
        till = self._choose()
        if till is not None:
            self._at(till, work, till)

    def _power(self) -> None:
        till = self.rng.choice([till for till in self.tills if not till.retired])
        if till.on:
            self._say(till.name, "is switched off")
            till.end()
        else:
            self._at(till, self._start, till)

    def _arm(self) -> None:
        """Something is going to break in the next thing a terminal does."""
        if self.rng.random() < 0.7:
            FUSE.left = self.rng.randrange(self.rng.choice((25, 60)))
        else:
            FUSE.commit_fails = self.rng.choice(("written", "lost"))
        self._say("armed", FUSE)
        self.rng.choice((self._redeem, self._reverse, self._redeem, self._pull))()
        FUSE.disarm()

    def _pull_news(self) -> None:
        """Head office changes something, and a till dies while it hears of it."""
        self._order()
        FUSE.left = self.rng.randrange(25)
        self._sync(lambda till: till.pull())
        FUSE.disarm()

    def _pull(self) -> None:
        self._sync(lambda till: till.pull())

    def _set_clock(self) -> None:
        till = self.rng.choice(self.tills)
        till.clock.wrong_by_ms = self.rng.choice(
            (0, 0, -5 * MINUTE_MS, 5 * MINUTE_MS, -3 * HOUR_MS, 40 * DAY_MS, -40 * DAY_MS)
        )
        self._say(till.name, "clock wrong by", till.clock.wrong_by_ms)

    # --- disks ------------------------------------------------------------------------------

    def _back_up(self) -> None:
        till = self._choose()
        if till is not None:
            till.backups.append(till.back_up(self.folder))

    def _put_back(self) -> None:
        saved = [till for till in self.tills if till.on and till.backups]
        if not saved:
            return
        till = self.rng.choice(saved)
        self.auditor.observe(till)
        till.end()
        till.restore(self.rng.choice(till.backups))
        self._say(till.name, "disk put back")
        before = self.auditor.put_back(till)
        self._at(till, self._start, till)
        lost = till.witness is not None and before - {e.hash for e in self._log(till)}
        insist(not lost or till.refused, till.name, "opened although its witness is ahead")

    def _log(self, till: Till) -> list[Written]:
        return self.auditor.logs.get(till.name, [])

    def _clone(self) -> None:
        till = self._choose()
        if till is None or len(self.tills) > 4:
            return
        copy = till.back_up(self.folder)
        twin = Till(
            f"{till.name}c{len(self.tills)}",
            till.posid,
            till.outlet,
            copy,
            TillClock(self.time),
            self.network,
        )
        if till.witness is not None and till.witness.exists():
            shutil.copyfile(till.witness, copy / "witness")
        self.auditor.cut.add(till.posid)
        self.auditor.count("cloned")
        self.tills.append(twin)
        self._at(twin, self._start, twin)

    def _pair_stopped(self) -> None:
        """A person pairs a terminal anew that redeems no more."""
        waiting = [till for till in self.tills if not till.retired and self._waits(till)]
        if waiting:
            self._pair(self.rng.choice(waiting))

    def _waits(self, till: Till) -> bool:
        return stopped(till) if till.on else till.refused is not None

    def _pair(self, till: Till) -> None:
        self._say(till.name, "is paired anew")
        self.auditor.observe(till)
        till.end()
        for twin in self.tills:
            if twin.posid == till.posid and twin is not till:
                self.auditor.observe(twin)
                twin.end()
                twin.retired = True
        self._at(till, pair, till, self.central)
        self.auditor.count("paired anew")
        if not till.on:
            self._at(till, self._start, till)

    # --- at central -------------------------------------------------------------------------

    def _central(self, work: Callable[..., Any], *values: Any) -> Any:
        """Something at head office; now and then central dies in the middle of it."""
        if self.rng.random() < 0.05:
            CENTRAL_FUSE.left = self.rng.randrange(20)
        try:
            return work(*values)
        except CentralDied:
            self._say("central died")
            self.auditor.count("central died")
            self.network.service = Service(self.central)
            return None
        finally:
            CENTRAL_FUSE.left = None

    def _save_central(self) -> None:
        self._saved.append(self.folder / f"central.{len(self._saved)}")
        self._template.back_up_central(self._saved[-1])

    def _put_central(self) -> None:
        """Central's database is lost; a backup is put back as docs/operations.md says."""
        if not self._saved or self._nested:
            return
        for till in self.tills:
            self.auditor.observe(till)
        self._template.put_central_back(self.rng.choice(self._saved))
        restoring.renew(self.central)
        self.network.service = Service(self.central)
        self.auditor.central_put_back()

    def _issue(self) -> None:
        rng = self.rng
        order = NewOrder(
            product=rng.choice((OFFLINE_TOO,) * 5 + (ONLINE_ONLY,)),
            mobile=rng.choice(MOBILES),
            shares=rng.choice((1, 1, 2, 3, 4)),
            home=rng.choice((None, 1, 1, 2)),
            valid_until=self.time.now_ms + rng.choice((2, 30, 365)) * DAY_MS,
        )
        issued = self._central(issuing.issue, self.central, order)
        if not isinstance(issued, Issued):
            return
        self._say("issued", order.product, order.shares, order.home)
        self.auditor.issued(issued, order)
        self._meet(issued)

    def _meet(self, issued: Issued) -> None:
        """A customer with a voucher comes into this world; sometimes with its picture."""
        customer = Customer(issued.order, issued.voucher, issued.last4, [issued.code])
        if self.rng.random() < 0.3:
            customer.shown.insert(0, issued.qr)
        self._customers.append(customer)

    def _order(self) -> None:
        if not self._customers:
            return
        customer, central = self.rng.choice(self._customers), self.central
        what = self.rng.choice(self._changes)
        self._say("order", what)
        match what:
            case "refund":
                self._central(orders.request_refund, central, customer.order)
            case "withdraw":
                self._central(orders.withdraw_refund, central, customer.order)
            case "pay":
                self._central(orders.pay_refund, central, customer.order)
            case "extend":
                self._central(orders.extend, central, customer.order, date(2024, 8, 31))
            case "mobile":
                self._change_mobile(customer)

    def _change_mobile(self, customer: Customer) -> None:
        number = self.rng.choice(MOBILES)
        after = self._central(orders.change_mobile, self.central, customer.order, number)
        if after is None or isinstance(after, Refused):
            return
        if number[-4:] != customer.last4:
            customer.former += [(code, customer.last4) for code in customer.shown[-2:]]
            customer.last4 = number[-4:]
        customer.shown.append(after.voucher.code)

    def _jobs(self) -> None:
        self._central(jobs.run_now, self.central, ("claims", "refunds"))

    def _settle(self) -> None:
        books = Books(self._template.database)
        open_ones = books.rows("SELECT serial FROM bookings WHERE verdict != 'accepted'")
        books.close()
        if open_ones:
            serial = self.rng.choice([row["serial"] for row in open_ones])
            self._central(verdicts.settle, self.central, serial, "loss")

    def _decide(self) -> None:
        """Head office gets what a stopped disk still has, and decides on one branch."""
        waiting = [till for till in self.tills if till.on and stopped(till)]
        if waiting:
            till = self.rng.choice(waiting)
            self.auditor.observe(till)
            file = branches.rescue(till, self.folder)
            if file is not None:
                done = self._central(import_journal.run, self.central, file)
                self._say(till.name, "was rescued", type(done).__name__)
        names = branches.kept(self.central)
        if not names:
            return
        way = self.rng.choice((deciding.book, deciding.book, deciding.dismiss))
        decided = self._central(way, self.central, Wanted(self.rng.choice(names), "wang", "seen"))
        if isinstance(decided, Decided) and not decided.repeated:
            self._say("decided", decided.branch, decided.decision, decided.entries)
            self.auditor.count(f"branch {decided.decision}")

    def _granted(self, asked: Asked, answer: Answered) -> None:
        self.auditor.claim_answered(Path(self._template.database), asked, answer, self.time.now_ms)

    def _heard(self, name: str, asked: Asked, answer: Answered) -> None:
        self.auditor.heard(next(till for till in self.tills if till.name == name), asked, answer)

    def _line(self) -> None:
        name = self.rng.choice(self.tills).name
        self.network.down ^= {name}
        self._say("line of", name, "down" if name in self.network.down else "up")

    def _wait(self) -> None:
        ms = self.rng.choice((MINUTE_MS, 5 * MINUTE_MS, 20 * MINUTE_MS, 2 * HOUR_MS, 30 * HOUR_MS))
        self.time.now_ms += ms

    # --- rest -------------------------------------------------------------------------------

    def _rest(self) -> None:
        """Lines are up, clocks right, everything is delivered; then the audit."""
        self.network.weather, self.network.down = Weather(), set()
        CENTRAL_FUSE.left = None
        while self.network.late:
            self.network.deliver_late()
        for till in self.tills:
            till.clock.wrong_by_ms = 0
            if not till.on and not till.retired:
                self._at(till, self._start, till)
        if self.rng.random() < 0.5:
            for till in self.tills:
                if not till.retired and self._waits(till):
                    self._pair(till)
        self._come_to_rest()
        books = Books(self._template.database)
        for row in books.rows("SELECT posid, epoch, seq, head FROM streams"):
            self._say("stream", *row)
        books.close()
        thorough = self.seed % 8 == 0
        audit(self.auditor, self.tills, self._template.database, thorough=thorough)
        if self.seed % 2 == 0:
            present(self.auditor, self._template.database, self.tills, self._customers)

    def _come_to_rest(self) -> None:
        """Everybody pushes, everything is sealed, everybody pulls: then nothing is under way."""
        running = [till for till in self.tills if till.process is not None]
        self.time.now_ms += HOUR_MS  # beyond every pause
        twins = [till for till in running if till.posid in self.auditor.cut]
        for till in running + twins:  # what a twin pushed shows at the next contact
            till.push()
            self.auditor.observe(till)
        if self.auditor.cut:
            self._decide()
            for till in running:  # what was decided on is acknowledged to whoever has it
                till.push()
                self.auditor.observe(till)
        while sealing.run(self.central):
            pass
        for till in running:
            till.pull()
