"""Booking: what the entries of a voucher add up to, written into the ledger.

Responsible for: gathering the uses of a set of vouchers, asking `vouchers.booking`, and storing
verdicts, used shares and generations. Not responsible for: the rules of booking. Invariants: the
result depends on the stored entries alone, so booking again changes nothing; a verdict that
changes gets a new number of its terminal, so the counter hears of it.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import astuple, replace

from central import bulk, catalogue, ledger, numbering, schema, sealing
from central.booked import COLUMNS, NEW, Booked
from central.catalogue import Places
from central.ledger import Voucher
from central.service import Work
from vouchers import booking as rules
from vouchers.booking import Judgement, Use, Verdict, VoucherFacts
from vouchers.entries import Kind
from vouchers.money import amount_fen

Grouped = dict[str, list[Booked]]
"""Bookings by voucher, each voucher's in the order in which they came."""


@dataclass(slots=True)
class Results:
    """What a transaction books.

    `places` has where each product is good. `rows` are those to write, `vouchers` those that
    changed, as they are now, `before` as they were read last; all by voucher. `fresh` are the new
    bookings as written, by POSID and epoch.
    """

    places: Mapping[int, Places]
    before: dict[str, Voucher] = field(default_factory=dict)
    rows: Grouped = field(default_factory=dict)
    vouchers: dict[str, Voucher] = field(default_factory=dict)
    fresh: dict[tuple[str, int], list[Booked]] = field(default_factory=dict)

    def facts(self, voucher: Voucher) -> VoucherFacts:
        """What the rules ask of a voucher."""
        good = self.places[voucher.product]
        return VoucherFacts(
            shares=voucher.shares - voucher.used_before,
            refunded_shares=voucher.refunded_shares,
            valid_from=voucher.valid_from,
            valid_until=voucher.valid_until,
            outlets=good.outlets,
            home=voucher.home,
            former=good.former,
        )


def rebook(work: Work, voucher_ids: Collection[str]) -> None:
    """Judge all entries of these vouchers again and store what changed."""
    found = ledger.find_all(work, voucher_ids, lock=True)
    results = Results(catalogue.places(work), found)
    ledger.write_all(work, _judge(work, found, {name: [] for name in voucher_ids}, results))
    _store(work, results, None)


@dataclass(slots=True)
class Draft:
    """The new bookings of a transaction by voucher, and what is hoped to come of them.

    `hoped` has each voucher as it was read and as it is to be. It is empty if anything is contested
    or nothing was looked for; then all is booked on locked vouchers.
    """

    grouped: Grouped
    results: Results
    hoped: list[tuple[Voucher, Voucher]] = field(default_factory=list)

    def hope(self) -> None:
        """See whether nobody contests the batch: all accepted, whatever was booked before."""
        found, results = self.results.before, self.results
        if len(found) == len(self.grouped) and all(
            _is_plain(found[name], rows, results, alone=False)
            for name, rows in self.grouped.items()
        ):
            # In the order of ids, as locks are taken there too.
            self.hoped = [(found[v], _with_plain(found[v], self.grouped[v])) for v in sorted(found)]


def book(work: Work, new: Sequence[Booked]) -> None:
    """Add bookings on locked vouchers."""
    if new:
        write(work, Draft(_grouped(new), Results(catalogue.places(work))))


@contextmanager
def drafting(work: Work, new: Sequence[Booked], *, hopeful: bool) -> Iterator[Callable[[], Draft]]:
    """Look for the vouchers of a batch, without locks and only if `hopeful`.

    They are found while the block runs, in which the database does nothing else; the answer is not
    to be asked for later.
    """
    grouped = _grouped(new)
    results = Results(catalogue.places(work) if new else {})
    if not hopeful:
        yield lambda: Draft(grouped, results)
        return
    with ledger.finding_all(work, grouped.keys()) as found:
        yield lambda: Draft(grouped, Results(results.places, found()))


def write(work: Work, draft: Draft) -> Results:
    """Add the bookings of a batch, judged with all others of their vouchers.

    Each is written once, with its verdict. Where it is hoped that all of it is plain, without
    locks, see `_add_plain`; what comes out is the same either way. Locks are taken in one order, so
    that two transactions do not wait for each other: the stream, vouchers by id, verdict counters
    by POSID, feed heads by bucket. Only what was hoped and turned out otherwise is locked late; the
    database ends one of two that meet so, and that one should be tried again without hope.
    """
    grouped, results = draft.grouped, draft.results
    wishes = _add_plain(work, draft) if draft.hoped else None
    rest = {name: rows for name, rows in grouped.items() if name not in results.vouchers}
    if rest:
        _book_locked(work, rest, results)
    if grouped:
        _store(work, results, None if rest else wishes)
    return results


def _grouped(rows: Sequence[Booked]) -> Grouped:
    grouped: Grouped = defaultdict(list)
    for row in rows:
        grouped[row.voucher].append(row)
    for found in grouped.values():
        if len(found) > 1:
            found.sort(key=_arrived)
    return grouped


