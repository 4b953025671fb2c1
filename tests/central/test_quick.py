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
from vouchers import entries, ids
from vouchers.entries import Entry, EntryError, Kind, Totals

BEFORE = Totals(3, 5, 900)
PREV = "ab" * 32
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


def agree(text: str) -> bool:
    """Whether the quick way took it; what it took, it took rightly."""
    said = quick.read(text.encode(), ("POS1", 2), 7, PREV, BEFORE)
    if said is None:
        return False
    found = carefully(text)
    assert found is not None
    entry, moved = found
    assert (entry.posid, entry.epoch) == ("POS1", 2)
    assert entries.follows(entry, prev=PREV, seq=7, totals=BEFORE) is None
    assert (said.kind, said.at, said.clock) == (entry.kind, entry.at, entry.clock)
    assert (said.clerk, said.totals) == (entry.clerk, entry.totals)
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
    assert quick.read(raw, ("POS1", 2), 7, PREV, BEFORE) is not None
    assert quick.read(raw, ("POS2", 2), 7, PREV, BEFORE) is None
    assert quick.read(raw, ("POS1", 1), 7, PREV, BEFORE) is None
    assert quick.read(raw, ("POS1", 2), 8, PREV, BEFORE) is None
    assert quick.read(raw, ("POS1", 2), 7, "cd" * 32, BEFORE) is None
    for n in range(6):
        other = dataclasses.astuple(BEFORE)
        moved = Totals(*(value + (n == at) for at, value in enumerate(other)))
        assert quick.read(raw, ("POS1", 2), 7, PREV, moved) is None


def test_a_booking_names_the_columns_of_its_table() -> None:
    assert sorted(COLUMNS) == sorted(column.name for column in schema.bookings.columns)
