"""`emulate printer`: an emulated printer for another program, its paper shown as it comes out.

Responsible for: one call that a command line makes: a TCP door or a pty, live paper, a picture, and
orders from a person (`paper out`, `cover open`, `unplug`, `ok`). Not responsible for: arguments,
signals and printing on a terminal: paper goes to the `show` that is handed in, anything else to
`tell`.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from drivers.emulated.machine import Build
from drivers.emulated.orders import apply_order
from drivers.emulated.printer import EmulatedPrinter
from drivers.emulated.station import now_ms

LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class Where:
    """How a host reaches the printer: `tcp_port` (0: any free one), else a pty, named by `link`."""

    tcp_port: int | None = None
    host: str = "127.0.0.1"
    link: Path | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """Who watches. `show` takes the port to use, then paper as it comes.

    `tell` takes a kind and a text: `unknown` for an order that names nothing, `plugged` for the
    port after `plug in`; a pty gets another name then, as ttyUSB0 does.
    """

    show: Callable[[str], None]
    tell: Callable[[str, str], None]
    orders: Iterator[str] | None = None


def emulate_printer(
    build: Build, where: Where, person: Person, *, stop: threading.Event, png: Path | None = None
) -> None:
    """Run until `stop` is set. Raises OSError where the host cannot reach it as asked."""
    printer = EmulatedPrinter(build, png=png)
    try:
        person.show(_reach(printer, where) + "\n")
        hands = _Hands(printer, where, person)
        threading.Thread(target=hands.obey, args=(stop,), daemon=True).start()
        told = 0
        while not stop.wait(LOOK_S):
            text = printer.paper_text()
            if len(text) > told:
                person.show(text[told:])
                told = len(text)
    finally:
        printer.stop()


def _reach(printer: EmulatedPrinter, where: Where) -> str:
    if where.tcp_port is None:
        path = printer.attach_pty(where.link)
        return str(where.link or path)
    return f"socket://{where.host}:{printer.listen(where.host, where.tcp_port)}"


@dataclass(frozen=True, slots=True)
class _Hands:
    printer: EmulatedPrinter
    where: Where
    person: Person

    def obey(self, stop: threading.Event) -> None:
        for line in self.person.orders or ():
            if stop.is_set():
                return
            if line.strip() and not self._done(" ".join(line.lower().split())):
                self.person.tell("unknown", line.strip())
            self.printer.wake()

    def _done(self, order: str) -> bool:
        if order == "unplug":
            self.printer.unplug()
        elif order == "plug in" and self.where.tcp_port is None:
            self.person.tell("plugged", _reach(self.printer, self.where))
        elif order == "plug in":
            self.printer.replug()
        else:
            with self.printer.lock:
                return apply_order(self.printer.machine, order, now_ms)
        return True
