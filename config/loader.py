"""Reading a settings file.

Responsible for: finding it, reading it strictly, and errors that name the file, the key and what
to do. Not responsible for: what the settings mean. Invariant: a file either gives whole settings
or a `SettingsError`; nothing falls back silently.
"""

import os
import tomllib
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from config.schema import Settings

FILE_NAME: Final = "hexiao.toml"
ENVIRONMENT: Final = "HEXIAO_CONFIG"
SETTINGS_BYTES_MAX: Final = 1_048_576
"""A settings file is a few kilobytes; a whole megabyte is somebody else's file."""


class SettingsError(Exception):
    """A settings file that cannot be used; `str()` says which, where and what to do."""


class Loaded(Struct, frozen=True):
    """Settings and where they came from; `base` is what relative paths are relative to."""

    settings: Settings
    path: Path | None
    base: Path

    def resolve(self, text: str) -> Path:
        """A path of the settings, relative to the settings file."""
        return (self.base / Path(text).expanduser()).resolve()


def find(explicit: str | None) -> Path | None:
    """The settings file: `--config`, else $HEXIAO_CONFIG, else here, else the user's own."""
    chosen = explicit or os.environ.get(ENVIRONMENT)
    if chosen:
        return Path(chosen)
    here = Path(FILE_NAME)
    if here.is_file():
        return here
    user = user_directory() / FILE_NAME
    return user if user.is_file() else None


def user_directory() -> Path:
    """The user's configuration directory for hexiao."""
    if os.name == "nt":
        return Path(os.environ.get("APPDATA", Path.home())) / "hexiao"
    return Path(os.environ.get("XDG_CONFIG_HOME", Path.home() / ".config")) / "hexiao"


def load(explicit: str | None) -> Loaded:
    """Find and read the settings. Raises SettingsError."""
    path = find(explicit)
    if path is None:
        return Loaded(Settings(), None, Path.cwd())
    return Loaded(read(path), path, path.resolve().parent)


def read(path: Path) -> Settings:
    """Read one settings file strictly. Raises SettingsError."""
    try:
        if path.stat().st_size > SETTINGS_BYTES_MAX:
            raise SettingsError(f"{path} is too large to be a settings file")
        text = path.read_text(encoding="utf-8-sig")  # some editors put a mark at the beginning
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 text: save it as UTF-8") from error
    try:
        raw = tomllib.loads(text)
        _refuse_control_characters(raw, path)
        return msgspec.convert(raw, Settings)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from error
    except RecursionError as error:
        raise SettingsError(f"{path} is not valid TOML: it nests too deeply") from error
    except msgspec.ValidationError as error:
        raise SettingsError(
            f"{path}: {error}. See config/default.toml for what is known"
        ) from error


def _refuse_control_characters(value: object, path: Path, name: str = "") -> None:
    """TOML can write any character as an escape; no path, port or line of a slip holds these."""
    match value:
        case dict():
            for key, each in value.items():
                _refuse_control_characters(each, path, f"{name}.{key}".lstrip("."))
        case list():
            for each in value:
                _refuse_control_characters(each, path, name)
        case str() if any(ord(sign) < 32 or 127 <= ord(sign) < 160 for sign in value):
            raise SettingsError(f"{path}: {name} holds a control character: take it out")
        case _:
            pass
