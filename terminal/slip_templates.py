"""The templates that slips are made from: the shipped ones, or an owner's own folder.

Responsible for: which values a template may use, reading both kinds, and refusing one that would
fail a customer. Not responsible for: the values (`slips`), or the language of templates
(`drivers.escpos.template`). Invariants: an error names the file and the block; a template that was
read can be filled with any values, ends with a cut, and shows the serial and the new code.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from config import slip_files
from drivers.errors import DriverError
from drivers.escpos.slip import Cut, Slip
from drivers.escpos.template import VALUE_CHARS_MAX, Template, fill, read_template
from terminal.errors import Misconfigured

FILE_BYTES_MAX: Final = 65_536

TEXTS: Final = (
    "merchant",
    "outlet",
    "header",
    "footer",
    "product",
    "shares",
    "left",
    "valid",
    "new_code",
    "new_code_digits",
    "serial",
    "reverses",
    "time",
    "posid",
    "clerk",
    "check",
    "slip_text",
    "own_text",
)
"""Values that can be shown; `when` and `unless` may ask for them too."""

FLAGS: Final = ("offline", "code_later", "code_sent", "code_forgotten")
"""Values to be asked for in `when` and `unless`."""

_REQUIRED: Final = {"redeemed": ("serial", "new_code"), "reversed": ("serial", "reverses")}

NAMES: Final = frozenset((*TEXTS, *FLAGS))


@dataclass(frozen=True, slots=True)
class SlipTemplates:
    """One template for each kind of slip."""

    redeemed: Template
    reversed: Template


@cache
def shipped(language: str) -> SlipTemplates:
    """The templates that come with the program: zh, en or both."""

    def read_one(kind: str) -> Template:
        return _read(slip_files.template_text(language, kind), f"{language}/{kind}.toml", kind)

    return SlipTemplates(read_one("redeemed"), read_one("reversed"))


def own(folder: Path) -> SlipTemplates:
    """The owner's redeemed.toml and reversed.toml. Raises Misconfigured, naming file and block."""
    return SlipTemplates(_own(folder / "redeemed.toml"), _own(folder / "reversed.toml"))


def _own(path: Path) -> Template:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise Misconfigured(f"{path} is too large to be a slip template")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise Misconfigured(f"{path} is not UTF-8 text: save it as UTF-8") from error
    return _read(text, str(path), path.stem)


def _read(text: str, name: str, kind: str) -> Template:
    try:
        template = read_template(text, NAMES)
        full = fill(template, {value: f"<{value}>" for value in (*TEXTS, "offline")})
        bare = fill(template, {})
        # A code that nobody was told is lost, so it must be there whatever else is or is not.
        alone = {value: fill(template, {value: f"<{value}>"}) for value in _REQUIRED[kind]}
    except (DriverError, RecursionError) as error:
        raise Misconfigured(f"{name}: {error}") from error
    for one in (full, bare):
        if not one.blocks or not isinstance(one.blocks[-1], Cut):
            raise Misconfigured(f"{name}: the last block must be a cut, without a condition")
    for value, slip in alone.items():
        if not all(f"<{value}>" in _shown(one) for one in (full, slip)):
            raise Misconfigured(f"{name}: no block shows {{{value}}} whenever there is one")
    return template


def _shown(slip: Slip) -> str:
    return "\n".join(
        str(getattr(block, field, ""))
        for block in slip.blocks
        for field in ("text", "left", "right", "payload", "caption")
    )


def clipped(values: Mapping[str, str]) -> dict[str, str]:
    """The values with every line cut so that no name makes a slip that cannot be filled."""
    return {
        name: "\n".join(line[:VALUE_CHARS_MAX] for line in text.split("\n"))
        for name, text in values.items()
    }
