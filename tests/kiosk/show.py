"""Runs the kiosk on a counter in memory: `python -m tests.kiosk.show --language zh --log FILE`."""

import argparse
import logging
from pathlib import Path
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from terminal.kiosk import Sample, Setting, run_kiosk
from terminal.words import Language
from tests.kiosk.memory_counter import GOOD, LAST4, with_samples
from tests.kiosk.scenery import SLIP_NOTICE, VERDICT_NOTICE

SAMPLES = (
    Sample(GOOD, LAST4, "5 份下午茶", "afternoon tea, 5 shares"),
    Sample("10000000003", LAST4, "1 份", "one share"),
)


def main() -> int:
    """Parse, build, run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--language", default="zh")
    parser.add_argument("--log", type=Path)
    parser.add_argument("--trace", type=Path)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--unknown", type=int, default=0)
    parser.add_argument("--broken", action="store_true")
    parser.add_argument("--bug", action="store_true")
    parser.add_argument("--notices", action="store_true")
    options = parser.parse_args()
    if options.trace:
        logging.basicConfig(filename=options.trace, level=logging.INFO)
    counter = with_samples(options.log)
    counter.unknown_answers = options.unknown
    counter.broken = options.broken
    counter.bug = options.bug
    if options.notices:
        counter.state = replace(counter.state, notices=(SLIP_NOTICE, VERDICT_NOTICE))
    return run_kiosk(
        counter,
        Setting(Language(options.language), ZoneInfo("Asia/Shanghai"), SAMPLES),
        plain=options.plain,
    )


if __name__ == "__main__":
    raise SystemExit(main())
