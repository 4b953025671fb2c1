"""`python -m tests.simulation`: live through worlds and say what came of them."""

import argparse
import sys
import time

from tests.simulation import runner
from tests.simulation.mutations import MUTATIONS
from tests.simulation.runner import Outcome

FAILURES_MAX = 10
"""After so many, more of them teach nothing."""

TELL_EVERY_S = 20.0


def _one(seed: int) -> int:
    """Live through one world and tell all of it."""
    with runner.merchant() as template:
        outcome = runner.live([seed], template)
    for failure in outcome.failures:
        print("\n".join(failure.history), failure.trace, sep="\n")
        print(failure)
        return 1
    print(f"seed {seed}: all promises held; history {outcome.digests[seed]}")
    return 0


def _mutations(first: int, worlds: int) -> int:
    """In how many worlds each mutation of the product is noticed."""
    unnoticed = 0
    with runner.merchant() as template:
        for name, mutate in MUTATIONS.items():
            failure = runner.first_failure(range(first, first + worlds), template, mutate)
            unnoticed += failure is None
            said = "not noticed" if failure is None else f"world {failure.seed}: {failure.what}"
            print(f"{name}: {said}", flush=True)
    return 1 if unnoticed else 0


def _many(first: int, worlds: int, jobs: int) -> int:
    began = told = time.monotonic()
    total = Outcome()
    print(
        f"{worlds} worlds, seeds {first} to {first + worlds - 1}, on {jobs} processes", flush=True
    )
    for portion in runner.live_many(first, worlds, jobs=jobs):
        total.add(portion)
        for failure in portion.failures:
            print(failure, flush=True)
        if len(total.failures) >= FAILURES_MAX:
            break
        if time.monotonic() - told > TELL_EVERY_S:
            told = time.monotonic()
            print(f"{total.worlds} worlds, {_rate(total, began)}", file=sys.stderr, flush=True)
    happened = ", ".join(f"{count} {what}" for what, count in sorted(total.counts.items()))
    print(f"{total.worlds} worlds, {len(total.failures)} wrong, {_rate(total, began)}")
    print(f"in them: {happened}")
    return 1 if total.failures else 0


def _rate(total: Outcome, began: float) -> str:
    return f"{total.worlds / (time.monotonic() - began):.1f} worlds/s"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="live through this one world and show it")
    parser.add_argument("--worlds", type=int, default=1_000, help="how many worlds (1000)")
    parser.add_argument("--first", type=int, default=0, help="the seed of the first world (0)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (2)")
    parser.add_argument(
        "--mutations", action="store_true", help="break the product on purpose: who notices when"
    )
    args = parser.parse_args()
    if args.seed is not None:
        return _one(args.seed)
    if args.mutations:
        return _mutations(args.first, args.worlds)
    return _many(args.first, args.worlds, args.jobs)


if __name__ == "__main__":
    sys.exit(main())
