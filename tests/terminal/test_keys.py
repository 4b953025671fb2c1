"""The database key: one source, chosen once and recorded."""

import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring

from terminal import keys
from terminal.datadir import DataDir
from terminal.errors import Misconfigured, OutOfService


class MemoryKeyring(KeyringBackend):
    """A keyring of the system, as far as `keyring` sees one."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataDir:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    monkeypatch.setattr(keys, "_PASSPHRASE_COST", (1, 8, 1))
    found = DataDir.at(tmp_path / "data")
    found.ensure()
    return found


@pytest.fixture
def use_keyring() -> Iterator[Callable[[KeyringBackend], None]]:
    """Chooses the system's keyring for one test."""
    before = keyring.get_keyring()
    yield keyring.set_keyring
    keyring.set_keyring(before)


def test_a_key_file_is_private_and_comes_back(data: DataDir) -> None:
    """The `file` source makes 32 bytes in a file of mode 0600 and fetches the same ones."""
    chosen, key = keys.choose(data, "file")
    path = data.root / "database.key"
    assert chosen.source == "file" and len(key) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert keys.fetch(data) == key
    assert not list(data.root.glob("*.part"))


@pytest.mark.parametrize("content", [b"", b"x" * 31, b"x" * 33])
def test_a_damaged_key_file_is_said(data: DataDir, content: bytes) -> None:
    """A key of another length is out of service, never half a key."""
    keys.choose(data, "file")
    (data.root / "database.key").write_bytes(content)
    with pytest.raises(OutOfService, match="damaged"):
        keys.fetch(data)


def test_a_missing_key_file_is_said_and_not_replaced(data: DataDir) -> None:
    """A recorded source is never made anew: a new key would open nothing."""
    keys.choose(data, "file")
    (data.root / "database.key").unlink()
    with pytest.raises(OutOfService, match=r"database\.key cannot be read"):
        keys.fetch(data)
    assert not (data.root / "database.key").exists()


def test_the_choice_is_recorded_and_not_probed_again(
    data: DataDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A credential that turns up later does not take the place of the recorded file."""
    _, key = keys.choose(data, "auto")
    assert keys.recorded(data).source == "file"
    (tmp_path / keys.CREDENTIAL_NAME).write_bytes(b"c" * 32)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert keys.fetch(data) == key


def test_auto_takes_a_credential_where_the_service_was_given_one(
    data: DataDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a systemd credential at enrolment, that is the source from then on."""
    (tmp_path / keys.CREDENTIAL_NAME).write_bytes(b"c" * 32)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert keys.choose(data, "auto")[1] == b"c" * 32
    assert keys.fetch(data) == b"c" * 32
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    with pytest.raises(OutOfService, match="LoadCredentialEncrypted"):
        keys.fetch(data)


def test_a_passphrase_opens_again_and_another_one_does_not(data: DataDir) -> None:
    """The same passphrase gives the same key, another one another; without a person, none."""
    _, key = keys.choose(data, "passphrase", lambda: "open sesame")
    assert keys.fetch(data, lambda: "open sesame") == key
    assert keys.fetch(data, lambda: "open barley") != key
    with pytest.raises(OutOfService, match="where a person can type"):
        keys.fetch(data)


def test_a_keyring_keeps_the_key(
    data: DataDir, use_keyring: Callable[[KeyringBackend], None]
) -> None:
    """The system's keyring holds the key and nothing in the directory does."""
    backend = MemoryKeyring()
    use_keyring(backend)
    _, key = keys.choose(data, "keyring")
    assert keys.fetch(data) == key
    assert not any(key in path.read_bytes() for path in data.root.iterdir())
    backend.kept.clear()
    with pytest.raises(OutOfService, match="no longer holds"):
        keys.fetch(data)


def test_a_keyring_that_does_not_answer_is_said(
    data: DataDir, use_keyring: Callable[[KeyringBackend], None]
) -> None:
    """A machine without a keyring is told so at enrolment and at a start, without a traceback."""
    use_keyring(NoKeyring())
    with pytest.raises(OutOfService, match="keyring does not answer"):
        keys.choose(data, "keyring")
    assert not data.key_source.exists()
    use_keyring(MemoryKeyring())
    keys.choose(data, "keyring")
    use_keyring(NoKeyring())
    with pytest.raises(OutOfService, match="keyring does not answer"):
        keys.fetch(data)


def test_a_keyring_entry_that_was_overwritten_is_said(
    data: DataDir, use_keyring: Callable[[KeyringBackend], None]
) -> None:
    """Anything but a key in the keyring's entry is out of service."""
    backend = MemoryKeyring()
    use_keyring(backend)
    keys.choose(data, "keyring")
    for wrong in ("!", "AAAA"):
        backend.kept = dict.fromkeys(backend.kept, wrong)
        with pytest.raises(OutOfService, match="damaged"):
            keys.fetch(data)


def test_an_unknown_source_is_wrong_settings(data: DataDir) -> None:
    """A source that is none is named together with the ones there are."""
    with pytest.raises(Misconfigured, match="credential, keyring, passphrase, file"):
        keys.choose(data, "usb")


@pytest.mark.parametrize(
    "record",
    [
        "",
        "[]",
        "null",
        "{}",
        '{"source": "file", "salt": 3, "name": ""}',
        '{"source": "usb", "salt": "", "name": ""}',
    ],
)
def test_a_damaged_record_is_said(data: DataDir, record: str) -> None:
    """A record that names no source is wrong configuration, not a guess at another source."""
    data.key_source.write_text(record)
    with pytest.raises(Misconfigured, match="enrol"):
        keys.fetch(data, lambda: "x")


def test_a_directory_without_a_terminal_says_what_to_do(data: DataDir) -> None:
    """Where nothing was enrolled, the message names the command."""
    with pytest.raises(Misconfigured, match="hexiao enrol"):
        keys.fetch(data)


def test_derived_keys_differ_by_purpose() -> None:
    """One database key gives unrelated keys for its purposes."""
    found = {keys.derived(b"k" * 32, purpose) for purpose in ("identity", "guess")}
    assert len(found) == 2 and b"k" * 32 not in found


def test_the_record_holds_no_key(data: DataDir) -> None:
    """The record in the clear names the source and nothing secret."""
    _, key = keys.choose(data, "file")
    raw = data.key_source.read_bytes()
    assert set(json.loads(raw)) == {"source", "salt", "name"} and key not in raw
