"""Slip templates: what an owner edits to change a slip, and values to a slip.

Responsible for: reading a template from TOML, checking that it asks only for values that exist, and
filling it. Pure. Not responsible for: the values, or which template is used.

A template is a list of blocks as in `slip`, with `{name}` where a value goes, and `when = "name"`
or `unless = "name"` for blocks that depend on a value being there:

    [[block]]
    t = "columns"
    left = "剩余 Left"
    right = "{left}"
    when = "left"

Invariants: a value is data: braces in it are not looked at again, and it cannot add a block except
that its lines become lines; a template is checked when it is read, not when a customer waits.
"""

import re
import tomllib
from collections.abc import Mapping, Set
from dataclasses import dataclass

from drivers.errors import Misconfigured
from drivers.escpos.slip import Block, Slip, block_from

VALUE_CHARS_MAX = 500
"""A template that was read can be filled with any values whose lines are no longer than this."""

_NAME = re.compile(r"\{([a-z_]+)\}")
_BRACES = re.compile(r"[{}]")


@dataclass(frozen=True, slots=True)
class _Part:
    block: dict[str, object]
    when: str
    unless: str


@dataclass(frozen=True, slots=True)
class Template:
    """A checked template."""

    parts: tuple[_Part, ...]


def read_template(text: str, names: Set[str]) -> Template:
    """The template in a TOML text that may use these value names. Raises Misconfigured."""
    try:
        blocks = tomllib.loads(text)["block"]
    except (tomllib.TOMLDecodeError, KeyError) as fault:
        raise Misconfigured(f"not a slip template: {fault}") from None
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise Misconfigured("a slip template is a list of [[block]] tables")
    parts = tuple(_part(block, number, names) for number, block in enumerate(blocks, 1))
    anything = dict.fromkeys(names, "1" * VALUE_CHARS_MAX)
    for number, part in enumerate(parts, 1):
        _blocks(part, number, anything)  # whatever its condition, a block must be whole
    return Template(parts)


def fill(template: Template, values: Mapping[str, str]) -> Slip:
    """The slip with these values; names that are missing count as empty."""
    blocks: list[Block] = []
    for number, part in enumerate(template.parts, 1):
        if (part.when and not values.get(part.when)) or values.get(part.unless):
            continue
        blocks += _blocks(part, number, values)
    return Slip(tuple(blocks))


def _blocks(part: _Part, number: int, values: Mapping[str, str]) -> list[Block]:
    try:
        return [block_from(block) for block in _lines(_filled(part.block, values))]
    except ValueError as fault:
        raise Misconfigured(f"slip template, block {number}: {fault}") from None


def _part(block: dict[str, object], number: int, names: Set[str]) -> _Part:
    rest = dict(block)
    when, unless = str(rest.pop("when", "")), str(rest.pop("unless", ""))
    used = {name for name in (when, unless) if name}
    for value in rest.values():
        if isinstance(value, str):
            used |= set(_NAME.findall(value))
            if _BRACES.search(_NAME.sub("", value)):
                raise Misconfigured(f"slip template, block {number}: a brace without a name")
    if unknown := sorted(used - set(names)):
        known = ", ".join(sorted(names))
        raise Misconfigured(
            f"slip template, block {number}: no value {unknown[0]}; there are {known}"
        )
    return _Part(rest, when, unless)


def _filled(block: dict[str, object], values: Mapping[str, str]) -> dict[str, object]:
    def value_of(match: re.Match[str]) -> str:
        return values.get(match[1], "")

    return {
        key: _NAME.sub(value_of, value) if isinstance(value, str) else value
        for key, value in block.items()
    }


def _lines(block: dict[str, object]) -> list[dict[str, object]]:
    """A line whose value holds several lines becomes as many; each has its own limit."""
    text = block.get("text")
    if block.get("t") != "line" or not isinstance(text, str) or "\n" not in text:
        return [block]
    return [{**block, "text": one} for one in text.splitlines()]
