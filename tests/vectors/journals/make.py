"""Makes the corpus of exported journals: good ones, and one for each way of being broken.

Responsible for: the files beside it and corpus.json, which says of each what a verifier must find.
They are made with the second reading of the contract (`tests.vectors.reference`), never with the
program that writes journals. `python -m tests.vectors.journals.make` writes them again; they come
out the same, byte for byte.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.vectors import journal as story
from tests.vectors import reference as ref

FOLDER = Path(__file__).parent
Body = dict[str, Any]
Line = dict[str, object]
Expected = list[tuple[int, int | None, str]]


def drawn(name: str) -> Ed25519PrivateKey:
    """A key that is the same each time."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())


KEY, THIEF = drawn("corpus terminal"), drawn("corpus thief")
PUBLIC = KEY.public_key().public_bytes_raw()
KEY_TEXT, THIEF_TEXT = (ref.base64url(key.public_key().public_bytes_raw()) for key in (KEY, THIEF))


@dataclass
class Case:
    """One file: its text, how it is checked, and what must be found: (line, seq, check)."""

    what: str
    text: str
    verdict: str = "holds"
    findings: Expected = field(default_factory=list)
    warnings: Expected = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    since: int = 0
    previous_head: str | None = None
    key: str = KEY_TEXT


def bodies(epoch: int = 1, *, start: dict[str, int] | None = None, branch: str = "") -> list[Body]:
    """Seven entries, not yet chained: what happened at a counter in a quarter of an hour."""
    moves = [
        *story.first_epoch(),
        ("refused", {"reason": "used_up", "credential": "qr", "voucher": story.VOUCHER}),
    ]
    totals = start or dict.fromkeys(story.NOTHING, 0)
    found: list[Body] = []
    for seq, (kind, plain) in enumerate(moves, 1):
        data = dict(plain)
        if "serial" in data:
            data["serial"] = ref.serial(story.POSID, epoch, seq)
        totals = story.grown(totals, kind, data)
        found.append(
            {
                "v": 1,
                "merchant": story.MERCHANT,
                "posid": story.POSID,
                "epoch": epoch,
                "seq": seq,
                "at": ref.rfc3339(story.START_MS + epoch * 86_400_000 + seq * 61_001),
                "boot": f"boot-{epoch}{branch}",
                "mono_ms": seq * 61_000,
                "clock": "suspect" if seq == 4 else "ok",
                "clerk": "收银员1" if seq % 2 else "c2",
                "auth": ("none", "pin", "os")[seq % 3],
                "shift": None if epoch == 1 else "s9",
                "kind": kind,
                "data": data,
                "totals": totals,
            }
        )
    return found


def line(text: str, seq: object, key: Ed25519PrivateKey = KEY) -> Line:
    """A sealed body."""
    return {
        "seq": seq,
        "body": text,
        "hash": ref.entry_hash(text),
        "sig": ref.entry_signature(text, key),
    }


def sealed(entries: list[Body], prev: str, key: Ed25519PrivateKey = KEY) -> list[Line]:
    """Chain and sign. A body that already has a `prev` keeps it."""
    lines: list[Line] = []
    for body in entries:
        made = line(ref.canonical({"prev": prev, **body}), body["seq"], key)
        prev = str(made["hash"])
        lines.append(made)
    return lines


def first_prev(epoch: int = 1, previous_head: str | None = None, public: bytes = PUBLIC) -> str:
    record = ref.enrolment_record(story.MERCHANT, story.POSID, epoch, public, previous_head)
    return ref.first_prev(record)


def header(epoch: int = 1, previous_head: str | None = None, **changes: object) -> Line:
    """The first line of an export."""
    return {
        "hexiao_export": 1,
        "merchant": story.MERCHANT,
        "posid": story.POSID,
        "epoch": epoch,
        "public_key": KEY_TEXT,
        "first_prev": first_prev(epoch, previous_head),
    } | changes


def text(lines: list[Line]) -> str:
    """The file."""
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in lines)


def changed(at: int, lines: list[Line], /, **changes: object) -> list[Line]:
    """The same lines with entry `at` (counted from 1) changed."""
    return [one | changes if number == at else one for number, one in enumerate(lines, 1)]


