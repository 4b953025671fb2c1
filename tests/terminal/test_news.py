"""News on its way from head office and from another counter to a real terminal, over real HTTP."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from terminal.counter import ShopCounter
from terminal.outcomes import Redeemed, View
from tests.terminal.service import LAST4, Central, opened, pair
from vouchers.reasons import Reason

PROMISE_S = 2.0


def within(seconds: float, condition: Callable[[], bool]) -> float:
    """Wait for a condition; how long it took. The promise is judged by the caller."""
    began, pause = time.monotonic(), threading.Event()
    while not condition():
        assert time.monotonic() - began < 20 * seconds, "never"
        pause.wait(0.02)
    return time.monotonic() - began


def why_not(counter: ShopCounter, code: str) -> Reason | None:
    """Why a voucher may not be redeemed here, as this terminal knows."""
    found = counter.look_up(code, LAST4)
    refusal = found.refusal if isinstance(found, View) else found
    return None if refusal is None else refusal.reason


def test_a_refund_and_a_redemption_elsewhere_arrive_within_two_seconds(
    central: Central, tmp_path: Path
) -> None:
    """Design 7: the long-poll ends with the change; neither terminal asks central at a look-up."""
    shared, refunded = central.issue(shares=3), central.issue()
    with (
        opened(pair(central, tmp_path / "a")) as here,
        opened(pair(central, tmp_path / "b")) as there,
    ):
        for till in (here, there):
            till.worker.once()
            till.counter.parts.online = None
            till.worker.start()
        assert why_not(there.counter, shared["code"]) is None
        central.run("refund", refunded["order"], "--request")
        refund_s = within(
            PROMISE_S, lambda: why_not(there.counter, refunded["code"]) is Reason.REFUNDING
        )
        seen = here.counter.look_up(shared["code"], LAST4)
        assert isinstance(seen, View)
        done = here.counter.redeem(seen.handle, 1, clerk="li", request="r1")
        assert isinstance(done, Redeemed)
        here.worker.wake()
        redeemed_s = within(
            PROMISE_S, lambda: why_not(there.counter, shared["code"]) is Reason.REPLACED
        )
    print(f"refund {refund_s:.2f} s, redemption {redeemed_s:.2f} s")
    assert max(refund_s, redeemed_s) < PROMISE_S
