"""How the entries of an export follow each other, and what is wrong where they do not.

Responsible for: hash, signature, chain, numbering, totals and times of every entry, and the
anchors. Not responsible for: the form of lines and bodies (`form`), or saying what was found
(`verdict`). Invariants: one damage is one finding where that can be told: after a break the check
goes on from what is there; nothing that a file holds raises.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from . import form
from .form import Values

LISTED_MAX: Final = 20
"""Findings that are kept; more are counted."""


@dataclass(frozen=True, slots=True)
class Anchors:
    """What the auditor knows from elsewhere. `heads`: hashes, or their first 16 digits as slips
    show them, that must be in the file; `since`: the file begins after this number;
    `previous_head`: the last hash of the epoch before."""

    heads: tuple[str, ...] = ()
    since: int = 0
    previous_head: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or for a warning odd. `line` counts from 1."""

    line: int
    seq: int | None
    check: str
    message: str


@dataclass(slots=True)
class Report:
    """What came of checking a file. `anchored` is the last number that an anchor vouches for."""

    entries: int = 0
    last: int = 0
    head: str = ""
    anchored: int = 0
    broken: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)
    broken_count: int = 0
    warning_count: int = 0

    def wrong(self, line: int, seq: int | None, check: str, message: str) -> None:
        """Something that breaks the journal."""
        self.broken_count += 1
        if self.broken_count <= LISTED_MAX:
            self.broken.append(Finding(line, seq, check, message))

    def odd(self, line: int, seq: int | None, check: str, message: str) -> None:
        """Something to look at that breaks nothing."""
        self.warning_count += 1
        if self.warning_count <= LISTED_MAX:
            self.warnings.append(Finding(line, seq, check, message))


def verify(file: BinaryIO, key: bytes, anchors: Anchors) -> Report:
    """Check an open export against a public key of 32 bytes. Raises UnusableError, OSError."""
    header = form.read_header(file.readline(form.LINE_BYTES_MAX + 1))
    report = Report()
    chain = _Chain(header, key, anchors, report)
    chain.begin()
    number = 1
    while raw := file.readline(form.LINE_BYTES_MAX + 1):
        number += 1
        chain.take(number, raw)
    chain.end(number)
    return report


