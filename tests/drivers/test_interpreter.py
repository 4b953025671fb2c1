"""The emulated printer's understanding, from the manuals: commands that our encoder never sends."""

import pytest
import serial

from drivers.emulated import register
from drivers.emulated.code128 import decode_set_data, modules
from drivers.emulated.machine import Build, Levers, Machine
from drivers.emulated.orders import ORDERS, SWITCHES, apply_order
from drivers.emulated.paper import CodeRow, DotsRow, TextRow
from drivers.emulated.picture import draw
from drivers.emulated.printer import EmulatedPrinter
from drivers.emulated.scanner import EmulatedScanner


def printed(data: bytes, **build: object) -> Machine:
    machine = Machine(Build(**build))  # type: ignore[arg-type]
    machine.receive(data, 0)
    machine.advance(1)
    return machine


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"plain\n", "plain\n"),
        (b"\xd3\xc5\n", "优\n"),
        (b"\x1c.\x81\n", "ü\n"),
        (b"\x1c.\x81\x1c&\xd3\xc5\n", "ü优\n"),
        (b"\x81\x20\n", "□\n"),
        (b"x" * 40 + b"\n", "x" * 32 + "\n" + "x" * 8 + "\n"),
        (b"\x1ba\x01ab\n\x1ba2c\n", " " * 15 + "ab\n" + " " * 31 + "c\n"),
        (b"a\x1bd\x02b\n", "a\n\nb\n"),
        (b"a\x1bJ\x10b\n\x1bJ\x00", "a\nb\n"),
        (b"\x1b$\x3c\x00b\n", "     b\n"),
        (b"a\x1b\\\x18\x00b\n", "a  b\n"),
        (b"a\x1b!\x38\x1bM\x00\x1bG\x01b\n", "ab\n"),
        (b"\x1b2\x1b3\x20\x1b \x00a\x1b{\x00\n", "a\n"),
        (b"\x1dL\x00\x00\x1dW\x80\x01\x1dB\x00a\n", "a\n"),
        (b"\x1dV\x00", "- - - - - - 8< - - - - - -\n"),
        (b"\x1dVA\x03", "- - - - - - 8< - - - - - -\n"),
        (b"\x1bD\x08\x10\x00D\n", "D\n"),
        (b"\x00\x07a\x0d\n", "a\n"),
        (b"\x10\x14\x01\x00\x01a\n", "a\n"),
        (b"\x10\x01a\n", "a\n"),
        (b"\x1dk\x04ABC\x00", ""),
        (b"\x1dk\x49\x05{BABC\x1dH\x02\x1dk\x49\x05{BABC", "[code128 ABC]\n[code128 ABC]\nABC\n"),
        (b"\x1d(k\x03\x001Q0", ""),
        (b"\x1d(A\x02\x00\x00\x00a\n", "a\n"),
        (b"\x1c(A\x02\x000\x00a\n", "a\n"),
        (b"\x1dv0\x00\x00\x00\x00\x00a\n", "a\n"),
        (b"\x1bp\x00\x10\x10a\n", "a\n"),
    ],
)
def test_what_is_on_paper(data: bytes, text: str) -> None:
    """Text, positions, code pages, wrapping, codes."""
    assert printed(data).paper.text() == text


def test_four_byte_codes() -> None:
    """With the full charset four bytes are one character; with two-byte fonts they are junk."""
    data = "¥".encode("gb18030") + b"\n"
    assert printed(data, charset="gb18030").paper.text() == "¥\n"
    assert printed(data).paper.text() != "¥\n"


def test_looks() -> None:
    """Size, bold and underline are on the paper; FS ! and FS - too."""
    machine = printed(b"\x1d!\x11\x1bE\x01\x1b-\x01A\x1c-\x00\x1c!\x04B\n")
    (row,) = machine.paper.rows
    assert isinstance(row, TextRow)
    first, second = row.cells
    assert (first.wider, first.taller, first.bold, first.underline) == (2, 2, True, True)
    assert not second.underline


@pytest.mark.parametrize("data", [b"\x1b\x01", b"\x1c\x01", b"\x1d\x01", b"\x1d(X\x01\x00\x00"])
def test_unknown_commands_are_counted(data: bytes) -> None:
    """They print nothing."""
    machine = printed(data)
    assert machine.interpreter.unknown == 1 and machine.paper.text() == ""


def test_half_an_image_swallows_what_follows() -> None:
    """As a real printer: a command cut off in the middle takes the next text for dots."""
    machine = printed(b"\x1dv0\x00\x01\x00\x08\x00\xff\xff" + b"hello\n")
    assert [type(row) for row in machine.paper.rows] == [DotsRow]


