"""Devices made of software, for demonstrations, tests and slip designers.

Responsible for: `emulated://printer?...`, `emulated://scanner?...` and `emulated://idcard?...` as
pyserial ports, and the same devices on a pty or a TCP port. `register()` must be called once before
such a port is opened; importing does nothing. The devices live on a `Bench`; the process-wide one
is what pyserial's protocol handler looks at, because a URL is all that pyserial hands over.

    bench = register()
    link = Link("emulated://printer?name=till&paper=/tmp/slip.txt", ...)
    bench.printer("till").levers.paper_out = True

Options of a printer: `name`, `columns` (32 or 48), `baud` (0 = no wire time), `line_ms`, `buffer`,
`paper` (file that always shows the paper as text), `png` (picture written when it comes to rest),
`control` (named pipe that takes one lever a line, such as `paper out`), `charset`, `replies` (comma
list of `asb,dle_eot,gs_r,gs_h,gs_i,macro`). Of a scanner: `name`, `prefix`, `suffix` (default
`%0D`), `feed` (a named pipe: each line that is written to it is scanned). Of an ID card reader:
`name`, `card` (the number of the card that lies on it), `feed` (a named pipe that takes
`lay NUMBER` and `lift`).
"""

import serial

from drivers.emulated.bench import BENCH, Bench

_PACKAGE = "drivers.emulated"


def register() -> Bench:
    """Make `emulated://` known to pyserial; the bench that holds the devices. Repeating is free."""
    if _PACKAGE not in serial.protocol_handler_packages:
        serial.protocol_handler_packages.append(_PACKAGE)
    return BENCH
