"""The `hexiao` command: routes to the terminal's commands or to those of the central service.

Responsible for: choosing between the two, importing only the one that is needed. Not responsible
for: any command. It is the only module that knows both.
"""

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; answers the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["bench"] and "central" in words:
        words.remove("central")  # `bench central` is `central bench`
        words.insert(0, "central")
    if words[:1] == ["central"]:
        from central.cli import main as central

        return central(words[1:])
    from terminal.cli import main as terminal

    return terminal(words)


if __name__ == "__main__":
    sys.exit(main())
