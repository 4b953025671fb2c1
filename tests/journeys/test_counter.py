"""The whole way of a voucher: a scan on a pty, the kiosk, a slip on a pty, central over HTTP."""

from __future__ import annotations

import re
from pathlib import Path

import zxingcpp
from PIL import Image

from drivers.emulated.printer import EmulatedPrinter
from tests.drivers.waiting import until
from tests.journeys.world import PATIENCE_S, Done, Till, Voucher, World
from tests.kiosk.terminal_window import Window
from tests.kiosk.test_window import pace

HAND_S = 0.08
"""Slower than a scanner types: the gate tells hands from scanners by their speed."""

ARMED_S = 0.4
"""The confirm key does nothing for a moment after the question came up."""


def kiosk(till: Till) -> Window:
    """The real kiosk in a real terminal window."""
    return Window(["-m", "hexiao", "kiosk", "--config", str(till.config)])


def by_hand(window: Window, keys: str) -> None:
    """Keys at the speed of a person."""
    for key in keys:
        window.type(key)
        pace(window, HAND_S)


def confirm(window: Window, count: int, of: int) -> None:
    """Type how many and confirm."""
    window.until(f"of {of}?")
    by_hand(window, str(count))
    pace(window, ARMED_S)
    window.type("+")


def finished(printer: EmulatedPrinter, slips: int) -> str:
    """The paper once that many slips were cut."""
    until(lambda: printer.machine.paper.cuts() >= slips, PATIENCE_S)
    return printer.paper_text()


def successor_on(paper: str) -> str:
    """The code in the QR of the last slip."""
    return re.findall(r"\[qr (\d+)\]", paper)[-1]


def test_scan_to_slip_to_booking(world: World, till: Till, tmp_path: Path) -> None:
    """EV-047, EV-049: two of five by scanner and keys; slip, successor and central agree, once."""
    world.start()
    voucher = world.issue(5)
    till.settings(**till.wired)
    printer, scanner = till.printer(), till.scanner()
    with kiosk(till) as window:
        window.until("Scan a voucher")
        until(lambda: till.ask("sync")["behind"] == 0)
        scanner.scan(voucher.code)
        window.until("Backspace")
        by_hand(window, voucher.last4)
        confirm(window, 2, of=5)
        window.until("REDEEMED")
        paper = finished(printer, 1)
        until(lambda: len(world.booked()) == 1, PATIENCE_S)
        scanner.scan(successor_on(paper))
        window.until("Backspace")
        by_hand(window, voucher.last4)
        window.until("of 3?")
        window.type("-").until("Scan a voucher")
        scanner.scan(voucher.code)
        window.until("Backspace")
        by_hand(window, voucher.last4)
        window.until("Old code")
    (booked,) = world.booked()
    (entry,) = till.entries()
    assert (booked["serial"], booked["shares"]) == (entry["serial"], 2)
    assert (booked["verdict"], booked["voucher"]) == ("accepted", voucher.voucher)
    slip_says(paper, entry["data"], entry["hash"], voucher)
    assert scanned_from(printer, tmp_path) == {successor_on(paper)}


def slip_says(paper: str, data: dict[str, object], head: str, voucher: Voucher) -> None:
    """Serial, shares, what is left, the successor in digits and QR; never the last four."""
    successor = successor_on(paper)
    digits = f"{successor[:3]} {successor[3:7]} {successor[7:]}"
    assert str(data["serial"]) in paper and head[:16] in paper and digits in paper
    assert successor != voucher.code
    assert not re.search(rf"(?<!\d){voucher.code}(?!\d)", paper.replace(" ", ""))
    rest = paper
    for said in (str(data["serial"]), head[:16], digits, successor):
        rest = rest.replace(said, "")
    assert voucher.last4 not in rest


def scanned_from(printer: EmulatedPrinter, folder: Path) -> set[str]:
    """What a reader that we did not write finds on the picture of the paper."""
    printer.save_png(folder / "slip.png")
    with Image.open(folder / "slip.png") as picture:
        return {found.text for found in zxingcpp.read_barcodes(picture)}


def test_central_is_away_in_between(world: World, till: Till) -> None:
    """The same with no central from before the scan until after the slip; it books once."""
    world.start()
    voucher = world.issue(5)
    till.ask("sync")
    world.stop()
    till.settings(**till.wired)
    printer, scanner = till.printer(), till.scanner()
    with kiosk(till) as window:
        window.until("Scan a voucher")
        scanner.scan(voucher.code)
        window.until("Backspace")
        by_hand(window, voucher.last4)
        confirm(window, 2, of=5)
        window.until("REDEEMED")
        window.until("offline")
        first = finished(printer, 1)
        scanner.scan(successor_on(first))
        window.until("Backspace")
        by_hand(window, voucher.last4)
        confirm(window, 3, of=3)
        window.until("Nothing is left")
        paper = finished(printer, 2)
        assert world.booked() == []
        world.start()
        until(lambda: len(world.booked()) == 2, PATIENCE_S)
    assert "离线" in first and len(re.findall(r"\[qr ", paper)) == 1
    booked = world.booked()
    assert [row["serial"] for row in booked] == [row["serial"] for row in till.entries()]
    assert [row["shares"] for row in booked] == [2, 3]
    assert {(row["verdict"], row["mode"]) for row in booked} == {("accepted", "lone")}


def test_successor_redeems_elsewhere_after_sync(world: World, till: Till) -> None:
    """EV-049: two at the first till, the other three on the successor at a till of another shop."""
    world.start()
    voucher = world.issue(5)
    other = world.tills["T3"]
    till.ask("sync")
    first = till.redeem(voucher.code, voucher.last4, 2)
    till.ask("sync")
    other.ask("sync")
    assert other.refused("redeem", voucher.code, voucher.last4) == "replaced"
    second = other.redeem(first["successor_code"], voucher.last4, 3)
    assert (first["left"], second["left"], second["successor_code"]) == (3, 0, None)
    other.ask("sync")
    till.ask("sync")
    assert till.refused("redeem", first["successor_code"], voucher.last4) == "used_up"
    assert {(row["posid"], row["shares"], row["verdict"]) for row in world.booked()} == {
        ("T1", 2, "accepted"),
        ("T3", 3, "accepted"),
    }


def test_holder_prints_for_commands(world: World, till: Till) -> None:
    """A command goes through the holder, whose printer prints; the credential comes on stdin."""
    world.start()
    voucher = world.issue(3)
    till.settings(**till.wired)
    printer = till.printer()
    with till.running():
        assert till.ask("sync")["ok"]
        asked = ("redeem", "-", "-", "--shares", "2", "--clerk", "li", "--json")
        done: Done = till.run(*asked, stdin=f"{voucher.code}\n{voucher.last4}\n")
        assert done.status == 0, done
        paper = finished(printer, 1)
    assert done.row["serial"] in paper and "li" in paper
    assert successor_on(paper) == done.row["successor_code"]


def test_qr_of_the_message_redeems(world: World, till: Till) -> None:
    """A signed QR that no replica has heard of redeems once, with central away (decision 12)."""
    world.start()
    till.ask("sync")
    voucher = world.issue(2)
    world.stop()
    assert till.refused("lookup", voucher.code, voucher.last4) == "unknown_or_wrong"
    done = till.redeem(voucher.qr, voucher.last4)
    assert (done["left"], done["successor_code"]) == (1, None)
    world.start()
    assert till.ask("sync")["behind"] == 0
    (booked,) = world.booked()
    assert (booked["credential"], booked["verdict"]) == ("qr", "accepted")