def altered(at: int, /, **changes: object) -> list[Line]:
    """The first epoch with a body changed before it was signed, by whoever holds the key."""
    entries = bodies()
    entries[at - 1] |= changes
    return sealed(entries, first_prev())


def flipped(value: object, at: int) -> str:
    """A text with one bit of one of its characters flipped."""
    raw = str(value)
    return raw[:at] + chr(ord(raw[at]) ^ 1) + raw[at + 1 :]


GOOD = sealed(bodies(), first_prev())
HEADS = [str(one["hash"]) for one in GOOD]
TOTALS = bodies()[-1]["totals"]
SECOND = sealed(bodies(2, start=TOTALS), first_prev(2, HEADS[-1]))


def good() -> dict[str, Case]:
    """Files that hold, some with something to look at."""
    odd = bodies()
    odd[0]["data"] = {
        "a\u20ac": 1,
        "a\U0001f600": [True, None, '\u0007"\\\n'],
        "a\ufb33": -3,
        "": {},
    }
    early = bodies()
    early[4]["at"] = early[1]["at"]
    later = [*bodies()[:3], *(body | {"kind": "poured"} for body in bodies()[3:4])]
    return {
        "good": Case("one epoch, whole", text([header(), *GOOD])),
        "good_anchored": Case(
            "with a head from a slip", text([header(), *GOOD]), heads=[HEADS[4][:16]]
        ),
        "good_empty": Case("enrolled, nothing done yet", text([header()])),
        "good_second_epoch": Case(
            "chained to the head of the epoch before, its totals going on",
            text([header(2, HEADS[-1]), *SECOND]),
            previous_head=HEADS[-1],
        ),
        "good_second_epoch_alone": Case(
            "the same, with nothing known of the epoch before",
            text([header(2, HEADS[-1]), *SECOND]),
            warnings=[(1, None, "previous_head")],
        ),
        "good_since": Case(
            "exported after entry 4, whose hash is known from the export before",
            text([header(), *GOOD[4:]]),
            since=4,
            heads=[HEADS[3], HEADS[6]],
        ),
        "good_names": Case(
            "names and texts that canonical forms differ in",
            text([header(), *sealed(odd, first_prev())]),
        ),
        "clock_back": Case(
            "a time before an earlier one: odd, but a clock can be wrong",
            text([header(), *sealed(early, first_prev())]),
            warnings=[(6, 5, "clock")],
        ),
        "unknown_kind": Case(
            "a kind from a later version of the program",
            text([header(), *sealed(later, first_prev())]),
            warnings=[(5, 4, "kind")],
        ),
    }


def damaged() -> dict[str, Case]:
    """Changed by accident, or by somebody without the terminal's key."""
    body = str(GOOD[5]["body"])
    cheap = body.replace('"shares":5,"successor"', '"shares":1,"successor"')
    assert cheap != body
    rehashed = changed(6, GOOD, body=cheap, hash=ref.entry_hash(cheap))
    whole = text([header(), *GOOD])

    def broken(what: str, lines: list[Line], *found: tuple[int, int | None, str]) -> Case:
        return Case(what, text([header(), *lines]), "broken", list(found))

    return {
        "flip_body": broken(
            "one bit of a body", changed(3, GOOD, body=flipped(GOOD[2]["body"], 40)), (4, 3, "hash")
        ),
        "flip_hash": broken(
            "one bit of a hash", changed(3, GOOD, hash=flipped(HEADS[2], 9)), (4, 3, "hash")
        ),
        "flip_signature": broken(
            "one bit of a signature",
            changed(3, GOOD, sig=flipped(GOOD[2]["sig"], 0)),
            (4, 3, "signature"),
        ),
        "flip_seq": broken(
            "a line's number changed",
            changed(7, GOOD, seq=9),
            (8, 9, "gap"),
            (8, 9, "seq"),
        ),
        "rewritten": broken(
            "fewer shares than were given out", changed(6, GOOD, body=cheap), (7, 6, "hash")
        ),
        "rewritten_rehashed": broken(
            "the same, with a hash that fits",
            rehashed,
            (7, 6, "signature"),
            (7, 6, "totals"),
            (8, 7, "prev"),
        ),
        "swap": broken(
            "two entries exchanged",
            [*GOOD[:2], GOOD[3], GOOD[2], *GOOD[4:]],
            (4, 4, "gap"),
            (5, 3, "order"),
        ),
        "drop_first": broken("the first entry taken out", GOOD[1:], (2, 2, "gap")),
        "drop_middle": broken("two entries taken out", [*GOOD[:2], *GOOD[4:]], (4, 5, "gap")),
        "duplicate": broken("an entry twice", [*GOOD[:3], *GOOD[2:]], (5, 3, "duplicate")),
        "cut_line": Case("cut off in a line", whole[:-200], "broken", [(8, None, "line")]),
        "noise": Case(
            "a line of something else",
            text([header(), *GOOD[:2]]) + "\x00\x01\n" + text(GOOD[2:]),
            "broken",
            [(4, None, "line")],
        ),
        "two_readings": Case(
            "a name twice in a line, so that two readers see two things",
            whole.replace('{"seq": 2,', '{"seq": 3, "seq": 2,'),
            "broken",
            [(3, None, "line"), (4, 3, "gap")],
        ),
    }


