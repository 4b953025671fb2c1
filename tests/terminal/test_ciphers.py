"""Which cipher a voucher list has, and which one a new one gets on this processor."""

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from terminal import ciphers, database
from terminal.errors import OutOfService

KEY = b"k" * 32


@pytest.fixture(autouse=True)
def not_tried_yet() -> Iterator[None]:
    """What one test finds out about the processor is nothing to another."""
    ciphers.quickest.cache_clear()
    yield
    ciphers.quickest.cache_clear()


@pytest.mark.parametrize("cipher", [ciphers.AEGIS, ciphers.CHACHA20])
def test_a_list_keeps_the_cipher_it_was_written_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cipher: str
) -> None:
    """A disk that moves into another machine is read there."""
    path = tmp_path / "replica.db"
    monkeypatch.setattr(ciphers, "quickest", lambda: cipher)
    database.open_replica(path, KEY, writable=True).close()
    other = {ciphers.AEGIS: ciphers.CHACHA20, ciphers.CHACHA20: ciphers.AEGIS}[cipher]
    monkeypatch.setattr(ciphers, "quickest", lambda: other)
    connection = database.open_replica(path, KEY)
    assert connection.pragma("cipher") == cipher == ciphers.of(path)
    connection.close()


def test_noise_is_refused_as_before(tmp_path: Path) -> None:
    """What tells no cipher is tried with one and does not open."""
    path = tmp_path / "replica.db"
    path.write_bytes(b"noise" * 3000)
    with pytest.raises(OutOfService, match="does not open"):
        database.open_replica(path, KEY)


@pytest.mark.parametrize(
    ("slow", "chosen"), [("aegis", ciphers.CHACHA20), ("chacha20", ciphers.AEGIS)]
)
def test_the_one_that_takes_less_time_is_chosen(
    monkeypatch: pytest.MonkeyPatch, slow: str, chosen: str
) -> None:
    """Both are tried with the engine itself; the clock decides."""
    measured: list[str] = []

    def insert(connection: apsw.Connection) -> float:
        measured.append(str(connection.pragma("cipher")))
        return 1.0 if measured[-1] == slow else 0.01

    monkeypatch.setattr(ciphers, "_insert", insert)
    assert ciphers.quickest() == chosen
    assert set(measured) == {"aegis", "chacha20"}


def test_where_nothing_can_be_tried_none_is_chosen_that_may_be_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A temporary directory that is full or missing is no reason to fail."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    assert ciphers.quickest() == ciphers.CHACHA20


def test_trying_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here, with the real engine: one of the two, and no file."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert ciphers.quickest() in (ciphers.AEGIS, ciphers.CHACHA20)
    assert list(tmp_path.iterdir()) == []
