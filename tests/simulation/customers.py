"""Customers of the simulation: what they could show, and what that must open once all is at rest.

Responsible for: what a customer holds, and showing it at every till. Not responsible for: when
they come (`world`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from terminal.outcomes import View
from tests.simulation.audit import Books, stopped
from tests.simulation.auditor import Auditor, insist
from tests.simulation.till import Till
from vouchers.reasons import Refusal


@dataclass
class Customer:
    """Who bought a voucher: what they could show at a counter, newest last, and its last four."""

    order: str
    voucher: str
    last4: str
    shown: list[str]
    former: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Wish:
    """A redemption that was asked for; it may be asked again under the same request."""

    till: Till
    credential: str
    last4: str
    shares: int
    request: str


def present(
    auditor: Auditor, path: Path, tills: Sequence[Till], customers: Sequence[Customer]
) -> None:
    """The code that central sent opens everywhere, and says the same; former ones do not."""
    books = Books(path)
    rows = books.by("vouchers", "voucher")
    books.close()
    for till in tills:
        if till.process is None or stopped(till):
            continue
        till.online = False
        for customer in customers:
            row = rows[customer.voucher]
            _present_former(till, row, customer)
            if row["state"] in ("live", "refunding"):
                _present_current(auditor, till, row, customer)


def _present_former(till: Till, row: Any, customer: Customer) -> None:
    assert till.process is not None
    for credential, last4 in customer.former[-2:]:
        if last4 != customer.last4:  # else it was changed back
            found = till.process.counter.look_up(credential, last4)
            replaced = isinstance(found, View) and found.generation < row["generation"]
            # A till's own row may outlive a refund: it says so, and gives out nothing.
            alive = row["state"] in ("live", "refunding")
            over = not alive and isinstance(found, View) and not found.max_now
            closed = isinstance(found, Refusal) or replaced or over
            insist(closed, till.name, "opens with a former number:", found)


def _present_current(auditor: Auditor, till: Till, row: Any, customer: Customer) -> None:
    assert till.process is not None
    sold = auditor.sold[customer.voucher]
    code = auditor.code_of(bytes(row["secret"]), row["generation"])
    left = max(0, sold.shares - row["used"])
    view = till.process.counter.look_up(code, row["last4"])
    insist(isinstance(view, View), till.name, "does not open the current code:", view)
    assert isinstance(view, View)
    insist(view.left == left, till.name, "says", view.left, "left of", sold, "is", left)
