"""config/default.toml shows every setting with its default, and nothing else."""

import tomllib
from importlib import resources

import msgspec

from config import loader
from config.schema import Settings

TEXT = resources.files("config").joinpath("default.toml").read_text(encoding="utf-8")


def test_the_file_gives_the_defaults() -> None:
    """Reading the shipped file gives exactly the schema's defaults."""
    assert msgspec.convert(tomllib.loads(TEXT), Settings) == Settings()


def test_the_file_mentions_every_setting() -> None:
    """Every section and key of the schema stands in the file, and no other."""
    shown = {(section, key) for section, keys in tomllib.loads(TEXT).items() for key in keys}
    known = {
        (section.name, key.name)
        for section in msgspec.structs.fields(Settings)
        for key in msgspec.structs.fields(section.type)
    }
    assert shown == known


def test_the_file_is_commented() -> None:
    """Every section explains itself: the file is the installer's reference."""
    for section in TEXT.split("\n[")[1:]:
        assert "# " in section, section.splitlines()[0]


def test_the_file_can_be_used_as_it_is() -> None:
    """The loader takes the shipped file itself."""
    with resources.as_file(resources.files("config").joinpath("default.toml")) as path:
        assert loader.read(path) == Settings()
