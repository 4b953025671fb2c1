"""An emulated printer that a host can really connect to.

Responsible for: `Machine` behind a pty, `emulated://` or TCP; its levers; the file that always
shows the paper. Not responsible for: ESC/POS (`interpreter`), time and faults (`machine`).

    printer = EmulatedPrinter(Build(columns=48, dots=576), paper=Path("slip.txt"))
    path = printer.attach_pty()          # or printer.listen("127.0.0.1", 9100), or emulated://
    printer.pull(paper_out=True)         # any field of machine.Levers
    print(printer.paper_text()); printer.save_png(Path("slip.png"))
"""

import contextlib
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

from drivers.emulated.machine import ALL_ANSWERS, Build, Levers, Machine
from drivers.emulated.orders import apply_order
from drivers.emulated.picture import draw
from drivers.emulated.station import Station, now_ms

HEARD_BYTES_MAX = 1 << 20
_LEVER_NAMES = {field.name for field in fields(Levers)}


class _PrinterDevice:
    """A machine as a station's device, and the files that show its paper."""

    def __init__(self, machine: Machine, paper: Path | None, png: Path | None) -> None:
        self.machine = machine
        self._paper, self._png = paper, png
        self._shown_lines, self._drawn_rows = 0, -1
        if paper is not None:
            paper.write_bytes(b"")

    def room(self) -> int:
        """See `station.Device`."""
        return self.machine.room()

    def receive(self, data: bytes, now_ms: float) -> None:
        """See `station.Device`."""
        heard = self.machine.count.heard
        heard += data
        del heard[:-HEARD_BYTES_MAX]
        self.machine.receive(data, now_ms)

    def advance(self, now_ms: float) -> bytes:
        """See `station.Device`."""
        self.machine.advance(now_ms)
        return self.machine.answers(now_ms)

    def next_ms(self) -> float | None:
        """See `station.Device`."""
        return self.machine.next_ms()

    def order(self, line: str) -> None:
        """A lever by name, as in `paper out`, `paper loaded`, `cover open`, `power off`, `hot`."""
        apply_order(self.machine, line, now_ms)

    def settled(self) -> None:
        """Write the files if the paper grew."""
        rows = len(self.machine.paper.rows)
        if self._paper is not None:
            lines = self.machine.paper.lines()
            _append(self._paper, lines[self._shown_lines :])
            self._shown_lines = len(lines)
        idle = self.machine.next_ms() is None
        if self._png is not None and idle and rows not in (0, self._drawn_rows):
            self._drawn_rows = rows
            draw(self.machine.paper).save(self._png)


class EmulatedPrinter(Station):
    """A printer on the bench. Everything is thread-safe."""

    device: _PrinterDevice

    def __init__(
        self, build: Build | None = None, *, paper: Path | None = None, png: Path | None = None
    ) -> None:
        self.machine = Machine(build)
        super().__init__(_PrinterDevice(self.machine, paper, png))

    @classmethod
    def from_options(cls, options: Mapping[str, str]) -> "EmulatedPrinter":
        """From the options of an `emulated://printer?...` URL. Raises ValueError."""
        build = build_from(options)
        paper, png = (Path(options[name]) if name in options else None for name in ("paper", "png"))
        printer = cls(build, paper=paper, png=png)
        if "control" in options:
            printer.take_orders(Path(options["control"]))
        return printer

    def pull(self, **levers: object) -> None:
        """Set levers by name; the printer reacts at once."""
        assert set(levers) <= _LEVER_NAMES, f"no lever {set(levers) - _LEVER_NAMES}"
        with self.lock:
            self.machine.levers = replace(self.machine.levers, **levers)  # type: ignore[arg-type]
        self.wake()

    def load_paper(self) -> None:
        """A person put in a new roll."""
        with self.lock:
            self.machine.load_paper()
        self.wake()

    def power_off(self) -> None:
        """The power fails; the port stays, as with a serial cable."""
        with self.lock:
            self.machine.power_off()
        self.wake()

    def power_on(self) -> None:
        """The power is back."""
        with self.lock:
            self.machine.power_on(now_ms())
        self.wake()

    def clear_to_send(self) -> bool:
        """The wire that lets the host send."""
        with self.lock:
            return self.machine.clear_to_send

    def paper_text(self) -> str:
        """What is on the paper."""
        with self.lock:
            self.machine.advance(now_ms())
            return self.machine.paper.text()

    def save_png(self, path: Path) -> None:
        """What is on the paper, dot by dot."""
        with self.lock:
            image = draw(self.machine.paper)
        image.save(path)


def build_from(options: Mapping[str, str]) -> Build:
    """The build that text options describe. Raises ValueError for a number that is none."""
    columns = int(options.get("columns", "32"))
    replies = options.get("replies")
    return Build(
        columns=columns,
        dots=int(options.get("dots", columns * 12)),
        charset=options.get("charset", "gb18030-2byte"),
        buffer_bytes=int(options.get("buffer", "4096")),
        baud=int(options.get("baud", "0")),
        line_ms=int(options.get("line_ms", "0")),
        answers=ALL_ANSWERS if replies is None else frozenset(filter(None, replies.split(","))),
        xonxoff=options.get("flow", "") == "xonxoff",
        rtscts=options.get("flow", "") == "rtscts",
        busy_offline=bool(options.get("busy_offline")),
        restart_ms=int(options.get("restart_ms", "0")),
    )


def _append(path: Path, lines: list[str]) -> None:
    """Whole lines in one write, so that a reader never sees half a line."""
    if lines:
        with contextlib.suppress(OSError), path.open("ab", buffering=0) as file:
            file.write("".join(lines).encode())