class _Chain:
    """The entries of a file, one after another, and what has been seen of them."""

    def __init__(self, header: Values, key: bytes, anchors: Anchors, report: Report) -> None:
        self._header, self._anchors, self._report = header, anchors, report
        self._key_text, self._key = form.b64u(key), Ed25519PublicKey.from_public_bytes(key)
        self._hashes: dict[int, str] = {}
        self._last = anchors.since
        self._totals: tuple[int, Mapping[str, int]] | None = None
        self._latest_at = ""
        self._uncovered: tuple[int, int] | None = None
        self._boot, self._mono = "", 0

    def begin(self) -> None:
        """The header, and the hash that the first entry must point at."""
        header = self._header
        for name in form.misfits(header, form.HEADER):
            self._report.wrong(1, None, "header", f"its {name} is missing or not of its form")
        if header.get("public_key") != self._key_text:
            self._report.wrong(1, None, "key", "the header names another key than the one given")
        self._check_enrolment()
        if self._anchors.since == 0 and form.is_hash(header.get("first_prev")):
            self._hashes[0] = str(header["first_prev"])

    def _check_enrolment(self) -> None:
        header, previous = self._header, self._anchors.previous_head
        first, found = header.get("epoch") == 1, header.get("first_prev")
        alone = found == form.first_prev(header, None)
        if first and self._anchors.since == 0:
            self._totals = (0, dict.fromkeys(form.TOTALS, 0))
        if first and not alone:
            text = "first_prev is not the hash of this terminal's enrolment"
            self._report.wrong(1, None, "first_prev", text)
        elif previous is not None and found != form.first_prev(header, previous):
            text = "this epoch does not begin at the given head of the epoch before"
            self._report.wrong(1, None, "previous_head", text)
        elif previous is None and not alone:
            text = "the link to the epoch before was not checked: its last head was not given"
            self._report.odd(1, None, "previous_head", text)

    def take(self, number: int, raw: bytes) -> None:
        """Check one line."""
        line = form.read_line(raw)
        if isinstance(line, str):
            self._report.wrong(number, None, "line", line)
            return
        self._report.entries += 1
        seq, body = int(str(line["seq"])), str(line["body"])
        head, as_signed = self._seal(number, line)
        values = self._values(number, seq, body) if as_signed else None
        if not self._place(number, seq, head):
            return
        if values is not None:
            self._follow(number, seq, values)
        self._hashes[seq] = head
        if seq > self._last:
            self._last, self._report.last, self._report.head = seq, seq, head

    def end(self, number: int) -> None:
        """The anchors: a tail that was cut off is seen by nothing else."""
        if self._uncovered is not None:
            text = "it has no signature, and no later one covers it"
            self._report.wrong(*self._uncovered, "signature", text)
        for wanted in self._anchors.heads:
            seqs = [seq for seq, head in self._hashes.items() if head.startswith(wanted)]
            if seqs:
                self._report.anchored = max(self._report.anchored, *seqs)
            else:
                text = f"no entry has the head {wanted}: what led to it was cut off or rewritten"
                self._report.wrong(number, None, "head", text)

    def _seal(self, number: int, line: Values) -> tuple[str, bool]:
        """Hash and signature. Answers the hash to chain on, and whether the body is as signed."""
        seq, stated = int(str(line["seq"])), str(line["hash"])
        computed = form.hash_of(str(line["body"]))
        if line["sig"] is None:
            return self._unsigned(number, seq, stated, computed)
        signature = form.unb64u(str(line["sig"]))
        if computed == stated:
            self._uncovered = None
            if not self._signed(stated, signature):
                text = "its signature is not by the given key"
                self._report.wrong(number, seq, "signature", text)
            return stated, True
        if self._signed(stated, signature):
            text = "its hash does not fit: the body was changed after it was signed"
        elif computed is not None and self._signed(computed, signature):
            self._report.wrong(number, seq, "hash", "the hash beside the body was changed")
            return computed, True
        else:
            text = "neither its hash nor its signature fits the body"
        self._report.wrong(number, seq, "hash", text)
        return stated, False

    def _unsigned(
        self, number: int, seq: int, stated: str, computed: str | None
    ) -> tuple[str, bool]:
        """An entry that came back from central: the next signature in the chain covers it."""
        self._uncovered = self._uncovered or (number, seq)
        if computed != stated:
            self._report.wrong(number, seq, "hash", "its hash does not fit the body")
        return stated, computed == stated

    def _signed(self, entry_hash: str, signature: bytes) -> bool:
        try:
            self._key.verify(signature, bytes.fromhex(entry_hash))
        except InvalidSignature:
            return False
        return True

    def _values(self, number: int, seq: int, body: str) -> Values | None:
        """The fields of a body, None when they cannot be gone by."""
        report = self._report
        try:
            values = form.decode_object(body)
            if form.canonical(values) != body:
                report.wrong(number, seq, "canonical", "the body is not in canonical form")
        except (ValueError, RecursionError) as error:
            report.wrong(number, seq, "canonical", f"the body cannot be read: {error}")
            return None
        if bad := form.misfits(values, form.BODY):
            report.wrong(number, seq, "fields", f"missing or not of its form: {', '.join(bad)}")
            return None
        if more := sorted(set(values) - set(form.BODY)):
            report.odd(number, seq, "fields", f"of no known meaning: {', '.join(more)}")
        if values["kind"] not in form.KINDS:
            report.odd(number, seq, "kind", f"of no known meaning: {values['kind']}")
        return values

    def _place(self, number: int, seq: int, head: str) -> bool:
        """Numbering: says a gap, a wrong turn, a second one; answers whether the entry is new."""
        known, due = self._hashes.get(seq), self._last + 1
        if known == head:
            self._report.wrong(number, seq, "duplicate", "this entry stands in the file before")
        elif known is not None:
            text = "a second, different entry of this number: two histories of one terminal"
            self._report.wrong(number, seq, "fork", text)
        elif seq < due:
            self._report.wrong(number, seq, "order", f"it stands after entry {self._last}")
        elif seq > due:
            missing = f"entry {due} is" if seq == due + 1 else f"entries {due} to {seq - 1} are"
            self._report.wrong(number, seq, "gap", f"{missing} missing before it")
        return known is None

    def _follow(self, number: int, seq: int, values: Values) -> None:
        """An entry against its line, the header and the entries before it."""
        owed = {name: self._header.get(name) for name in ("merchant", "posid", "epoch")}
        for name, due in {**owed, "seq": seq}.items():
            if values[name] != due:
                text = f"the signed body says {name} {values[name]}, the file {due}"
                self._report.wrong(number, seq, name, text)
        if seq == self._anchors.since + 1:
            # The entry before is in another file; its hash, given as a head, is found by this.
            self._hashes.setdefault(seq - 1, str(values["prev"]))
        if self._hashes.get(seq - 1, values["prev"]) != values["prev"]:
            before = "the enrolment" if seq == 1 else f"entry {seq - 1}"
            self._report.wrong(number, seq, "prev", f"it does not point at {before}")
        self._check_totals(number, seq, values)
        if seq > self._last:
            self._check_times(number, seq, values)

    def _check_totals(self, number: int, seq: int, values: Values) -> None:
        totals, kind, data = values["totals"], str(values["kind"]), values["data"]
        assert isinstance(totals, dict) and isinstance(data, dict), "form.BODY saw to it"
        steps = form.growth(kind, data)
        serial = f"{values['posid']}_{values['epoch']}_{values['seq']:08d}"
        if steps is None or (kind in form.GROWS and data.get("serial") != serial):
            self._report.wrong(number, seq, "fields", "its data does not fit its kind and number")
        elif self._totals is not None and self._totals[0] < seq:
            last, before = self._totals
            least = {name: before[name] + step for name, step in steps.items()}
            # After a gap the totals in between are not known, but they never fall.
            missing = any(totals[name] < due for name, due in least.items())
            if missing or (last == seq - 1 and totals != least):
                self._report.wrong(number, seq, "totals", "its totals do not follow")
        if self._totals is None or self._totals[0] < seq:
            self._totals = (seq, totals)

    def _check_times(self, number: int, seq: int, values: Values) -> None:
        at, boot, mono = str(values["at"]), str(values["boot"]), int(str(values["mono_ms"]))
        if at < self._latest_at:
            text = f"its time {at} is before {self._latest_at} of an earlier entry"
            self._report.odd(number, seq, "clock", text)
        elif boot == self._boot and mono < self._mono:
            text = "by the counter since boot it is older than the entry before"
            self._report.odd(number, seq, "clock", text)
        self._latest_at, self._boot, self._mono = max(at, self._latest_at), boot, mono
