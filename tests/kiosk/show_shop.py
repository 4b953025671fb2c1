"""Runs the kiosk on the real counter: `python -m tests.kiosk.show_shop DIR`.

The files are a terminal's own (journal, replica, keys); only the clock is fixed. What was issued is
written to DIR/issued as one JSON object: name to [code, last four].
"""

import json
import logging
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

from terminal.kiosk import Setting, run_kiosk
from terminal.words import Language
from tests.terminal.shop import HERE, NOW, THERE, Sample, Shop, close
from vouchers.times import DAY_MS


def issue(shop: Shop) -> dict[str, Sample]:
    """A voucher of five and one for each refusal that a counter can give alone."""
    shop.product(3, outlets=[THERE], name="只在西门 [red]\x1b[2J")
    shop.product(4, outlets=[HERE], weekdays=(6, 7), name="周末早餐")
    past = (NOW - 9 * DAY_MS, NOW - DAY_MS)
    later = (NOW + DAY_MS, NOW + 9 * DAY_MS)
    return {
        "five": shop.issue(5),
        "one": shop.issue(1),
        "expired": shop.issue(1, valid=past),
        "early": shop.issue(1, valid=later),
        "elsewhere": shop.issue(1, product=3),
        "weekend": shop.issue(1, product=4),
        "refunded": shop.issue(1, state="refunded"),
        "refunding": shop.issue(1, state="refunding"),
        "voided": shop.issue(1, state="voided"),
        "used": shop.issue(1, used=1),
        "away": shop.issue(3, product=2, home=THERE),
    }


def main() -> int:
    """Make the files, open the counter, run the kiosk."""
    root = Path(sys.argv[1])
    logging.basicConfig(filename=root / "trace", level=logging.INFO)
    shop = Shop(root / "data")
    issued = {name: [each.code(), each.last4] for name, each in issue(shop).items()}
    (root / "issued").write_text(json.dumps(issued), "utf-8")
    counter = shop.open(clerk="chen")
    status = run_kiosk(counter, Setting(Language(sys.argv[2]), ZoneInfo("Asia/Shanghai")))
    close(counter)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
