"""Device profiles: every shipped file is read, and a wrong one is told what is wrong."""

from pathlib import Path

import pytest

from drivers.errors import Misconfigured
from drivers.escpos.profile import PrinterProfile, read_printer_profile
from drivers.scanner.commands import FAMILIES
from drivers.scanner.profile import ScannerProfile, read_scanner_profile

FOLDER = Path(__file__).parents[2] / "config" / "devices"
SHIPPED = sorted(FOLDER.glob("*.toml"))
DOCS = Path(__file__).parents[2] / "docs" / "devices.md"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_profiles(path: Path) -> None:
    """Each file holds a printer, a scanner or both, and is described in docs/devices.md."""
    text = path.read_text()
    assert "[printer]" in text or "[scanner]" in text
    if "[printer]" in text:
        printer = read_printer_profile(text)
        assert printer.name == path.stem and printer.line().baud == printer.baud
    if "[scanner]" in text:
        scanner = read_scanner_profile(text)
        assert scanner.name == path.stem and scanner.commands in FAMILIES
        assert scanner.terminator_bytes() and scanner.line().baud == scanner.baud
    assert f"`{path.stem}`" in DOCS.read_text()


@pytest.mark.parametrize(
    "text",
    [
        "[printer",
        "[scanner]",
        "printer = 3",
        '[printer]\ncolour = "red"',
        '[printer]\ncolumns = "32"',
        "[printer]\nrealtime_lock = 1",
        "[printer]\ncolumns = true",
        '[printer]\ncharset = "big5"',
        '[printer]\nstatus = ["telepathy"]',
        "[printer]\ncolumns = 8",
        "[printer]\ndots = 100",
        "[printer]\nwindow = 10",
        "[printer]\nbaud = 110",
        "[printer]\nstatus = 3",
    ],
)
def test_wrong_printer_profiles(text: str) -> None:
    """Misconfigured, with the setting named."""
    with pytest.raises(Misconfigured):
        read_printer_profile(text)


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "[printer]",
        "scanner = 3",
        '[scanner]\ncolour = "red"',
        '[scanner]\nbaud = "9600"',
        "[scanner]\naim = 1",
        '[scanner]\nterminators = ["bell"]',
        '[scanner]\nterminators = "cr"',
    ],
)
def test_wrong_scanner_profiles(text: str) -> None:
    """Misconfigured, with the setting named."""
    with pytest.raises(Misconfigured):
        read_scanner_profile(text)


def test_defaults() -> None:
    """An empty table is the default profile."""
    assert read_printer_profile("[printer]") == PrinterProfile()
    assert read_scanner_profile("[scanner]") == ScannerProfile()
