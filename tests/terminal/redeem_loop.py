"""Redeems in a loop until it is killed: `python -m tests.terminal.redeem_loop GIVEN`.

Responsible for: one till that says `ready` once it is open, then `done INDEX SERIAL` for each
redemption that a clerk would have seen as done. Not responsible for: checking anything. GIVEN is
JSON: the data directory, where to begin, the credentials, a printer's port or null, whether the
journal is opened `unsafe` (a control that must lose redemptions when the power goes), and after how
many the medium of the data directory stops.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import apsw

from drivers.escpos.profile import PrinterProfile
from terminal import assembly, database, startup
from terminal.assembly import Options
from terminal.counter import ShopCounter
from terminal.datadir import DataDir
from terminal.outcomes import Redeemed
from terminal.printing import PrintWorker
from terminal.slips import SlipStyle
from tests.crash.medium import stop_at_once
from tests.terminal.shop import FakeClock


def say(*words: object) -> None:
    """One line, out of this process before anything else happens."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def do_not_flush() -> None:
    """Open journals with synchronous=NORMAL, behind the back of the check that refuses it."""
    opened = database.open_journal

    def unsafe(path: Path, key: bytes) -> apsw.Connection:
        connection = opened(path, key)
        connection.pragma("synchronous", "NORMAL")
        return connection

    database.open_journal = unsafe


def main() -> None:
    """Open, say so, redeem everything that is left."""
    given = json.loads(sys.argv[1])
    credentials = json.loads(Path(given["credentials"]).read_text("utf-8"))
    data = DataDir.at(Path(given["data"]))
    if given.get("unsafe"):
        do_not_flush()
    parts = assembly.open_checked(data, Options(), clock=FakeClock())
    counter = ShopCounter(parts, has_printer=given["printer"] is not None)
    counter.exclusive(lambda parts: startup.started(parts, "test", clerk="li"))
    counter.exclusive(lambda parts: parts.journal.warm())
    if given["printer"] is not None:
        profile = PrinterProfile(baud=115_200, cut="partial")
        style = SlipStyle(language="en")
        worker = PrintWorker(counter, given["printer"], profile, style=style, backlog_minutes=15)
        counter.on_entry = worker.wake
        worker.start()
    say("ready")
    for index in range(given["first"], len(credentials)):
        code, last4 = credentials[index]
        done = counter.redeem_presented(code, last4, 1, clerk="li", request=f"r{index}", slip=True)
        assert isinstance(done, Redeemed), done
        say("done", index, done.serial)
        if index + 1 == given.get("stop_after"):
            stop_at_once(data.root)
    say("all")


if __name__ == "__main__":
    main()
