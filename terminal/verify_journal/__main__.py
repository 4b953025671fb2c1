"""The verifier as a command of its own, for a machine that has nothing else of hexiao."""

import argparse
import sys

from .chain import Anchors
from .verdict import verify_file


def main() -> int:
    """Check one export; answers the exit status: 0 holds, 1 broken, 2 not checkable."""
    parser = argparse.ArgumentParser(prog="verify_journal", description="check a journal's export")
    parser.add_argument("file")
    parser.add_argument("--key", required=True, help="base64url or @FILE")
    parser.add_argument("--head", action="append", default=[], help="a hash that must be in it")
    parser.add_argument("--since", type=int, default=0, help="the export begins after this number")
    parser.add_argument("--previous-head", help="the last hash of the epoch before")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    return verify_file(
        args.file,
        args.key,
        as_json=args.json,
        out=sys.stdout.write,
        err=sys.stderr.write,
        anchors=Anchors(tuple(args.head), args.since, args.previous_head),
    )


if __name__ == "__main__":
    sys.exit(main())
