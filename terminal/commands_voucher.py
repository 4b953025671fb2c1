"""`lookup`, `redeem`, `reverse`: the counter by command line (design, section 5).

Responsible for: their arguments and JSON. Not responsible for: the use cases; these are the same
calls the kiosk makes. Invariant: a credential is read, used and forgotten; it is never echoed.
"""

import threading
import time
from argparse import Namespace
from typing import Final

from terminal import opening, slip_jobs, words
from terminal.desk import DONE, Desk, Io, fail, refuse
from terminal.errors import OutcomeUnknown
from terminal.outcomes import Redeemed, View
from vouchers import times
from vouchers.reasons import Refusal

PRINT_WAIT_S: Final = 15.0
"""How long a command that runs alone waits for its slip before it leaves it to the next holder."""

REQUEST_CHARS_MAX: Final = 64


def lookup(desk: Desk, args: Namespace, io: Io) -> int:
    """What the voucher is; changes no voucher. Exit 0 when it opened."""
    found = desk.station.counter.look_up(io.value(args.code), io.value(args.last4))
    if isinstance(found, Refusal):
        return refuse(desk, found, io, as_json=args.json)
    if args.json:
        io.json(_view_json(found))
    else:
        io.out(_view_text(desk, found))
    return DONE


def redeem(desk: Desk, args: Namespace, io: Io) -> int:
    """The same path as the kiosk."""
    counter = desk.station.counter
    if counter.parts.policy.cli.redeem == "deny":
        return fail("out_of_service", "the owner lets only the kiosk redeem", io, as_json=args.json)
    code, last4 = io.value(args.code), io.value(args.last4)
    request = args.request or opening.new_id(counter.parts)
    try:
        done = counter.redeem_presented(
            code,
            last4,
            args.shares,
            clerk=args.clerk or "",
            request=request,
            slip=not args.no_print,
        )
    except OutcomeUnknown as unknown:
        message = f"{unknown}. Ask again with --request {request}"
        return fail("outcome_unknown", message, io, as_json=args.json, request=request)
    if isinstance(done, Refusal):
        return refuse(desk, done, io, as_json=args.json)
    if desk.alone and not args.no_print and not done.repeated:
        _print_now(desk, done.serial, io)
    if args.json:
        io.json(_redeemed_json(done))
    else:
        io.out(_redeemed_text(desk, done))
    return DONE


def reverse(desk: Desk, args: Namespace, io: Io) -> int:
    """Undo a redemption of this terminal (decision 11)."""
    done = desk.station.counter.reverse(
        args.serial, reason_code=args.reason_code, clerk=args.clerk or "", note=args.note or ""
    )
    if isinstance(done, Refusal):
        return refuse(desk, done, io, as_json=args.json)
    if desk.alone and not done.repeated:
        _print_now(desk, done.serial, io)
    if args.json:
        io.json(
            {
                "ok": True,
                "serial": done.serial,
                "reverses": done.reverses,
                "shares": done.shares,
                "left": done.left,
                "repeated": done.repeated,
            }
        )
    else:
        io.out(f"{done.serial} reverses {done.reverses}: {done.shares} back, {done.left} left\n")
    return DONE


def _print_now(desk: Desk, serial: str, io: Io) -> None:
    """A command that runs alone prints its own slip, for a bounded time; older ones come first."""
    printing = desk.station.printing
    if printing is None:
        return
    changed = threading.Event()
    printing.on_change = changed.set
    printing.start()
    deadline = time.monotonic() + PRINT_WAIT_S
    while desk.station.counter.exclusive(lambda parts: slip_jobs.waits(parts, serial)):
        if not changed.wait(max(0.0, deadline - time.monotonic())):
            io.err("the slip was not printed yet; it waits for the terminal or a reprint\n")
            break
        changed.clear()
    printing.stop()


def _view_json(view: View) -> dict[str, object]:
    reason = None if view.refusal is None else str(view.refusal.reason)
    return {
        "ok": True,
        "redeemable": view.refusal is None,
        "reason": reason,
        "voucher": view.voucher,
        "product": view.product,
        "product_name": view.product_name,
        "shares": view.shares,
        "left": view.left,
        "generation": view.generation,
        "valid_from": times.format_utc(view.valid_from),
        "valid_until": times.format_utc(view.valid_until),
        "outlets": [place.outlet for place in view.outlets],
        "evidence": view.evidence,
    }


def _redeemed_json(done: Redeemed) -> dict[str, object]:
    return {
        "ok": True,
        "serial": done.serial,
        "posid": done.posid,
        "voucher": done.voucher,
        "product": done.product,
        "shares": done.shares,
        "left": done.left,
        "successor_code": done.successor_code,
        "mode": done.mode,
        "at": times.format_utc(done.at),
        "head": done.head,
        "repeated": done.repeated,
    }


def _view_text(desk: Desk, view: View) -> str:
    zone = desk.station.counter.parts.identity.zone
    lines = [
        f"{view.product_name}",
        f"  {words.shares(view.left, desk.language)} / {view.shares}",
        f"  {words.last_moment(view.valid_until, desk.language, zone)}",
    ]
    if view.refusal is not None:
        lines.append(f"  {words.message(view.refusal, desk.language, zone)}")
    return "\n".join(lines) + "\n"


def _redeemed_text(desk: Desk, done: Redeemed) -> str:
    said = words.shares(done.shares, desk.language)
    line = f"{done.serial}  {done.product_name}  {said}, {done.left} left"
    return line + (f", new code {done.successor_code}\n" if done.successor_code else "\n")