def _arrived(row: Booked) -> tuple[int, str, int, int]:
    return row.received_at, row.posid, row.epoch, row.seq


def _add_plain(work: Work, draft: Draft) -> sealing.Wish | None:
    """Count on the vouchers of a batch that nobody contests, without a look at earlier bookings.

    What no longer fits is left to `_book_locked`. Answers what is to be sealed if all is as hoped.
    """
    results = draft.results
    with ledger.adding_all(work, draft.hoped) as answer:
        vouchers = [after for _, after in draft.hoped]
        wishes = sealing.wish(work, vouchers, results.before)
        results.vouchers = answer()
    for voucher_id in results.vouchers:
        _accept(results.before[voucher_id], draft.grouped[voucher_id], results)
    return wishes if vouchers == list(results.vouchers.values()) else None


def _book_locked(work: Work, grouped: Grouped, results: Results) -> None:
    """Book a batch on locked vouchers; what is not plain is judged with all there was before."""
    found = ledger.find_all(work, grouped.keys(), lock=True)
    results.before |= found
    written: list[Voucher] = []
    contested: Grouped = {}
    for name, rows in grouped.items():
        if name in found and _is_plain(found[name], rows, results, alone=True):
            _accept(found[name], rows, results)
            written.append(_with_plain(found[name], rows))
            results.vouchers[name] = written[-1]
        else:
            contested[name] = rows
    written += _judge(work, found, contested, results)
    ledger.write_all(work, written)


def _is_plain(voucher: Voucher, rows: Sequence[Booked], results: Results, *, alone: bool) -> bool:
    """Whether the entries are accepted and change nothing before them. `alone`: it is locked."""
    # Where the fen do not divide, what a share carries depends on its place among all of them.
    first = alone and voucher.used == voucher.used_before
    alike = first or voucher.paid_fen % voucher.shares == 0
    booked = voucher.used - voucher.used_before
    facts = results.facts(voucher)
    return alike and not voucher.has_reversals and rules.is_plain(facts, booked, rows)


def _with_plain(voucher: Voucher, rows: Sequence[Booked]) -> Voucher:
    return replace(
        voucher,
        used=voucher.used + sum(row.shares for row in rows),
        generation=max(voucher.generation, *(row.after for row in rows)),
        version=voucher.version + 1,
    )


_ACCEPTED: Final = str(Verdict.ACCEPTED)


def _accept(voucher: Voucher, rows: list[Booked], results: Results) -> None:
    amounts = _plain_amounts(voucher, results, rows)
    for row, amount in zip(rows, amounts, strict=True):
        row.verdict, row.flags, row.amount_fen = _ACCEPTED, row.marks, amount
    results.rows[voucher.voucher] = rows


def _plain_amounts(voucher: Voucher, results: Results, rows: Sequence[Booked]) -> list[int]:
    if len(rows) == 1:
        return [amount_fen(voucher.paid_fen, voucher.shares, voucher.used, rows[0].shares)]
    uses = [_use(row, arrival) for arrival, row in enumerate(rows)]
    amounts = _amounts(voucher, results.facts(voucher), uses, voucher.used)
    return [amounts[row.serial] for row in rows]


def _judge(
    work: Work, found: Mapping[str, Voucher], grouped: Grouped, results: Results
) -> list[Voucher]:
    """Judge all bookings of locked vouchers, those in store and the new ones.

    Answers the vouchers that are to be written.
    """
    written: list[Voucher] = []
    for voucher_id, rows in _with_stored(work, grouped).items():
        voucher = found.get(voucher_id)
        if voucher is None:
            judged = [_unknown(row) for row in rows]
        else:
            judged, after = _book(voucher, rows, results.facts(voucher))
            if after != voucher:
                written.append(after)
            if after.version != voucher.version:
                results.vouchers[voucher_id] = after
        results.rows[voucher_id] = [
            now
            for row, now in zip(rows, judged, strict=True)
            if now != row or row.verdict_seq == NEW
        ]
    return written


def _with_stored(work: Work, grouped: Grouped) -> Grouped:
    stored = bulk.select_in(
        work.connection,
        schema.bookings,
        COLUMNS,
        work.merchant,
        ("voucher", grouped.keys()),
    )
    mine = [row for rows in grouped.values() for row in rows]
    return _grouped([*(Booked(*row) for row in stored), *mine])


def _book(
    voucher: Voucher, rows: Sequence[Booked], facts: VoucherFacts
) -> tuple[list[Booked], Voucher]:
    """The rows with their verdicts, and the voucher as it is then; a new version if that shows.

    A new entry shows even where it undoes another and nothing is left of both: without a new state
    its terminal would never learn that central has counted it, and go on by its own rows.
    """
    rows = _meant(rows)
    uses = [_use(row, arrival) for arrival, row in enumerate(rows)]
    booked = rules.book(facts, uses)
    standing = [use for use in uses if use.serial not in booked.reversed]
    amounts = _amounts(voucher, facts, standing, voucher.used_before)
    judged = [
        _with_verdict(row, judgement, amounts.get(row.serial, row.amount_fen))
        for row, judgement in zip(rows, booked.judgements, strict=True)
    ]
    used = voucher.used_before + booked.used
    generation = max(voucher.generation_before, booked.generation)
    changed = (used, generation) != (voucher.used, voucher.generation)
    shows = changed or any(row.verdict_seq == NEW for row in rows)
    undone = any(use.kind is Kind.REVERSED and use.barred is None for use in uses)
    after = replace(
        voucher,
        used=used,
        generation=generation,
        version=voucher.version + int(shows),
        has_reversals=int(undone),
    )
    return judged, after


