"""The database key: where it comes from, chosen once and recorded.

Responsible for: making and fetching the 32-byte key of the terminal's files from a systemd
credential, the system's keyring, a passphrase or a file of its own (design, section 6, "Database
key"), and deriving the keys that depend on it. Not responsible for: what is encrypted with it.
Invariants: a recorded source is never probed again or replaced by another; no key is ever logged.
"""

import json
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from argon2.low_level import Type, hash_secret_raw
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from terminal.datadir import DataDir
from terminal.errors import Misconfigured, OutOfService
from vouchers.ids import b64u, unb64u

KEY_BYTES: Final = 32
CREDENTIAL_NAME: Final = "hexiao-database-key"
_KEYRING_SERVICE: Final = "hexiao"
_PASSPHRASE_COST: Final = (3, 65_536, 4)
"""t, m in KiB, p: a person waits a third of a second once per start (storage notes, 2.1)."""

SOURCES: Final = ("credential", "keyring", "passphrase", "file")


@dataclass(frozen=True, slots=True)
class KeySource:
    """Which source was chosen; `salt` is set for a passphrase, `name` for a keyring entry."""

    source: str
    salt: bytes = b""
    name: str = ""


def choose(
    data: DataDir, wanted: str, ask: Callable[[], str] | None = None
) -> tuple[KeySource, bytes]:
    """Choose a source at enrolment, make the key and record the choice.

    Raises Misconfigured, or OutOfService when the source does not answer. `ask` fetches a
    passphrase from a person.
    """
    source = _automatic() if wanted == "auto" else wanted
    if source not in SOURCES:
        raise Misconfigured(f"keys.source must be one of auto, {', '.join(SOURCES)}")
    salt = secrets.token_bytes(16) if source == "passphrase" else b""
    chosen = KeySource(source, salt, f"database-{secrets.token_hex(8)}")
    key = _make(data, chosen, ask)
    record = {"source": source, "salt": b64u(salt), "name": chosen.name}
    write_private(data.key_source, json.dumps(record).encode())
    return chosen, key


def fetch(data: DataDir, ask: Callable[[], str] | None = None) -> bytes:
    """Fetch the key from its recorded source. Raises OutOfService or Misconfigured."""
    chosen = recorded(data)
    match chosen.source:
        case "file":
            return _read_key_file(data.root / "database.key")
        case "credential":
            return _credential()
        case "keyring":
            return _from_keyring(chosen.name)
        case _:
            return _from_passphrase(chosen.salt, ask)


def recorded(data: DataDir) -> KeySource:
    """The source recorded at enrolment. Raises Misconfigured when there is none."""
    try:
        raw = json.loads(data.key_source.read_text(encoding="utf-8"))
        if raw["source"] not in SOURCES:
            raise ValueError("no such source")
        return KeySource(raw["source"], unb64u(raw["salt"]), str(raw["name"]))
    except FileNotFoundError as error:
        raise Misconfigured(
            f"{data.root} holds no enrolled terminal: run `hexiao enrol URL CODE` first"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Misconfigured(
            f"{data.key_source} cannot be read: restore it or enrol anew"
        ) from error


def destroy(data: DataDir) -> None:
    """Destroy the key where its source is ours to empty; again is harmless. Raises OSError.

    A systemd credential is the machine's and a passphrase a person's: what they open must go.
    """
    path = data.root / "database.key"
    if path.exists():
        overwrite(path)
        path.unlink()
    with suppress(Misconfigured):  # nothing is recorded any more
        chosen = recorded(data)
        if chosen.source == "keyring":
            _out_of_keyring(chosen.name)


def overwrite(path: Path) -> None:
    """Write zeros over a small file, durably. Raises OSError."""
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
        file.flush()
        os.fsync(file.fileno())


def derived(key: bytes, purpose: str) -> bytes:
    """A 32-byte key for one purpose, from the database key."""
    return HKDF(SHA256(), 32, None, f"hexiao-{purpose}-v1".encode()).derive(key)


def write_private(path: Path, content: bytes) -> None:
    """Write a small file durably, 0600, all or nothing. Raises OSError."""
    partial = path.with_name(path.name + ".part")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    partial.replace(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make a rename durable where the system can."""
    if os.name == "nt":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _automatic() -> str:
    return "credential" if _credential_path() is not None else "file"


def _make(data: DataDir, chosen: KeySource, ask: Callable[[], str] | None) -> bytes:
    match chosen.source:
        case "credential":
            return _credential()
        case "passphrase":
            return _from_passphrase(chosen.salt, ask)
        case "keyring":
            return _into_keyring(chosen.name)
        case _:
            key = secrets.token_bytes(KEY_BYTES)
            write_private(data.root / "database.key", key)
            return key


def _credential_path() -> Path | None:
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(directory) / CREDENTIAL_NAME if directory else None
    return path if path is not None and path.is_file() else None


def _credential() -> bytes:
    path = _credential_path()
    if path is None:
        raise OutOfService(
            f"the service was not given the credential {CREDENTIAL_NAME}: check the unit's"
            " LoadCredentialEncrypted line"
        )
    return _read_key_file(path)


def _read_key_file(path: Path) -> bytes:
    try:
        key = path.read_bytes()
    except OSError as error:
        raise OutOfService(
            f"the database key {path.name} cannot be read: {error.strerror}"
        ) from error
    if len(key) != KEY_BYTES:
        raise OutOfService(f"the database key {path.name} is damaged: restore it from a backup")
    return key


def _into_keyring(name: str) -> bytes:
    import keyring
    from keyring.errors import KeyringError

    key = secrets.token_bytes(KEY_BYTES)
    try:
        keyring.set_password(_KEYRING_SERVICE, name, b64u(key))
    except KeyringError as error:
        raise OutOfService(f"the keyring does not answer: {error}") from error
    return key


def _out_of_keyring(name: str) -> None:
    import keyring
    from keyring.errors import PasswordDeleteError

    with suppress(PasswordDeleteError):  # it is not there any more
        keyring.delete_password(_KEYRING_SERVICE, name)


def _from_keyring(name: str) -> bytes:
    import keyring
    from keyring.errors import KeyringError

    try:
        text = keyring.get_password(_KEYRING_SERVICE, name)
    except KeyringError as error:
        raise OutOfService(f"the keyring does not answer: {error}") from error
    if text is None:
        raise OutOfService("the keyring no longer holds the database key: sign in as the same user")
    try:
        key = unb64u(text)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise OutOfService("the keyring's database key is damaged: restore it from a backup")
    return key


def _from_passphrase(salt: bytes, ask: Callable[[], str] | None) -> bytes:
    if ask is None:
        raise OutOfService("this terminal's key is a passphrase: start it where a person can type")
    t, m_kib, p = _PASSPHRASE_COST
    return hash_secret_raw(ask().encode(), salt, t, m_kib, p, KEY_BYTES, Type.ID)
