"""Device profiles: found by name, and by nothing but a name."""

import tomllib

import pytest

from config import profiles
from config.schema import Printer, Scanner


def test_the_default_profiles_are_shipped() -> None:
    """The profiles that the settings name by default exist and are TOML."""
    for name in (Printer().profile, Scanner().profile, *profiles.names()):
        assert tomllib.loads(profiles.profile_text(name))


@pytest.mark.parametrize(
    "name", ["", "nope", "../default", "a/b", "Generic-Serial", "x" * 65, "x\n"]
)
def test_anything_else_names_what_there_is(name: str) -> None:
    """A wrong name, or a path, is refused and the profiles that exist are listed."""
    with pytest.raises(LookupError, match="generic-80-gb18030"):
        profiles.profile_text(name)
