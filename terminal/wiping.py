"""Destroying what this terminal holds, on central's signed order.

Responsible for: the order's durable mark, and removing keys, then databases, so that a power loss
at any point is finished at the next start. Not responsible for: believing the order or sending what
is left first (`sync_worker`). Invariants: nothing is destroyed before the mark is durable; keys go
first, for without them the rest is noise; the mark is the last thing to change, into a note that
says to the next person what happened here, and to central, until it has heard it (`farewell`).
"""

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct, convert, structs

from terminal import keys
from terminal.datadir import DataDir
from terminal.errors import Misconfigured
from terminal.parts import Parts

GONE: Final = "head office had this terminal wiped: it holds nothing any more. Switch it off"

_MARK: Final = "wipe"
_NOTE: Final = "wiped"
_PRECIOUS: Final = ("identity", "journal.recovery")
_STEMS: Final = ("journal.db", "replica.db", "identity", "journal.recovery", "key.json")
_FOLDERS: Final = ("incoming",)


class LastWord(Struct, frozen=True):
    """What central is to hear, signed while the key existed, and where central is."""

    url: str
    text: str
    sig: str
    insecure_http: bool


def order(data: DataDir, posid: str, at: str, word: LastWord | None = None) -> None:
    """Make the order durable: from now on it is carried out, whatever happens. Raises OSError."""
    said = None if word is None else structs.asdict(word)
    text = json.dumps({"posid": posid, "at": at, "say": said})
    keys.write_private(data.root / _MARK, text.encode())


def last_word(data: DataDir) -> LastWord | None:
    """What central has not heard yet, once everything is destroyed."""
    try:
        return convert(_note(data).get("say"), LastWord | None)
    except ValueError:  # damaged: then nothing can be said
        return None


def heard(data: DataDir) -> bool:
    """Central has heard it, or never will; whether that could be noted."""
    with suppress(OSError):
        text = json.dumps(_note(data) | {"say": None})
        keys.write_private(data.root / _NOTE, text.encode())
        return True
    return False


def _note(data: DataDir) -> dict[str, object]:
    with suppress(OSError, ValueError):
        return convert(json.loads((data.root / _NOTE).read_bytes()), dict[str, object])
    return {}


def resume(data: DataDir) -> None:
    """Finish a wipe that was cut short. Raises Misconfigured where one was ever finished."""
    mark, note = data.root / _MARK, data.root / _NOTE
    if mark.exists():
        carry_out(data)
    if note.exists() and not data.identity.exists():
        with suppress(ImportError):  # without `sync` there is nobody to be told
            from terminal import farewell

            farewell.say(data)
        raise Misconfigured(
            "head office had this terminal wiped: it holds nothing any more. To use it again ask"
            " for a pairing code and run `hexiao enrol URL CODE`"
        )


def carry_out(data: DataDir) -> None:
    """Destroy keys, then everything else; the mark becomes a note. Raises OSError."""
    keys.destroy(data)
    for name in _PRECIOUS:
        _overwrite(data.root / name)
    for stem in _STEMS:
        for path in data.root.glob(f"{stem}*"):
            path.unlink(missing_ok=True)
    for name in _FOLDERS:
        shutil.rmtree(data.root / name, ignore_errors=True)
    data.witness.unlink(missing_ok=True)
    keys.sync_directory(data.root)
    (data.root / _MARK).replace(data.root / _NOTE)
    keys.sync_directory(data.root)


def destroy(parts: Parts) -> None:
    """Close an open terminal's files and destroy them. Raises OSError."""
    parts.wiped = True
    parts.replica.close()
    parts.journal.close()
    carry_out(parts.data)


def enrolled_again(data: DataDir) -> None:
    """The note has served its time."""
    (data.root / _NOTE).unlink(missing_ok=True)


def _overwrite(path: Path) -> None:
    # A flash disk may keep the old bytes all the same; the key they were sealed under is gone.
    with suppress(FileNotFoundError):
        keys.overwrite(path)