def foreign() -> dict[str, Case]:
    """Other keys, other terminals, other epochs."""
    thief_public = THIEF.public_key().public_bytes_raw()
    own = header(public_key=THIEF_TEXT, first_prev=first_prev(public=thief_public))
    midway = [*GOOD[:4], *sealed(bodies()[4:], HEADS[3], THIEF)]
    stranger = sealed([bodies()[4] | {"posid": "B2"}], HEADS[3])
    signed: Expected = [(number + 1, number, "signature") for number in range(1, 8)]

    def broken(what: str, lines: list[Line], *found: tuple[int, int | None, str]) -> Case:
        return Case(what, text(lines), "broken", list(found))

    return {
        "wrong_key": broken(
            "signed by another key than the header says",
            [header(), *sealed(bodies(), first_prev(), THIEF)],
            *signed,
        ),
        "other_key_given": broken(
            "a whole journal made anew with a key of the forger's own",
            [own, *sealed(bodies(), str(own["first_prev"]), THIEF)],
            (1, None, "key"),
            *signed,
        ),
        "key_changed_midway": broken(
            "another key from entry 5 on, with no new epoch",
            [header(), *midway],
            *signed[4:],
        ),
        "other_terminal": broken(
            "an entry of another terminal",
            [header(), *GOOD[:4], *stranger],
            (6, 5, "posid"),
            (6, 5, "fields"),
        ),
        "other_epoch": broken(
            "an entry of another epoch",
            [header(), *GOOD[:4], SECOND[4]],
            (6, 5, "epoch"),
            (6, 5, "prev"),
            (6, 5, "totals"),
        ),
        "other_merchant": broken(
            "a header of another merchant",
            [header(merchant=8), *GOOD[:2]],
            (1, None, "first_prev"),
            (2, 1, "merchant"),
            (3, 2, "merchant"),
        ),
        "wrong_first_prev": broken(
            "not begun at this terminal's enrolment",
            [header(first_prev=HEADS[0]), *sealed(bodies(), HEADS[0])],
            (1, None, "first_prev"),
        ),
    }


