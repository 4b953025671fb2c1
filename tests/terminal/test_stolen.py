"""A stolen disk: what a thief finds in a terminal's files, without its key and with it.

Without the key the databases are noise. With it (the weakest source keeps it beside them) a
voucher still opens only with its own code and last four digits, which stand nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator

import apsw
import pytest

from terminal import ciphers, database
from terminal.counter import ShopCounter
from terminal.outcomes import Redeemed
from tests.terminal.asking import redeem
from tests.terminal.shop import Sample, Shop, close


class Stolen:
    """A terminal that was used, closed, and taken away; its slip never came out."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        shop.serial = 7_000  # so that last four digits are rare among other numbers
        self.samples = [shop.issue(5) for _ in range(6)]
        counter = shop.open(has_printer=True)
        self.done = self._use(counter)
        close(counter)
        shop.database.close()

    def _use(self, counter: ShopCounter) -> Redeemed:
        counter.look_up(self.samples[0].code(), "0001")
        redeem(counter, self.samples[1], 5)
        return redeem(counter, self.samples[2], 2)

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Every file of the data directory."""
        for path in sorted(self.shop.root.rglob("*")):
            if path.is_file():
                yield path.name, path.read_bytes()

    def cells(self) -> Iterator[tuple[str, object]]:
        """Every cell of both databases, opened with the stolen key; by table and column."""
        for path in (self.shop.data.journal, self.shop.data.replica):
            file = apsw.Connection(str(path))
            file.pragma("cipher", ciphers.of(path))
            file.pragma("key", f"raw:{self.shop.key.hex()}")
            tables = "SELECT name FROM sqlite_master WHERE type = 'table'"
            for (table,) in file.execute(tables).fetchall():
                columns = [row[1] for row in file.execute(f"PRAGMA table_xinfo({table})")]
                for row in file.execute(f"SELECT * FROM {table}"):
                    for column, cell in zip(columns, row, strict=True):
                        yield f"{table}.{column}", cell
            file.close()


@pytest.fixture
def stolen(shop: Shop) -> Stolen:
    """The thief has the disk."""
    return Stolen(shop)


def words_of(sample: Sample) -> list[bytes]:
    """What would give a voucher away, as it might stand in a file."""
    texts = [sample.voucher, *(sample.code(generation) for generation in range(6))]
    return [text.encode() for text in texts] + [sample.secret]


def test_without_the_key_the_files_are_noise(stolen: Stolen) -> None:
    """No code, no secret, no voucher, no name of a table in any file."""
    for name, content in stolen.files():
        for sample in stolen.samples:
            assert not [word for word in words_of(sample) if word in content], name
        assert b"SQLite format" not in content, name
        if name.endswith((".db", "-wal")):
            assert b"CREATE TABLE" not in content and b"redeemed" not in content, name


def test_with_the_key_no_voucher_can_be_redeemed(stolen: Stolen) -> None:
    """No cell holds a code, last four digits or a secret, but for the slip that still waits."""
    found = []
    for where, cell in stolen.cells():
        raw = cell if isinstance(cell, bytes) else str(cell).encode()
        for sample in stolen.samples:
            codes = [word for word in words_of(sample)[1:] if word in raw]
            if codes or raw == sample.last4.encode():
                found.append((where, raw.decode(errors="replace")))
    successor = stolen.samples[2].code(1)
    assert stolen.done.successor_code == successor
    assert found == [("print_job.successor_code", successor)]


def test_the_search_can_find(stolen: Stolen) -> None:
    """The control: a code that is put into a file and into a table is found."""
    sample = stolen.samples[0]
    (stolen.shop.root / "left behind").write_text(f"code {sample.code()}")
    with pytest.raises(AssertionError, match="left behind"):
        test_without_the_key_the_files_are_noise(stolen)
    file = apsw.Connection(str(stolen.shop.data.replica))
    database.unlock_replica(file, stolen.shop.key)
    file.execute("INSERT INTO meta VALUES ('x', ?)", (sample.code(3),))
    file.close()
    with pytest.raises(AssertionError, match="meta"):
        test_with_the_key_no_voucher_can_be_redeemed(stolen)
