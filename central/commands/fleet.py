"""Commands about terminals and what they sent: pairing, verdicts, reports."""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final

from sqlalchemy import select

from central import (
    ahead,
    branch_reports,
    enrol,
    notes,
    policies,
    reports,
    revoking,
    schema,
    verdicts,
)
from central import import_journal as rescued
from central.commands.context import Command, Context
from central.errors import Refused
from central.output import REFUSED
from central.service import Central, Work
from vouchers import times


def settle(context: Context, args: argparse.Namespace) -> int:
    """Close the verdict on a redemption."""
    with context.central() as central:
        done = verdicts.settle(central, args.serial, args.way)
    if isinstance(done, Refused):
        return context.output.refuse(done)
    return context.output.say({"ok": True, **asdict(done)}, f"{done.serial}: {done.settled}")


def import_journal(context: Context, args: argparse.Namespace) -> int:
    """A rescued journal."""
    with context.central() as central:
        done = rescued.run(central, Path(args.file))
    if isinstance(done, Refused):
        return context.output.refuse(done)
    words = f"{done.posid} epoch {done.epoch}: {done.added} of {done.read} entries were new"
    whole = not (done.apart or done.unreadable)
    status = context.output.say({"ok": whole, **asdict(done)}, words)
    if whole:
        return status
    context.output.note(
        f"no signature stands for the last {done.apart} entries: kept apart (`hexiao central branch"
        f" list`), not booked; {done.unreadable} lines cannot be read. Keep the file. If the"
        " terminal still lives it sends them itself; if its disk can be read, rescue it again"
    )
    return REFUSED


def enrol_code(context: Context, args: argparse.Namespace) -> int:
    """A pairing code."""
    with context.central() as central:
        url = args.url or context.settings.public_url or _served_url(context, central)
        made = enrol.make_code(central, args.outlet, args.posid)
    if isinstance(made, Refused):
        return context.output.refuse(made)
    expires = times.format_utc(made.expires_at)
    return context.output.say(
        {"code": made.code, "url": url, "expires_at": expires},
        f"on the terminal: hexiao enrol {url} {made.code}\nuntil {expires}",
    )


def _served_url(context: Context, central: Central) -> str:
    """The address that `serve` last had, else the one it would have by the settings."""
    table = schema.merchants
    with central.read() as work:
        url = work.connection.execute(
            select(table.c.url).where(table.c.merchant == work.merchant)
        ).scalar()
    return str(url or f"http://{context.settings.host}:{context.settings.port}")


def terminals(context: Context, args: argparse.Namespace) -> int:
    """The fleet, or only those that are silent."""
    hours = reports.SILENT_HOURS if args.silent is None else args.silent
    with context.central() as central, central.read() as work:
        _say_ahead(context, work)
        found = reports.terminals(work, silent_hours=hours)
        quiet = (row for row in found if args.silent is None or row["silent_since"])
        return context.output.rows(quiet)


def revoke(context: Context, args: argparse.Namespace) -> int:
    """Trust a terminal no more."""
    with context.central() as central:
        done = revoking.revoke(central, args.posid, wipe=args.wipe)
    if isinstance(done, Refused):
        return context.output.refuse(done)
    then = (
        "is told to upload what it has and to destroy the rest"
        if done.wipe
        else "may redeem no more"
    )
    words = f"{done.posid} is closed and {then}; what it sends from now on is set aside"
    return context.output.say({"ok": True, **asdict(done)}, words)


def release(context: Context, args: argparse.Namespace) -> int:
    """Book a quarantined entry after all."""
    with context.central() as central:
        done = revoking.release(central, args.serial)
    if isinstance(done, Refused):
        return context.output.refuse(done)
    return context.output.say({"ok": True, **asdict(done)}, f"{done.serial}: {done.verdict}")


def note_delete(context: Context, args: argparse.Namespace) -> int:
    """Delete a clerk's note."""
    with context.central() as central:
        refused = notes.delete(central, args.serial)
    if refused is not None:
        return context.output.refuse(refused)
    said = {"ok": True, "serial": args.serial}
    return context.output.say(said, f"the note on {args.serial} is deleted")


def policy_show(context: Context, args: argparse.Namespace) -> int:
    """What holds for the merchant, an outlet or a terminal, one number per row."""
    with context.central() as central, central.read() as work:
        found = policies.shown(work, args.outlet, args.posid)
    if isinstance(found, Refused):
        return context.output.refuse(found)
    if context.output.as_json:
        return context.output.say({one.name: one.value for one in found}, "")
    return context.output.rows(asdict(one) for one in found)


def policy_set(context: Context, args: argparse.Namespace) -> int:
    """Change numbers of the policy."""
    with context.central() as central:
        policy = policies.change(central, args.assignment, outlet=args.outlet, posid=args.posid)
        if isinstance(policy, Refused):
            return context.output.refuse(policy)
        with central.read() as work:
            found = policies.shown(work, args.outlet, args.posid)
    assert not isinstance(found, Refused), "it was there when it was set"
    said = {one.name: one.value for one in found}
    return context.output.say({"ok": True, **said}, f"policy {policy.version} is in force")


def alarms(context: Context, _args: argparse.Namespace) -> int:
    """What head office must look at."""
    with context.central() as central, central.read() as work:
        _say_ahead(context, work)
        return context.output.rows(reports.alarms(work))


def _say_ahead(context: Context, work: Work) -> None:
    if ahead.unsaid(work):
        context.output.note(ahead.WORDS)


REPORTS: Final = {
    "redemptions": "every redemption",
    "reversals": "every reversal",
    "conflicts": "what needs a person",
    "branches": "what was kept apart at a fork",
    "decisions": "what people decided on branches",
    "products": "shares per product",
    "orders": "every order and its state",
    "sealing": "how far sealing is",
}

_ROWS: Final[dict[str, Callable[[Work], Iterator[reports.Row]]]] = {
    "redemptions": reports.redemptions,
    "reversals": reports.reversals,
    "conflicts": reports.conflicts,
    "branches": branch_reports.entry_rows,
    "decisions": branch_reports.decisions,
    "products": reports.products,
    "orders": reports.orders,
    "sealing": reports.sealing_state,
}


def report_of(name: str) -> Command:
    """The command of a report."""

    def run(context: Context, _args: argparse.Namespace) -> int:
        with context.central() as central, central.read() as work:
            return context.output.rows(_ROWS[name](work))

    return run
