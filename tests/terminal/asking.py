"""Asking a counter, and expecting one kind of answer."""

from terminal.counter import ShopCounter
from terminal.outcomes import Redeemed, Reversed, View
from terminal.slip_jobs import Job, latest
from tests.terminal.shop import Sample
from vouchers import entries
from vouchers.entries import Entry
from vouchers.reasons import Reason, Refusal


def view(counter: ShopCounter, code: str, last4: str) -> View:
    """The voucher opens."""
    found = counter.look_up(code, last4)
    assert isinstance(found, View), found
    return found


def redeem(
    counter: ShopCounter, sample: Sample, shares: int = 1, *, generation: int = 0, request: str = ""
) -> Redeemed:
    """The redemption is booked."""
    seen = view(counter, sample.code(generation), sample.last4)
    counter.prepare(seen.handle)
    asked = request or f"r-{sample.voucher}-{generation}-{shares}"
    done = counter.redeem(seen.handle, shares, clerk="li", request=asked)
    assert isinstance(done, Redeemed), done
    return done


def reverse(counter: ShopCounter, serial: str) -> Reversed:
    """The reversal is booked."""
    done = counter.reverse(serial, reason_code="mistake", clerk="li")
    assert isinstance(done, Reversed), done
    return done


def reason(answer: object) -> Reason:
    """The answer is a no, or a view with one."""
    if isinstance(answer, View):
        answer = answer.refusal
    assert isinstance(answer, Refusal), answer
    return answer.reason


def detail(answer: object) -> dict[str, object]:
    """What a no says beside its reason."""
    if isinstance(answer, View):
        answer = answer.refusal
    assert isinstance(answer, Refusal), answer
    return dict(answer.detail)


def job_of(counter: ShopCounter, serial: str) -> Job:
    """The last print job of a serial."""
    job = latest(counter.parts.journal.connection, serial)
    assert job is not None, f"no slip for {serial}"
    return job


def all_entries(counter: ShopCounter) -> list[Entry]:
    """Every entry of the current epoch."""
    journal = counter.parts.journal
    return [
        entries.read_entry(stored.body) for stored in journal.entries(journal.head().epoch, 0, 9999)
    ]
