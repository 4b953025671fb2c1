"""Signs that this database was put back from a backup and that nobody has said so yet.

Responsible for: recognising them in what terminals hold, and telling people what to do. Not
responsible for: doing it (`restoring`). Invariants: an acknowledgement counts only under this
service's own signature; what was signed before the last restore that was said proves nothing new.
"""

import logging
from typing import Any, Final

from sqlalchemy import func, select

from central import alarms, numbering, past, schema
from central.database import retried
from central.keys import Keyring
from central.service import Central, Work
from sync import acks
from sync.errors import Garbled
from sync.messages import SentAck

AHEAD: Final = "ahead"
"""The alarm that says it."""

WORDS: Final = (
    "a terminal holds what this database has lost: it was put back from a backup. Run"
    " `hexiao central restored` now (docs/operations.md, After a restore)"
)

_LOG: Final = logging.getLogger(__name__)


def check_ack(central: Central, work: Work, ring: Keyring, stream: Any, sent: SentAck) -> None:
    """Compare an acknowledgement that a terminal holds with what its stream has here."""
    try:
        ack = acks.read_ack(acks.Signed(sent.text, sent.kid, sent.sig), ring.sign_public)
    except Garbled:
        return  # of a key that is lost, or of nobody's: it proves nothing
    of_it = (ack.posid, ack.epoch) == (stream.posid, stream.epoch)
    if of_it and ack.up_to > stream.seq and ack.at > past.restored_at(work):
        found = (
            f"epoch {ack.epoch}: entry {ack.up_to} was signed for, {stream.seq} is the last here"
        )
        raise_ahead(central, work, ack.posid, found)


def raise_ahead(central: Central, work: Work, posid: str, found: str) -> None:
    """Say that a terminal holds more than there is here, once an hour for each."""
    if alarms.raise_hourly(central, work, AHEAD, posid, f"{found}; run `hexiao central restored`"):
        _LOG.warning("%s", WORDS)


def is_ahead(work: Work, posid: str, verdicts_heard: int) -> bool:
    """Whether a terminal has heard more changes of its verdicts than there were here."""
    table = schema.counters
    counted = work.connection.execute(
        select(table.c.value).where(
            table.c.merchant == work.merchant, table.c.name == numbering.verdict_counter(posid)
        )
    ).scalar()
    return counted is not None and verdicts_heard > int(counted)


@retried
def report(central: Central, posid: str, found: str) -> None:
    """`raise_ahead` in a transaction of its own."""
    with central.write() as work:
        raise_ahead(central, work, posid, found)


def unsaid(work: Work) -> bool:
    """Whether such a sign came since a restore was said last."""
    table = schema.alarms
    last = work.connection.execute(
        select(func.max(table.c.at)).where(table.c.merchant == work.merchant, table.c.kind == AHEAD)
    ).scalar()
    return last is not None and int(last) > past.restored_at(work)
