"""A tiny counter in memory, at the port the kiosk programs against.

Responsible for: being slow, wrong or lost on command, which the real counter is only by accident;
journeys with vouchers that count run on the real one. Not responsible for: rules. Invariant: the
same request gives the first result again, as the port promises.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from threading import Event

from msgspec.structs import replace

from terminal.errors import OutcomeUnknown, OutOfService
from terminal.outcomes import Delivery, Notice, Redeemed, Reversed, Status, TapeRow, View
from tests.kiosk.scenery import NOON, REDEEMED, STATUS, TAPE, VIEW
from vouchers.credential import read_credential
from vouchers.reasons import Reason, Refusal

LAST4 = "1234"
GOOD = "92100000022"


class MemoryCounter:
    """Knows the vouchers it is given; writes what it was asked to a file of JSON lines."""

    def __init__(self, vouchers: dict[str, View], log: Path | None = None) -> None:
        self.vouchers = vouchers
        self.log = log
        self.results: dict[str, Redeemed] = {}
        self.rows: list[TapeRow] = list(TAPE)
        self.state = STATUS
        self.prepared: list[str] = []
        self.unknown_answers = 0
        self.broken = False
        self.bug = False
        self.gate = Event()
        self.gate.set()

    def _note(self, what: str, **fields: object) -> None:
        if self.log is not None:
            with self.log.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"what": what, **fields}) + "\n")

    def check_credential(self, credential: str) -> Refusal | None:
        """What cannot be a code is refused at once."""
        self._note("check", credential=credential)
        found = read_credential(credential)
        return found if isinstance(found, Refusal) else None

    def look_up(self, credential: str, last4: str) -> View | Refusal:
        """Open one of the vouchers."""
        self._note("look_up", credential=credential)
        self.gate.wait()
        if self.broken:
            raise OutOfService("The journal is not usable. Run: hexiao doctor")
        view = self.vouchers.get(credential)
        if view is None or last4 != LAST4:
            return Refusal(Reason.UNKNOWN_OR_WRONG)
        return view

    def prepare(self, handle: str) -> None:
        """There is nothing to begin on."""
        self.prepared.append(handle)

    def look_up_card(self, number: str) -> Sequence[View] | Refusal:
        """The vouchers that were given to this number, joined by `+` in their key."""
        self._note("look_up_card")
        self.gate.wait()
        if self.broken:
            raise OutOfService("The journal is not usable. Run: hexiao doctor")
        found = [view for key, view in self.vouchers.items() if key.startswith(f"{number}+")]
        return found or Refusal(Reason.UNKNOWN_OR_WRONG, {"why": "card"})

    def redeem(
        self, handle: str, shares: int, *, clerk: str, request: str, slip: bool = True
    ) -> Redeemed | Refusal:
        """Commit once per request; the answer may be lost on command."""
        self._note("redeem", handle=handle, shares=shares, request=request, clerk=clerk)
        self.gate.wait()
        if request not in self.results:
            view = next(each for each in self.vouchers.values() if each.handle == handle)
            left = view.left - shares
            code = GOOD if left else None
            serial = f"T0007_1_{43 + len(self.results):08d}"
            self.results[request] = replace(
                REDEEMED, shares=shares, left=left, successor_code=code, serial=serial
            )
            row = replace(self.rows[0], serial=serial, shares=shares, left=left, at=NOON)
            self.rows.insert(0, replace(row, delivery=Delivery.WAITING))
        if self.bug:
            raise AssertionError(f"a bug with a secret {LAST4}")
        if self.unknown_answers:
            self.unknown_answers -= 1
            raise OutcomeUnknown("the commit raised", request)
        return self.results[request]

    def reverse(
        self, serial: str, *, reason_code: str, clerk: str, note: str = ""
    ) -> Reversed | Refusal:
        """Undo a row."""
        self._note("reverse", serial=serial, reason_code=reason_code)
        row = next(each for each in self.rows if each.serial == serial)
        undone = Reversed("T0007_1_00000099", serial, VIEW.voucher, row.shares, 5, NOON, False)
        place = self.rows.index(row)
        self.rows[place] = replace(row, reversed_by=undone.serial, reversible=False)
        return undone

    def reprint(self, serial: str, *, clerk: str) -> bool:
        """There is always a slip."""
        self._note("reprint", serial=serial)
        return True

    def settle_slip(self, serial: str, *, reprint: bool, clerk: str) -> None:
        """The question is answered."""
        self._note("settle_slip", serial=serial, reprint=reprint)
        rest = tuple(each for each in self.state.notices if each.serial != serial)
        self.state = replace(self.state, notices=rest)

    def dismiss(self, notice: Notice) -> None:
        """It was read."""
        self._note("dismiss", kind=notice.kind)
        rest = tuple(each for each in self.state.notices if each != notice)
        self.state = replace(self.state, notices=rest)

    def history(self, limit: int) -> Sequence[TapeRow]:
        """Newest first."""
        return self.rows[:limit]

    def status(self) -> Status:
        """As it was set."""
        return self.state


def with_samples(log: Path | None = None) -> MemoryCounter:
    """A counter with a voucher of five, one of one, and one for each refusal."""
    vouchers = {
        GOOD: VIEW,
        "10000000003": replace(VIEW, handle="h2", shares=1, left=1, max_now=1),
    }
    return MemoryCounter(vouchers, log)
