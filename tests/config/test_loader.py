"""Settings files: which is found, what is believed, and what an error says."""

import os
import re
from pathlib import Path

import pytest

from config import loader
from config.loader import SettingsError
from config.schema import Settings
from vouchers.patterns import FORM


def write(folder: Path, text: str | bytes, name: str = "hexiao.toml") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory and a home without settings."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.delenv("HEXIAO_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    return here


def test_without_a_file_the_defaults_hold(nowhere: Path) -> None:
    """No file at all gives the defaults, relative to where one stands."""
    loaded = loader.load(None)
    assert (loaded.settings, loaded.path, loaded.base) == (Settings(), None, nowhere)
    assert loaded.resolve("data") == nowhere / "data"


def test_files_are_looked_for_in_the_contract_s_order(
    tmp_path: Path, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--config comes before $HEXIAO_CONFIG, that before ./hexiao.toml, that before the user's."""
    (tmp_path / "home" / "hexiao").mkdir(parents=True)
    user = write(tmp_path / "home" / "hexiao", "[disk]\nmin_free_mb = 1\n")
    assert loader.load(None).path == user
    write(nowhere, "[disk]\nmin_free_mb = 2\n")
    assert loader.load(None).settings.disk.min_free_mb == 2
    monkeypatch.setenv("HEXIAO_CONFIG", str(write(tmp_path, "[disk]\nmin_free_mb = 3\n", "e.toml")))
    assert loader.load(None).settings.disk.min_free_mb == 3
    explicit = write(tmp_path, "[disk]\nmin_free_mb = 4\n", "x.toml")
    assert loader.load(str(explicit)).settings.disk.min_free_mb == 4


def test_the_user_directory_follows_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without XDG_CONFIG_HOME the user's own directory is ~/.config."""
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", "/nobody-here")
    assert loader.user_directory() == Path("/nobody-here/.config/hexiao")


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    """A data directory named in a file lies beside that file, wherever one stands."""
    loaded = loader.load(str(write(tmp_path, "")))
    assert loaded.resolve("data") == tmp_path / "data"
    assert loaded.resolve("/var/x") == Path("/var/x")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[printer]\nportt = 'x'\n", "portt"),
        ("[printerr]\nport = 'x'\n", "printerr"),
        ("[central]\nport = 70000\n", "$.central.port"),
        ("[central]\nport = '8420'\n", "$.central.port"),
        ("[receipt]\nlanguage = 'fr'\n", "$.receipt.language"),
        ("[receipt]\nheader = 'one line'\n", "$.receipt.header"),
        ("[kiosk]\nclerk = 'a b'\n", "$.kiosk.clerk"),
        ("[disk]\nmin_free_mb = -1\n", "$.disk.min_free_mb"),
        ("disk = 3\n", "$.disk"),
        ("[disk\n", "line 1"),
        ("[disk]\nmin_free_mb = 1\nmin_free_mb = 2\n", "line 3"),
    ],
)
def test_an_error_names_the_file_and_the_key(tmp_path: Path, text: str, named: str) -> None:
    """Whatever is wrong, the message names the file and the key or the line."""
    path = write(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        loader.load(str(path))
    assert str(path) in str(caught.value) and named in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[kiosk]\nclerk = '\xff'\n", "not UTF-8"),
        (b" " * (loader.SETTINGS_BYTES_MAX + 1), "too large"),
        (b"a = " + b"[" * 100_000, "not valid TOML"),
    ],
)
def test_another_program_s_file_is_refused_by_name(
    tmp_path: Path, content: bytes, said: str
) -> None:
    """Bytes that are no settings give a message that names the file, never a traceback."""
    path = write(tmp_path, content)
    with pytest.raises(SettingsError, match=said) as caught:
        loader.load(str(path))
    assert str(path) in str(caught.value)


def test_a_file_that_is_asked_for_must_be_there(tmp_path: Path) -> None:
    """A path that was given and is missing, or is a directory, is an error and not the defaults."""
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(SettingsError, match="cannot be read") as caught:
            loader.load(str(path))
        assert str(path) in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    """A file without read permission is named with the system's reason."""
    path = write(tmp_path, "")
    path.chmod(0)
    with pytest.raises(SettingsError, match="cannot be read"):
        loader.load(str(path))


@pytest.mark.parametrize("pattern", ["qr", "{code}{code}", "*{code}*", "{shop}{code}", "{code"])
def test_an_issuer_pattern_is_checked_when_it_is_read(tmp_path: Path, pattern: str) -> None:
    """One {code}, at most one *, no other braces: as `vouchers.patterns` reads them."""
    assert re.fullmatch(FORM, pattern) is None
    path = write(tmp_path, f'[scanner]\nissuer_patterns = ["qr{{code}}", "{pattern}"]\n')
    with pytest.raises(SettingsError, match="issuer_patterns"):
        loader.load(str(path))


def test_issuer_patterns_that_are_some(tmp_path: Path) -> None:
    """What the documentation shows."""
    path = write(tmp_path, '[scanner]\nissuer_patterns = ["qr{code}", "https://v.example/{code}*"]')
    found = loader.load(str(path)).settings.scanner.issuer_patterns
    assert all(re.fullmatch(FORM, one) for one in found) and len(found) == 2
