"""A voucher that is open at the counter, and its next code, made before it is asked for.

Responsible for: making the successor while the clerk decides, or when it is needed. Not
responsible for: how many are held, or for how long (`counter`). Invariant: the last four digits
are in memory only, and go with this.
"""

from concurrent.futures import Executor, Future
from contextlib import suppress

from terminal.opening import Opened
from terminal.outcomes import View
from terminal.redeem import Successor, make_successor
from vouchers.presented import next_code_here
from vouchers.sealed import Vault


class Held:
    """An opened voucher; `view` is what was said of it, None where only its code is asked for."""

    __slots__ = ("_successor", "_wanted", "opened")

    def __init__(self, opened: Opened, view: View | None = None) -> None:
        self.opened = opened
        here = next_code_here(opened.credential, opened.evidence)
        self._wanted = here and view is not None and view.max_now > 0 and view.left > 1
        self._successor: Future[Successor] | None = None

    def prepare(self, executor: Executor, vault: Vault) -> None:
        """Begin on the successor, if there can be one: it takes the vault's time."""
        if self._wanted and self._successor is None:
            with suppress(RuntimeError):  # the counter closes
                self._successor = executor.submit(make_successor, self.opened, vault)

    def successor(self, vault: Vault) -> Successor:
        """The next code and its row."""
        if self._successor is not None:
            return self._successor.result()
        return make_successor(self.opened, vault)
