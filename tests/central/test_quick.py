"""Reading fast is reading the same: what the quick way takes, the careful way reads alike.

Method: true redemptions, changed at random in what they say and in how it is written.
"""

import dataclasses
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from central import quick, schema
from central.booked import COLUMNS
from central.quick import Said
from vouchers import entries, ids
from vouchers.entries import Entry, EntryError, Kind, Totals

BEFORE = Totals(3, 5, 900)
PREV = "ab" * 32
CHAIN = ("POS1", 2)
DATA: dict[str, Any] = {
    "serial": ids.serial("POS1", 2, 7),
    "request": None,
    "claim": None,
    "voucher": ids.uuid7(1, bytes(10)),
    "generation": 0,
    "shares": 2,
    "left": 1,
    "successor": True,
    "credential": "code",
    "evidence": "row",
    "mode": "lone",
    "product": 1,
    "amount_fen": 100,
    "replica_version": None,
}
odd = st.sampled_from(
    [None, True, 0, 1, -1, 10_000, 2**53, 1.0, "", "x", "qr", "hub", "os", "suspect", [], {}]
) | st.text(st.characters(exclude_categories=("Cs",)), max_size=5)


def body(**changes: Any) -> str:
    data = DATA | changes.pop("data", {})
    entry = Entry(
        1, "POS1", 2, 7, PREV, 1_800_000_000_123, "b", 7, "ok", "李 \n\x7f\u2028🎉", "os", None,
        Kind.REDEEMED, data, BEFORE.after(Kind.REDEEMED, data),
    )  # fmt: skip
    return entries.compose(structs.replace(entry, **changes))


def carefully(text: str) -> tuple[Entry, entries.Redemption] | None:
    try:
        entry = entries.read_entry(text)
        if entry.kind is not Kind.REDEEMED:
            return None
        return entry, entries.read_redemption(entry)
    except EntryError:
        return None


def read(
    raw: bytes, posid: str = "POS1", epoch: int = 2, seq: int = 7, prev: str = PREV
) -> tuple[Said, Totals] | None:
    found, totals = quick.read([raw], (posid, epoch), seq, [prev], BEFORE)
    if not found:
        assert totals is BEFORE
        return None
    return found[0], totals


def agree(text: str) -> bool:
    """Whether the quick way took it; what it took, it took rightly."""
    read_quickly = read(text.encode())
    if read_quickly is None:
        return False
    said, totals = read_quickly
    found = carefully(text)
    assert found is not None
    entry, moved = found
    assert (entry.posid, entry.epoch) == ("POS1", 2)
    assert entries.follows(entry, prev=PREV, seq=7, totals=BEFORE) is None
    assert (said.kind, said.at, said.clock) == (entry.kind, entry.at, entry.clock)
    assert (said.clerk, totals) == (entry.clerk, entry.totals)
    assert msgspec.to_builtins(said.moved) == msgspec.to_builtins(moved)
    return True


def test_what_a_terminal_writes_is_read_the_quick_way() -> None:
    assert agree(body())
    assert agree(body(clock="suspect", shift="s1", data={"claim": DATA["voucher"], "mode": "hub"}))


@given(st.sampled_from(sorted(DATA)), odd)
def test_other_data_is_left_alone_or_read_alike(name: str, value: object) -> None:
    changed = json.loads(body()) | {"data": DATA | {name: value}}
    agree(json.dumps(changed, ensure_ascii=False, sort_keys=True, separators=(",", ":")))


@given(st.sampled_from(sorted(json.loads(body()))), odd)
def test_another_entry_is_left_alone_or_read_alike(name: str, value: object) -> None:
    changed = json.loads(body()) | {name: value}
    agree(json.dumps(changed, ensure_ascii=False, sort_keys=True, separators=(",", ":")))


@given(st.integers(0, len(body())), st.text(max_size=2), st.integers(0, 2))
def test_a_text_that_was_meddled_with_is_left_alone(at: int, more: str, gone: int) -> None:
    text = body()
    meddled = text[:at] + more + text[at + gone :]
    agree(meddled.encode("utf-8", "replace").decode())


@pytest.mark.parametrize(
    "meddle",
    [
        lambda text: text.replace('"seq":7', '"seq":7.0'),
        lambda text: text.replace('"seq":7', '"seq": 7'),
        lambda text: text.replace('"auth":"os",', "") + "",
        lambda text: text.replace('{"at"', '{"a":1,"at"'),
        lambda text: text.replace('"seq":7,', '"seq":7,"seq":7,'),
        lambda text: text.replace("李", "\\u674e"),
        lambda text: text.replace('"v":1', '"v":2'),
        lambda text: text.replace(".123Z", ".123456Z"),
        lambda text: text.replace("POS1_2_00000007", "POS1_2_00000008"),
    ],
)
def test_any_other_way_to_write_it_is_not_taken(meddle: Any) -> None:
    text = meddle(body())
    assert text != body() and not agree(text)


def test_a_redemption_out_of_its_place_is_not_taken() -> None:
    raw = body().encode()
    assert read(raw) is not None
    assert read(raw, posid="POS2") is None
    assert read(raw, epoch=1) is None
    assert read(raw, seq=8) is None
    assert read(raw, prev="cd" * 32) is None
    for n in range(6):
        other = dataclasses.astuple(BEFORE)
        moved = Totals(*(value + (n == at) for at, value in enumerate(other)))
        assert quick.read([raw], ("POS1", 2), 7, [PREV], moved) == ([], moved)


def a_run(count: int) -> tuple[list[str], list[str]]:
    """Bodies that follow one another, and the hash before each."""
    totals, prevs, bodies = BEFORE, [PREV], list[str]()
    for seq in range(7, 7 + count):
        data = {"serial": ids.serial("POS1", 2, seq)}
        totals = totals.after(Kind.REDEEMED, DATA)
        bodies.append(body(seq=seq, prev=prevs[-1], totals=totals, data=data))
        prevs.append(entries.entry_hash(bodies[-1]))
    return bodies, prevs[:-1]


WRONG = (
    ('"v":1', '"v":2'),
    ('"seq":', '"seq":1'),
    ('"prev":"', '"prev":"0'),
    ('"posid":"POS1"', '"posid":"POS2"'),
    ('"serial":"POS1_2', '"serial":"POS1_3'),
    ('"mode":"lone"', '"mode":"none"'),
    ('"clock":"ok"', '"clock": "ok"'),
    ('"redemptions":', '"redemptions":1'),
    ('"reversals":0', '"reversals":1'),
)


@given(st.integers(1, 9), st.integers(0, 8), st.sampled_from(WRONG))
def test_a_run_is_read_up_to_what_is_wrong_in_it(
    count: int, wrong: int, how: tuple[str, str]
) -> None:
    """Never past it; and unless that is the first, the first at least."""
    bodies, prevs = a_run(count)
    whole, totals = quick.read([text.encode() for text in bodies], CHAIN, 7, prevs, BEFORE)
    assert len(whole) == count and totals == entries.read_entry(bodies[-1]).totals
    if wrong < count:
        bodies[wrong] = bodies[wrong].replace(*how)
        part, _ = quick.read([text.encode() for text in bodies], CHAIN, 7, prevs, BEFORE)
        assert min(wrong, 1) <= len(part) <= wrong
        assert part == whole[: len(part)]


def test_a_booking_names_the_columns_of_its_table() -> None:
    assert sorted(COLUMNS) == sorted(column.name for column in schema.bookings.columns)
