"""The scheduled jobs: what happens without anybody asking.

Responsible for: the list of jobs, running them now or as a loop, remembering when they ran. Not
responsible for: what they do. Invariants: running a job twice, or in two processes at once, does
nothing twice; a job that fails is logged and tried again, it stops no other.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select, update

from central import cards, claims, compaction, moving, orders, schema, sealing, signatures
from central.database import retried
from central.errors import CentralError
from central.service import Central, Work

_LOG: Final = logging.getLogger(__name__)
_TICK_S: Final = 0.2
"""How long a freshly wanted row may wait for the sealing job."""

_DAY_S: Final = 86_400

_AGAIN_S: Final = 60
"""After a failure even a daily job is tried again this soon."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job: `run` answers how many things it dealt with; `every_s` is its rhythm in the loop.

    The loop runs the `portion` where there is one, so that it may be stopped in between, and lets
    others have the processor for `rest_s` after each.
    """

    name: str
    every_s: float
    run: Callable[[Central], int]
    portion: Callable[[Central], int] | None = None
    rest_s: float = 0


@dataclass(frozen=True, slots=True)
class Ran:
    """When a job last ran (ms UTC, None: never) and how many things it dealt with."""

    name: str
    ran_at: int | None
    done: int


def _seal(central: Central) -> int:
    done = 0
    while portion := _seal_a_portion(central):
        done += portion
    return done


def _seal_a_portion(central: Central) -> int:
    """Codes first: every voucher has one, and few are presented by a card."""
    return sealing.run(central) or cards.run(central)


@retried
def _free_claims(central: Central) -> int:
    with central.write() as work:
        return claims.free_expired(work)


JOBS: Final = (
    Job("sealing", _TICK_S, _seal, _seal_a_portion),
    Job("claims", 60, _free_claims),
    Job("refunds", 60, orders.pay_due_refunds),
    Job("signatures", 60, signatures.run, signatures.portion, rest_s=_TICK_S),
    Job("moving", 60, moving.run),
    Job("compaction", _DAY_S, compaction.run),
)


def run_now(central: Central, names: tuple[str, ...] = ()) -> list[Ran]:
    """Run the named jobs, or all, once."""
    ran = []
    for job in JOBS:
        if not names or job.name in names:
            done = job.run(central)
            ran.append(Ran(job.name, central.clock(), done))
            _remember(central, ran[-1])
    return ran


def listed(work: Work) -> list[Ran]:
    """All jobs and when they last ran."""
    table = schema.jobs
    rows = work.connection.execute(select(table).where(table.c.merchant == work.merchant))
    known = {row.job: row for row in rows}
    return [
        Ran(job.name, known[job.name].ran_at, known[job.name].done)
        if job.name in known
        else Ran(job.name, None, 0)
        for job in JOBS
    ]


def loop(central: Central, stop: threading.Event) -> None:
    """Run every job in its rhythm until `stop` is set; each in a thread, so that none waits."""
    threads = [
        threading.Thread(target=_repeat, args=(central, job, stop), name=job.name, daemon=True)
        for job in JOBS
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _repeat(central: Central, job: Job, stop: threading.Event) -> None:
    pause_s = _TICK_S
    while not stop.wait(pause_s):
        done = _attempt(central, job)
        if done is None:
            pause_s = min(job.every_s, _AGAIN_S)
        else:
            # A portion that was full of work is followed by the next one.
            pause_s = job.rest_s if done and job.portion is not None else job.every_s


def _attempt(central: Central, job: Job) -> int | None:
    """Run a job, or a portion of it; how much was done, None where it failed."""
    try:
        done = (job.portion or job.run)(central)
        if done:
            _remember(central, Ran(job.name, central.clock(), done))
        return done
    except CentralError as error:
        _LOG.warning("job %s: %s", job.name, error)
    except Exception:  # noqa: BLE001 a worker loop: one job's bug must not end the others
        _LOG.exception("job %s failed", job.name)
    return None


@retried
def _remember(central: Central, ran: Ran) -> None:
    table = schema.jobs
    with central.write() as work:
        mine = (table.c.merchant == work.merchant) & (table.c.job == ran.name)
        again = work.connection.execute(
            update(table).where(mine).values(ran_at=ran.ran_at, done=ran.done)
        )
        if again.rowcount == 0:
            work.connection.execute(
                table.insert().values(
                    merchant=work.merchant, job=ran.name, ran_at=ran.ran_at, done=ran.done
                )
            )
