"""What a person does to an emulated printer, as words.

Responsible for: the orders that there are, and carrying them out on a machine. Not responsible for:
where they come from, or the plug (`unplug`, `plug in`), which is the station's.
Invariant: words that name nothing change nothing, and that is said.
"""

from collections.abc import Callable
from dataclasses import fields

from drivers.emulated.machine import Levers, Machine

Now = Callable[[], float]

SWITCHES = tuple(field.name for field in fields(Levers) if type(field.default) is bool)
"""Levers that are on or off; `not` in front, with the same words, ends one."""

ORDERS = (
    *(name.replace("_", " ") for name in SWITCHES),
    "paper loaded",
    "paper ends 5",
    "cover closed",
    "late 900",
    "drop 3",
    "noise fe01",
    "power off",
    "power off after 40",
    "power back after 50",
    "power on",
    "unplug",
    "plug in",
    "ok",
)
"""Every order, numbers as examples: lines of paper, milliseconds, bytes, bytes in hexadecimal."""


def apply_order(machine: Machine, line: str, now: Now) -> bool:
    """Pull a lever by words; False for words that name none."""
    words = line.lower().split()
    number = int(words.pop()) if words and words[-1].isascii() and words[-1].isdigit() else None
    if number is not None:
        return _with_number(machine, " ".join(words), number)
    if words[:1] == ["noise"]:
        return _noise(machine, "".join(words[1:]))
    match " ".join(words):
        case "paper loaded":
            machine.load_paper()
        case "cover closed":
            machine.levers.cover_open = False
        case "power off":
            machine.power_off()
        case "power on":
            machine.power_on(now())
        case "ok":
            machine.levers = Levers()
            machine.power_on(now())
        case other:
            return _switch(machine.levers, other.replace(" ", "_"))
    return True


def _with_number(machine: Machine, name: str, number: int) -> bool:
    match name:
        case "paper ends":
            machine.levers.paper_lines = number
        case "late":
            machine.levers.late_ms = number
        case "drop":
            machine.levers.drop_next = number
        case "power off after":
            machine.levers.power_off_at = machine.count.received + number
        case "power back after":
            machine.levers.power_back_ms = number
        case "noise":
            return _noise(machine, str(number))
        case _:
            return False
    return True


def _noise(machine: Machine, text: str) -> bool:
    try:
        machine.levers.noise = bytes.fromhex(text)
    except ValueError:
        return False
    return bool(text)


def _switch(levers: Levers, words: str) -> bool:
    name = words.removeprefix("not_")
    if name not in SWITCHES:
        return False
    setattr(levers, name, words == name)
    return True