def test_code128_data() -> None:
    """Sets A, B and C; an escaped brace; bars only with a start."""
    assert decode_set_data(b"{BA{{b{C\x0c\x22{A\x41") == b"A{b1234A"
    assert decode_set_data(b"{Bx{") == b"x{"
    assert modules(b"{B1")[:11] == "11010010000" and modules(b"{A\x01A").startswith("11010000100")
    assert modules(b"{B{{") and modules(b"") == "" and modules(b"x") == "" and modules(b"{X1") == ""


def test_a_barcode_without_a_set_is_a_blank(tmp_path: object) -> None:
    """The picture does not break."""
    machine = printed(b"\x1dk\x49\x03123\x1d!\x11\x1bE\x01\x1b-\x02big\n\x1bJ\x20\x1dV\x00")
    assert isinstance(machine.paper.rows[0], CodeRow)
    assert draw(machine.paper).height > 100


def test_real_time_recovery_clears_the_buffer() -> None:
    """DLE ENQ 2 forgets what was not printed; DLE EOT 3 tells the cutter."""
    machine = Machine(Build(line_ms=10))
    machine.levers.cutter_error = True
    machine.receive(b"one\ntwo\n\x10\x04\x03", 0)
    assert machine.answers(0) == b"\x1a"
    machine.receive(b"\x10\x05\x02three\n", 1)
    machine.advance(100)
    assert machine.paper.text() == "three\n"
    machine.receive(b"\x10\x04\x09x\n\x10", 200)
    machine.advance(300)
    assert machine.paper.text().endswith("x\n")


def test_identity_and_xon_xoff() -> None:
    """GS I answers in blocks; a nearly full buffer says XOFF, an emptied one XON."""
    machine = Machine(Build(buffer_bytes=16, line_ms=5, xonxoff=True))
    machine.receive(b"\x1dIC", 0)
    assert machine.answers(0) == b"\x5fEMULATED\x00"
    machine.levers.cover_open = True
    machine.receive(b"a\n" * 7, 1)
    assert machine.answers(1) == b"\x13" and machine.room() == 0
    machine.levers.cover_open = False
    machine.advance(200)
    assert machine.answers(200) == b"\x11" and machine.room() > 0
    machine.power_off()
    assert machine.room() > 0 and machine.next_ms() is None
    machine.receive(b"lost", 201)
    machine.power_on(300)
    machine.power_on(301)
    assert machine.count.power_cycles == 1


def now() -> float:
    return 0.0


@pytest.mark.parametrize("lever", SWITCHES)
def test_a_switch_by_its_words(lever: str) -> None:
    """On and off again."""
    machine, words = Machine(), lever.replace("_", " ")
    assert apply_order(machine, words.upper() + "\n", now)
    assert getattr(machine.levers, lever) is True
    assert apply_order(machine, "not " + words, now)
    assert getattr(machine.levers, lever) is False


@pytest.mark.parametrize(
    ("order", "name", "value"),
    [
        ("paper ends 5", "paper_lines", 5),
        ("late 900", "late_ms", 900),
        ("drop 3", "drop_next", 3),
        ("noise fe01", "noise", b"\xfe\x01"),
        ("noise 12", "noise", b"\x12"),
        ("power off after 40", "power_off_at", 43),
        ("power back after 50", "power_back_ms", 50),
    ],
)
def test_a_lever_with_a_number(order: str, name: str, value: object) -> None:
    """Each has its unit; the power fails after so many more bytes. `ok` ends all of them."""
    machine = Machine()
    machine.receive(b"abc", 0)
    assert apply_order(machine, order, now)
    assert getattr(machine.levers, name) == value
    assert apply_order(machine, "ok", now) and machine.levers == Levers()


def test_paper_cover_and_power_have_words_of_their_own() -> None:
    """What a person does at the printer."""
    machine = Machine()
    for order in ("paper out", "cover open", "paper loaded", "cover closed"):
        assert apply_order(machine, order, now)
    assert machine.levers == Levers()
    assert apply_order(machine, "power off", now) and not machine.powered
    assert apply_order(machine, "power on", now) and machine.powered
    assert apply_order(machine, "power off", now) and apply_order(machine, "ok", now)
    assert machine.powered


@pytest.mark.parametrize("order", ["dance", "dance 5", "", "late", "noise", "noise zz", "noise 1"])
def test_words_that_name_nothing_do_nothing(order: str) -> None:
    """And that is said."""
    machine = Machine()
    assert not apply_order(machine, order, now)
    assert machine.levers == Levers() and machine.powered


def test_every_order_that_is_named_is_one() -> None:
    """The list that a person is shown; the plug is the station's."""
    plug = {"unplug", "plug in"}
    assert plug <= set(ORDERS)
    assert all(apply_order(Machine(), order, now) for order in ORDERS if order not in plug)


