"""`emulate printer`: an emulated printer for another program, its paper shown as it comes out.

Responsible for: one call that a command line makes: a TCP door or a pty, live paper, a picture, and
orders from a person (`paper out`, `cover open`, `power off`, `ok`). Not responsible for: arguments,
signals and printing on a terminal: text goes to the `show` that is handed in.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from drivers.emulated.machine import Build
from drivers.emulated.printer import EmulatedPrinter, apply_order

LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class Where:
    """How a host reaches the printer: `tcp_port` (0: any free one), else a pty, named by `link`."""

    tcp_port: int | None = None
    host: str = "127.0.0.1"
    link: Path | None = None


def emulate_printer(
    build: Build,
    where: Where,
    *,
    show: Callable[[str], None],
    stop: threading.Event,
    png: Path | None = None,
    orders: Iterator[str] | None = None,
) -> None:
    """Run until `stop` is set. The first text shown is the port to use; then paper, as it comes."""
    printer = EmulatedPrinter(build, png=png)
    try:
        show(_reach(printer, where) + "\n")
        if orders is not None:
            threading.Thread(target=_obey, args=(printer, orders, stop), daemon=True).start()
        told = 0
        while not stop.wait(LOOK_S):
            text = printer.paper_text()
            if len(text) > told:
                show(text[told:])
                told = len(text)
    finally:
        printer.stop()


def _reach(printer: EmulatedPrinter, where: Where) -> str:
    if where.tcp_port is None:
        path = printer.attach_pty(where.link)
        return str(where.link or path)
    return f"socket://{where.host}:{printer.listen(where.host, where.tcp_port)}"


def _obey(printer: EmulatedPrinter, orders: Iterator[str], stop: threading.Event) -> None:
    for line in orders:
        if stop.is_set():
            return
        with printer.lock:
            apply_order(printer.machine, line)
        printer.wake()