def insider() -> dict[str, Case]:
    """What the holder of the key can sign, and still not hide."""
    skipped = bodies()
    for late in skipped[4:]:
        late["seq"] += 1
        if "serial" in late["data"]:
            late["data"] |= {"serial": ref.serial(story.POSID, 1, late["seq"])}
    spaced = str(GOOD[6]["body"]).replace('"v":1', '"v": 1')
    half = str(GOOD[6]["body"]).replace('"v":1', '"v":1.0')
    spent = bodies()[2]["totals"] | {"amount_fen": 0}
    other = bodies()[1]["data"] | {"serial": ref.serial(story.POSID, 1, 9)}

    def broken(what: str, lines: list[Line], *found: tuple[int, int | None, str]) -> Case:
        return Case(what, text([header(), *lines]), "broken", list(found))

    return {
        "wrong_prev": broken(
            "an entry that points elsewhere", altered(4, prev=HEADS[0]), (5, 4, "prev")
        ),
        "gap": broken(
            "a number left out, chained and signed",
            sealed(skipped, first_prev()),
            (6, 6, "gap"),
        ),
        "rewritten_total": broken(
            "a total set back, signed",
            altered(3, totals=spent),
            (4, 3, "totals"),
            (5, 4, "totals"),
        ),
        "not_canonical": broken(
            "a space in a signed body", [*GOOD[:6], line(spaced, 7)], (8, 7, "canonical")
        ),
        "fraction": broken(
            "a fraction in a signed body", [*GOOD[:6], line(half, 7)], (8, 7, "canonical")
        ),
        "no_clerk": broken("a field of a wrong form", altered(5, clerk=None), (6, 5, "fields")),
        "no_such_day": broken(
            "a day that is none", altered(5, at="2024-02-30T00:00:00.000Z"), (6, 5, "fields")
        ),
        "other_serial": broken(
            "a redemption that names another's serial", altered(2, data=other), (3, 2, "fields")
        ),
    }


def anchored() -> dict[str, Case]:
    """What only an anchor shows, and anchors that do not fit."""
    branch = [*GOOD[:4], *sealed(bodies(branch="b")[4:], HEADS[3])]
    whole, rest = text([header(), *branch]), text([header(), *GOOD[4:]])
    fork: Expected = [(9, 5, "fork"), (10, 6, "fork"), (11, 7, "fork")]
    slip = HEADS[5][:16]
    return {
        "drop_tail": Case(
            "the last two entries cut off, nothing known of them", text([header(), *GOOD[:5]])
        ),
        "drop_tail_anchored": Case(
            "the same, with the last head known from central",
            text([header(), *GOOD[:5]]),
            "broken",
            [(6, None, "head")],
            heads=[HEADS[6]],
        ),
        "fork": Case("two histories", text([header(), *GOOD, *branch[4:]]), "broken", fork),
        "resigned_fork": Case(
            "rewritten from entry 5 on with the key itself, nothing known of what was before", whole
        ),
        "resigned_fork_anchored": Case(
            "the same, with the head of a slip", whole, "broken", [(8, None, "head")], heads=[slip]
        ),
        "no_since": Case(
            "begins after entry 4, which nobody said", rest, "broken", [(2, 5, "gap")]
        ),
        "wrong_since": Case(
            "continues another export than the one that is known",
            rest,
            "broken",
            [(4, None, "head")],
            since=4,
            heads=[HEADS[2]],
        ),
        "wrong_previous_head": Case(
            "a second epoch that follows another first one",
            text([header(2, HEADS[-1]), *SECOND]),
            "broken",
            [(1, None, "previous_head")],
            previous_head=HEADS[-2],
        ),
    }


def unusable() -> dict[str, Case]:
    """Not exports at all."""
    return {
        "unusable_empty": Case("an empty file", "", "unusable"),
        "unusable_slip": Case("some other text", "核销凭证\n", "unusable"),
        "unusable_version": Case(
            "a later form", text([header(hexiao_export=2), *GOOD]), "unusable"
        ),
        "unusable_json": Case("JSON, but not an export", "[1, 2]\n", "unusable"),
    }


def cases() -> dict[str, Case]:
    """Every file by its name."""
    return good() | damaged() | foreign() | insider() | anchored() | unusable()


def manifest(made: dict[str, Case]) -> str:
    """corpus.json."""
    listed = [
        {
            "file": f"{name}.jsonl",
            "what": case.what,
            "key": case.key,
            "heads": case.heads,
            "since": case.since,
            "previous_head": case.previous_head,
            "verdict": case.verdict,
            "findings": case.findings,
            "warnings": case.warnings,
        }
        for name, case in made.items()
    ]
    return json.dumps(listed, ensure_ascii=True, indent=1) + "\n"


def files() -> dict[str, str]:
    """Every file of the corpus, with what is in it."""
    made = cases()
    return {f"{name}.jsonl": case.text for name, case in made.items()} | {
        "corpus.json": manifest(made)
    }


if __name__ == "__main__":
    for name, content in files().items():
        (FOLDER / name).write_text(content, encoding="utf-8", newline="\n")