def _meant(rows: Sequence[Booked]) -> Sequence[Booked]:
    """The rows with what their reversals mean: a terminal that was paired again after a fork names
    a redemption of its own disk by the number on the slip, and that one may be of a branch.
    """
    made = {row.serial for row in rows if row.kind == Kind.REDEEMED}
    lost = {row.reverses for row in rows if row.reverses} - made
    if not lost:
        return rows
    found = {serial: [one for one in made if one.startswith(f"{serial}_")] for serial in lost}
    named = {serial: ones[0] for serial, ones in found.items() if len(ones) == 1}
    return [
        replace(row, reverses=named[row.reverses]) if row.reverses in named else row for row in rows
    ]


def _use(row: Booked, arrival: int) -> Use:
    return Use(
        serial=row.serial,
        kind=Kind(row.kind),
        posid=row.posid,
        outlet=row.outlet,
        shares=row.shares,
        after=row.after,
        at=row.at,
        arrival=arrival,
        mode=row.mode,
        claimed=row.claim is not None,
        reverses=row.reverses,
        settled=row.statement is not None,
        flags=frozenset(json.loads(row.marks)),
        barred=None if row.barred is None else Verdict(row.barred),
    )


def _amounts(
    voucher: Voucher, facts: VoucherFacts, uses: Sequence[Use], used: int
) -> dict[str, int]:
    """The fen of each standing redemption, in booking order; together what was paid for them."""
    standing = [use for use in uses if use.kind is Kind.REDEEMED and use.barred is None]
    amounts = dict[str, int]()
    for use in sorted(standing, key=lambda use: rules.rank(use, facts)):
        amounts[use.serial] = amount_fen(voucher.paid_fen, voucher.shares, used, use.shares)
        used += use.shares
    return amounts


def _unknown(row: Booked) -> Booked:
    verdict = Verdict.UNKNOWN_VOUCHER if row.barred is None else Verdict(row.barred)
    flags = frozenset(json.loads(row.marks))
    return _with_verdict(row, Judgement(row.serial, verdict, flags), row.amount_fen)


def _with_verdict(row: Booked, judgement: Judgement, amount: int) -> Booked:
    # A person closed the verdict there was; another one is open again.
    same = (row.verdict, row.excess) == (judgement.verdict, judgement.excess)
    return replace(
        row,
        verdict=str(judgement.verdict),
        flags=json.dumps(sorted(judgement.flags)),
        excess=judgement.excess,
        others=json.dumps(list(judgement.others)),
        amount_fen=amount,
        settled=row.settled if same else None,
    )


def _store(work: Work, results: Results, wishes: sealing.Wish | None) -> None:
    """Write the bookings with their numbers, and publish the vouchers; all in the order of ids.

    `wishes` is what the vouchers want sealed, where that is known already.
    """
    vouchers = [results.vouchers[voucher_id] for voucher_id in sorted(results.vouchers)]
    rows = [row for voucher_id in sorted(results.rows) for row in results.rows[voucher_id]]
    numbers = numbering.next_verdicts(work, Counter(row.posid for row in rows))
    with bulk.meanwhile(work.connection):
        sealing.queue(work, wishes or sealing.wish(work, vouchers, results.before))
        fresh, changed = _numbered(rows, numbers, results)
        bulk.update(work.connection, schema.bookings, 4, _CHANGED, changed)
        ready = bulk.ready(work.connection, schema.bookings, COLUMNS, fresh)
    with bulk.inserting(work.connection, ready):
        ledger.publish_all(work, vouchers)


def _numbered(
    rows: Sequence[Booked], numbers: dict[str, int], results: Results
) -> tuple[list[bulk.Row], list[bulk.Row]]:
    """The rows to add and those to change, each with the next number of its terminal."""
    fresh, changed = list[bulk.Row](), list[bulk.Row]()
    for row in rows:
        is_new = row.verdict_seq == NEW
        row.verdict_seq = numbers[row.posid]
        numbers[row.posid] += 1
        if is_new:
            fresh.append(astuple(row))
            results.fresh.setdefault((row.posid, row.epoch), []).append(row)
        else:
            changed.append(tuple(getattr(row, name) for name in _CHANGED))
    return fresh, changed


_CHANGED: Final = (
    "merchant",
    "posid",
    "epoch",
    "seq",
    "verdict",
    "flags",
    "excess",
    "others",
    "amount_fen",
    "reverses",
    "settled",
    "verdict_seq",
)
