"""Device profiles as data: one TOML file per model or family.

Responsible for: finding them by name. Not responsible for: reading their contents (`drivers`).
"""

import re
from importlib import resources
from typing import Final

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}", re.ASCII)


def names() -> list[str]:
    """All profiles that are shipped."""
    folder = resources.files("config").joinpath("devices")
    return sorted(
        entry.name.removesuffix(".toml")
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    )


def profile_text(name: str) -> str:
    """The text of a profile. Raises LookupError naming the profiles there are."""
    file = resources.files("config").joinpath("devices", f"{name}.toml")
    if not _NAME.fullmatch(name) or not file.is_file():
        raise LookupError(f"there is none of that name; there are {', '.join(names())}")
    return file.read_text(encoding="utf-8")
