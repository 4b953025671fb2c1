"""From a file and a key to an answer for people or programs.

Responsible for: reading the key and the anchors, and the words, JSON and exit status of the answer.
Not responsible for: checking (`chain`). Invariant: every outcome is an exit status and words.
"""

import json
import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from . import form
from .chain import Anchors, Report, verify
from .form import UnusableError

HOLDS, BROKEN, UNUSABLE = 0, 1, 2
_KEY_FILE_BYTES_MAX: Final = 4_096
_HEAD: Final = re.compile(r"[0-9a-f]{16,64}", re.ASCII)

Write = Callable[[str], object]


def verify_file(
    path: str,
    key_text: str,
    *,
    as_json: bool,
    out: Write,
    err: Write,
    anchors: Anchors | None = None,
) -> int:
    """Check an export and say what was found. Exit status: 0 holds, 1 broken, 2 not checkable.

    `key_text` is the terminal's public key in base64url, or `@FILE` that holds it.
    """
    try:
        known = _checked(anchors or Anchors())
        key = _public_key(key_text)
        with Path(path).open("rb") as file:
            report = verify(file, key, known)
    except (UnusableError, OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        _unusable(f"{path}: {why}", out if as_json else err, as_json=as_json)
        return UNUSABLE
    if as_json:
        out(_json(report) + "\n")
    else:
        out(_text(report))
    return BROKEN if report.broken_count else HOLDS


def _unusable(message: str, write: Write, *, as_json: bool) -> None:
    said = {"ok": False, "reason": "out_of_service", "message": message}
    write((json.dumps(said, ensure_ascii=False) if as_json else message) + "\n")


def _checked(anchors: Anchors) -> Anchors:
    given = [*anchors.heads, *filter(None, [anchors.previous_head])]
    bad = [head for head in given if not _HEAD.fullmatch(head)]
    if bad or (anchors.previous_head is not None and not form.is_hash(anchors.previous_head)):
        raise UnusableError(
            "a head is 64 hex digits in lower case, or the first 16 of them or more; a head of the"
            " epoch before is all 64"
        )
    if anchors.since < 0:
        raise UnusableError("the number that an export begins after is not negative")
    return anchors


def _public_key(text: str) -> bytes:
    if text.startswith("@"):
        with Path(text[1:]).open("rb") as file:
            text = file.read(_KEY_FILE_BYTES_MAX).decode("latin-1").strip()
    try:
        raw = form.unb64u(text)
        Ed25519PublicKey.from_public_bytes(raw)
    except ValueError:
        raise UnusableError(
            "the key is not an Ed25519 public key in base64url (43 characters)"
        ) from None
    return raw


def _text(report: Report) -> str:
    lines = []
    for word, findings in (("wrong", report.broken), ("odd", report.warnings)):
        for one in findings:
            seq = "" if one.seq is None else f", entry {one.seq}"
            lines.append(f"{word}: line {one.line}{seq}: {one.check}: {one.message}")
    more = report.broken_count - len(report.broken) + report.warning_count - len(report.warnings)
    if more:
        lines.append(f"and {more} more")
    return "\n".join([*lines, _summary(report)]) + "\n"


def _summary(report: Report) -> str:
    if report.broken_count:
        return f"BROKEN: {report.broken_count} findings in {report.entries} entries"
    if not report.entries:
        return "holds, but there is no entry in it"
    text = f"holds: {report.entries} entries up to {report.last}, head {report.head}"
    if report.anchored:
        return f"{text}; vouched for by an anchor up to {report.anchored}"
    return f"{text}; no anchor was given, so a tail that was cut off would not show"


def _json(report: Report) -> str:
    said: dict[str, object] = {
        "ok": not report.broken_count,
        "entries": report.entries,
        "last_seq": report.last,
        "head": report.head or None,
        "anchored_up_to": report.anchored or None,
        "broken": report.broken_count,
        "findings": [asdict(one) for one in report.broken],
        "warnings": [asdict(one) for one in report.warnings],
        "warning_count": report.warning_count,
    }
    if report.broken_count:
        said |= {"reason": "out_of_service", "message": _summary(report)}
    return json.dumps(said, ensure_ascii=False)
