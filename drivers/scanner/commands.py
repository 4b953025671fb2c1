"""What the host may tell a scanner, per family.

Responsible for: the byte sequences. Pure. Not responsible for: sending them. Sources: Zebra Simple
Serial Interface guide 72E-40451; Datalogic single-character host commands; Honeywell serial
trigger and the ESC beeps of its older models; Newland programming frames (`#` is temporary, `@`
would be stored in the scanner and is never sent); CipherLab. A family that cannot do something
gets empty bytes, and the screen alone says it.
"""

from enum import StrEnum

from drivers.scanner import ssi


class Action(StrEnum):
    """What the counter may want of a scanner."""

    GOOD = "good"
    BAD = "bad"
    ENABLE = "enable"
    DISABLE = "disable"
    TRIGGER = "trigger"
    UNTRIGGER = "untrigger"


def _newland(setting: bytes) -> bytes:
    return b"\x7e\x01\x30\x30\x30\x30#" + setting + b";\x03"


_SETS: dict[str, dict[Action, bytes]] = {
    "none": {},
    "ssi": {
        Action.GOOD: ssi.message(ssi.BEEP, b"\x01"),
        Action.BAD: ssi.message(ssi.BEEP, b"\x12"),
        Action.ENABLE: ssi.message(ssi.SCAN_ENABLE),
        Action.DISABLE: ssi.message(ssi.SCAN_DISABLE),
        Action.TRIGGER: ssi.message(ssi.START_SESSION),
        Action.UNTRIGGER: ssi.message(ssi.STOP_SESSION),
    },
    "datalogic": {
        Action.GOOD: b"B",
        Action.BAD: b"F",
        Action.ENABLE: b"E",
        Action.DISABLE: b"D",
        Action.TRIGGER: b"T",
        Action.UNTRIGGER: b"X",
    },
    "honeywell": {
        Action.GOOD: b"\x1b7",
        Action.BAD: b"\x1b8",
        Action.TRIGGER: b"\x16T\r",
        Action.UNTRIGGER: b"\x16U\r",
    },
    "newland": {
        Action.ENABLE: _newland(b"SCNENA1"),
        Action.DISABLE: _newland(b"SCNENA0"),
    },
    "cipherlab": {
        Action.GOOD: b"#@////\r",
        Action.ENABLE: b"E",
        Action.DISABLE: b"D",
    },
}
FAMILIES = frozenset(_SETS)


def command(family: str, action: Action) -> bytes:
    """The bytes for an action, or none where the family cannot. Unknown families can nothing."""
    return _SETS.get(family, {}).get(action, b"")
