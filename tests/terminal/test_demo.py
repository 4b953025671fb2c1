"""The pieces of `hexiao demo` that need no running demo; a journey runs the whole of it."""

from pathlib import Path

import pytest

from config.loader import load
from terminal import demo
from terminal.errors import OutOfService

SEEDED = {
    "vouchers": [
        {"code": "20412345678", "last4": "0001", "shares": 1},
        {"code": "20412345679", "last4": "0002", "shares": 5},
    ],
    "refused": [{"code": "20412345670", "last4": "0003", "reason": "expired"}],
}


def test_the_samples_are_told_largest_first_in_both_languages() -> None:
    """The kiosk's help shows several shares first, then what is refused and why."""
    found = list(demo._samples(SEEDED))
    assert [sample[:2] for sample in found] == [
        ("20412345679", "0002"),
        ("20412345678", "0001"),
        ("20412345670", "0003"),
    ]
    assert all(zh and en and zh != en for _, _, zh, en in found)


def test_people_read_where_everything_is() -> None:
    """Without --json the addresses and every sample stand on lines of their own."""
    said = demo._for_people({"central": "http://x", "config": "/c", "central_config": "", **SEEDED})
    for part in ("http://x", "/c", "20412345679", "20412345670", "expired"):
        assert part in said


def test_its_settings_are_settings(tmp_path: Path) -> None:
    """The files it writes are read by the ordinary commands, and are kept when it runs again."""
    made = demo._Directory(tmp_path / "demo")
    made.prepare(None)
    settings = load(str(made.config)).settings
    assert settings.printer.port.startswith("emulated://printer?") and settings.kiosk.sound
    assert load(str(made.central_config)).settings.central.port > 0
    before = made.central_config.read_text()
    made.prepare("en")
    settings = load(str(made.config)).settings
    assert settings.kiosk.language == "en" and not settings.id_card.port
    made.prepare(None, id_card=True)
    assert load(str(made.config)).settings.id_card.port.startswith("emulated://idcard?")
    assert made.central_config.read_text() == before
    assert (tmp_path / "demo").stat().st_mode & 0o777 == 0o700


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    """A file in the way is out of service, by name."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OutOfService, match="cannot be made"):
        demo._Directory(tmp_path / "file" / "demo").prepare(None)


def test_a_central_that_fails_is_said_with_its_words(tmp_path: Path) -> None:
    """What central says on its way out is what the person reads."""
    made = demo._Directory(tmp_path / "demo")
    made.prepare(None)
    made.central_config.write_text("[central]\nport = -1\n")
    with pytest.raises(OutOfService, match="port"):
        made.seed()
    with pytest.raises(OutOfService, match=r"did not start.*port"), made.central_process():
        pass
