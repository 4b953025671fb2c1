"""What a slip will look like, without a printer.

Responsible for: laying a slip out for a profile and letting the emulated printer print it, as text
and as a picture. Not responsible for: composing slips. The way is the real one: the bytes that a
printer would get are interpreted, so that a preview cannot flatter.
"""

from collections.abc import Mapping
from pathlib import Path

from drivers.emulated.machine import Build, Machine
from drivers.emulated.paper import Paper
from drivers.emulated.picture import draw
from drivers.escpos.layout import CONFIRM_BYTES, lay_out
from drivers.escpos.profile import PrinterProfile
from drivers.escpos.slip import Slip
from drivers.escpos.template import fill, read_template


def preview_text(slip: Slip, profile: PrinterProfile) -> str:
    """The slip as lines of text; codes and images in brackets."""
    return _printed(slip, profile).text()


def preview_png(slip: Slip, profile: PrinterProfile, path: Path) -> None:
    """The slip as a picture, one pixel for each dot."""
    draw(_printed(slip, profile), profile.font).save(path)


def preview_template(text: str, values: Mapping[str, str], profile: PrinterProfile) -> str:
    """An owner's template with sample values, as lines of text. Raises Misconfigured."""
    return preview_text(fill(read_template(text, values.keys()), values), profile)


def bytes_on_the_wire(slip: Slip, profile: PrinterProfile) -> int:
    """How many bytes the slip takes at most: a request for each block, and one before the first."""
    blocks = lay_out(slip, profile)
    return sum(len(block.data) for block in blocks) + CONFIRM_BYTES * (len(blocks) + 1)


def _printed(slip: Slip, profile: PrinterProfile) -> Paper:
    build = Build(profile.columns, profile.dots, profile.charset, buffer_bytes=1 << 24)
    machine = Machine(build)
    for block in lay_out(slip, profile):
        machine.receive(block.data, 0)
    return machine.paper
