"""The terminal's command line (design, section 5).

Responsible for: parsing, settings, finding the holder of the data directory, exit statuses and the
form of errors. Not responsible for: what a command does. Invariants: bad input gives a message,
never a traceback; a command runs in the holder when there is one, else alone under the lock; this
module imports nothing heavy before it knows that it must.
"""

import getpass
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Final

from config.loader import Loaded, SettingsError, load
from terminal import control
from terminal.arguments import WrongUsageError, parser
from terminal.console import plain
from terminal.control import Asked
from terminal.errors import (
    HeldElsewhere,
    Misconfigured,
    OutcomeUnknown,
    OutOfService,
    said_of,
    trouble_of,
)
from terminal.loading import loading
from terminal.place import Place

DONE, REFUSED, WRONG_USE, OUT_OF_SERVICE = 0, 1, 2, 3
_RETRY_S: Final = 0.05

_BY_HOLDER: Final = ("lookup", "redeem", "reverse", "sync", "journal", "doctor")
"""Commands that work on an open terminal; the holder runs them when there is one."""


def main(argv: Sequence[str]) -> int:
    """Run one command; answers the exit status."""
    # A console of few characters, or a name of none, must not end a command in a traceback.
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    if not __debug__:
        sys.stderr.write("hexiao does not run with python -O: its assertions guard money\n")
        return WRONG_USE
    try:
        args = parser(next(iter(argv), None)).parse_args(list(argv))
    except WrongUsageError as error:
        _write_err(f"{error}\n")
        return WRONG_USE
    try:
        return _run(args, list(argv))
    except KeyboardInterrupt:
        return OUT_OF_SERVICE
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output went away; there is nobody to tell
        return OUT_OF_SERVICE


def _run(args: Namespace, argv: list[str]) -> int:
    try:
        return _with_settings(load(args.config), args, argv)
    except (SettingsError, Misconfigured) as error:
        return _said(args, "out_of_service", str(error), WRONG_USE)
    except HeldElsewhere as error:
        return _said(args, "busy", str(error), OUT_OF_SERVICE)
    except OutcomeUnknown as error:
        return _said(args, "outcome_unknown", str(error), OUT_OF_SERVICE)
    except ConnectionError as error:
        return _said(args, "out_of_service", str(error), OUT_OF_SERVICE)
    except OSError as error:
        return _said(args, "out_of_service", said_of(error), OUT_OF_SERVICE)


def _with_settings(loaded: Loaded, args: Namespace, argv: list[str]) -> int:
    try:
        if args.command in _BY_HOLDER:
            return _by_holder(loaded, args, argv)
        return _own(loaded, args)
    except OutOfService as error:
        from terminal import words

        language = words.Language(loaded.settings.kiosk.language)
        message = words.trouble(trouble_of(error), language)
        return _said(args, "out_of_service", message, OUT_OF_SERVICE)


def _said(args: Namespace, reason: str, message: str, status: int) -> int:
    if getattr(args, "json", False):
        import json

        answer = {"ok": False, "reason": reason, "message": message}
        sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
    else:
        _write_err(message + "\n")
    return status


def _by_holder(loaded: Loaded, args: Namespace, argv: list[str]) -> int:
    data = Place(loaded).data
    asked = Asked((*argv, *_where_we_stand(args)), tuple(_stdin_lines(args)))
    deadline = 0.0
    holder: int | None = -1
    while True:
        status = control.ask(data, asked, _write_out, _write_err)
        if status is not None:
            return status
        try:
            return _alone(loaded, args, asked)
        except HeldElsewhere as error:
            # Whoever holds it may be about to serve the socket, or to let go. Where it changes
            # hands, the queue moves: the wait is for one holder, not for all before us.
            if error.pid != holder:
                deadline, holder = time.monotonic() + args.wait, error.pid
            if time.monotonic() >= deadline:
                raise
            time.sleep(_RETRY_S)


def _alone(loaded: Loaded, args: Namespace, asked: Asked) -> int:
    from terminal.commands import execute_alone
    from terminal.datadir import hold
    from terminal.desk import Io

    io = Io(_write_out, _write_err, list(asked.lines))
    with hold(Place(loaded).data, wait_s=0):
        return execute_alone(loaded, args, io, ask_passphrase)


def _own(loaded: Loaded, args: Namespace) -> int:
    """Commands that hold the terminal themselves, or need none."""
    with loading():
        from terminal.commands import execute_own
        from terminal.desk import Io

    return execute_own(loaded, args, Io(_write_out, _write_err), ask_passphrase)


def _write_out(text: str) -> None:
    sys.stdout.write(plain(text))
    sys.stdout.flush()


def _write_err(text: str) -> None:
    sys.stderr.write(plain(text))


def ask_passphrase() -> str:
    """Ask the person at the keyboard for the database passphrase."""
    return getpass.getpass("passphrase of this terminal: ")


def _where_we_stand(args: Namespace) -> list[str]:
    """A relative file is the asker's, wherever the holder stands; the last `--out` counts."""
    out = getattr(args, "out", None)
    return ["--out", str(Path(out).absolute())] if out else []


def _stdin_lines(args: Namespace) -> list[str]:
    """One line per argument that was given as `-`."""
    wanted = [getattr(args, name, None) for name in ("code", "last4")].count("-")
    return [sys.stdin.readline().rstrip("\r\n") for _ in range(wanted)]
