"""How many bytes a slip takes on the wire to a narrow printer.

Responsible for: a redemption in part, with its new code, as the terminal composes it for 58 mm, and
counting. Not responsible for: the slip. Invariant: everything is counted that the printer is sent,
the questions that confirm the paper included.
"""

from typing import Final

from drivers.escpos.preview import bytes_on_the_wire, preview_text
from terminal import device_profiles, sample_slip
from terminal.bench_rows import Amount, Goal
from terminal.slips import SlipStyle

_PROFILE: Final = "generic-58-gb18030"
_BYTES_MAX: Final = 1_000


def size() -> Amount:
    """Chinese and English, on the text path."""
    profile = device_profiles.printer_profile(_PROFILE)
    slip = sample_slip.redeemed(SlipStyle("both"))
    return Amount(
        what="slip for 58 mm, a part redeemed",
        unit="bytes",
        measured=bytes_on_the_wire(slip, profile),
        bare_is="its text alone, in GB18030",
        bare=len(preview_text(slip, profile).encode("gb18030")),
        goal=Goal(_BYTES_MAX, unit="bytes"),
    )