def test_emulated_ports_are_pyserial_ports() -> None:
    """Any pyserial program can use them: open, write, read, close, unplugged."""
    bench = register()
    port = serial.serial_for_url("emulated://printer?name=plain", timeout=2)
    assert port.write(b"\x1dr\x01\x1dr\x01") == 6
    assert port.read(1) == b"\x00" and port.in_waiting == 1
    port.flush()
    port.reset_input_buffer()
    port.reset_output_buffer()
    port.timeout = 0.01
    assert port.read(1) == b""
    with pytest.raises(serial.SerialException):
        port.open()
    with pytest.raises(serial.SerialException):
        serial.serial_for_url("emulated://printer?name=plain")
    bench.printer("plain").pull(xoff=True)
    port.write_timeout = 0.05
    with pytest.raises(serial.SerialTimeoutException):
        for _ in range(1_000):
            port.write(b"x" * 10_000)
    bench.printer("plain").unplug()
    with pytest.raises(serial.SerialException):
        port.read(1)
    with pytest.raises(serial.SerialException):
        port.write(b"x")
    port.close()
    port.close()
    with pytest.raises(serial.SerialException):
        port.write(b"x")
    with pytest.raises(serial.SerialException):
        serial.serial_for_url("emulated://printer?name=plain")
    bench.printer("plain").replug()
    serial.serial_for_url("emulated://printer?name=plain").close()
    assert bench.printer("plain") is bench.printer("plain", columns="48")
    bench.clear()


def test_levers_and_channels_by_hand(tmp_path: object) -> None:
    """An unknown lever is a bug; a new wire replaces the old one; stopping twice is harmless."""
    device = EmulatedPrinter()
    with pytest.raises(AssertionError):
        device.pull(gravity=False)
    first = device.attach_pty()
    assert device.attach_pty() != first and device.connected
    device.power_off()
    device.power_on()
    device.stop()
    device.stop()
    scanner = EmulatedScanner.from_options({"prefix": "~", "suffix": "\t"})
    assert scanner.device.framed(b"1") == b"~1\t" and scanner.heard() == b""
    scanner.stop()


MARK, ASK = b"\x1d:", b"\x1dr\x01"


def run_macro(times: int, *, wait: int = 0, mode: int = 0) -> bytes:
    return b"\x1d^" + bytes([times, wait, mode])


@pytest.mark.parametrize(
    ("data", "text", "answers"),
    [
        (MARK + b"ab" + MARK + run_macro(2) + b"\n", "ababab\n", 0),  # printed while it is recorded
        (MARK + ASK + MARK + b"\x1b@" + run_macro(3), "", 4),  # ESC @ does not clear it
        (MARK + ASK + run_macro(1) + run_macro(1), "", 1),  # ended and cleared while it is defined
        (MARK + ASK + run_macro(1) + MARK + ASK + MARK + run_macro(1), "", 3),
        (MARK + ASK + MARK + MARK + MARK + run_macro(1), "", 1),  # one behind the other: undefined
        (MARK + ASK + MARK + run_macro(0), "", 1),
        (run_macro(1) + b"x\n", "x\n", 0),  # no macro: ignored
        (MARK + b"a" * 3000 + MARK + b"\x1b@" + run_macro(1), "a" * 32 + "\n", -1),
        (MARK + ASK + MARK + run_macro(1, mode=1), "", 1),  # waits for a button: not emulated
    ],
)
def test_macros_as_the_manuals_have_them(data: bytes, text: str, answers: int) -> None:
    """Recorded and worked through at once; kept by ESC @; ended and cleared by GS ^."""
    machine = printed(data)
    if answers < 0:  # 3,000 printed, 2,048 kept
        assert len(machine.paper.lines()) == 3000 // 32 + 2048 // 32 - 1
        return
    assert machine.paper.text() == text
    assert machine.answers(1) == bytes(answers)


def test_a_macro_is_lost_with_the_power_and_takes_the_time_that_it_is_told() -> None:
    """GS ^ r t m: r times, t tenths of a second for each."""
    machine = printed(MARK + ASK + MARK)
    assert machine.answers(1) == b"\x00"
    machine.receive(run_macro(2, wait=3) + b"x\n", 1)
    assert machine.answers(1) == b"\x00\x00" and machine.paper.text() == ""
    machine.advance(601)
    assert machine.paper.text() == "x\n"
    machine.power_off()
    machine.power_on(700)
    machine.receive(run_macro(1), 700)
    assert machine.answers(2_000) == b""


@pytest.mark.parametrize("wire", [False, True])
def test_a_printer_that_starts_takes_no_bytes(wire: bool) -> None:
    """They are lost, or wait in the host where a wire holds it."""
    machine = Machine(Build(restart_ms=400, rtscts=wire))
    machine.power_off()
    machine.power_on(1_000)
    assert (machine.room() == 0) is wire and machine.clear_to_send is not wire
    assert machine.next_ms() == 1_400
    if not wire:
        machine.receive(b"lost\n", 1_100)
    machine.advance(1_399)
    machine.receive(b"kept\n", 1_400)
    machine.advance(1_401)
    assert machine.paper.text() == "kept\n"
