"""Commands about branches: what was kept apart at a fork, and what a person decides on it."""

import argparse
import getpass
from dataclasses import asdict

from central import branch_reports, deciding
from central.commands.context import Context
from central.deciding import Decided, Wanted
from central.errors import Refused


def list_all(context: Context, _args: argparse.Namespace) -> int:
    """Every branch in one row."""
    with context.central() as central, central.read() as work:
        return context.output.rows(branch_reports.summaries(work))


def book(context: Context, args: argparse.Namespace) -> int:
    """Book what waits of a branch."""
    with context.central() as central:
        done = deciding.book(central, _wanted(args), dry_run=args.dry_run)
    return _say(context, done, dry_run=args.dry_run)


def dismiss(context: Context, args: argparse.Namespace) -> int:
    """Leave what waits of a branch unbooked."""
    with context.central() as central:
        done = deciding.dismiss(central, _wanted(args))
    return _say(context, done, dry_run=False)


def _wanted(args: argparse.Namespace) -> Wanted:
    return Wanted(args.branch, args.by or _account(), args.reason, args.up_to)


def _account() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an account that has no name
        return ""


def _say(context: Context, done: Decided | Refused, *, dry_run: bool) -> int:
    if isinstance(done, Refused):
        return context.output.refuse(done)
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in done.verdicts.items())
    words = [
        f"{done.branch}: {done.entries} entries {'would be ' if dry_run else ''}{done.decision}",
        f"booked of it: {verdicts}" if verdicts else "nothing of it is booked",
    ]
    if done.waiting:
        words.append(f"{done.waiting} still wait")
    if dry_run:
        words.append("nothing was changed")
    said = {"ok": True, **asdict(done), "dry_run": dry_run}
    return context.output.say(said, "; ".join(words))
