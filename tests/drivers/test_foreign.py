"""Programs that we did not write judge our bytes and our emulated printer.

Without them driver and emulator could share one misunderstanding. The Node programs are looked for
in the folder that HEXIAO_NODE_MODULES names (`npm install receiptio npos` makes one); without it
their tests are skipped and say so.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zxingcpp
from PIL import Image

from drivers.emulated.machine import Build
from drivers.emulated.printer import EmulatedPrinter
from drivers.escpos import encode
from drivers.escpos.layout import lay_out
from drivers.escpos.profile import PrinterProfile
from drivers.escpos.slip import Code128, Columns, Cut, Line, Qr, Rule, Slip
from tests.drivers.waiting import until

HERE = Path(__file__).parent
NODE = os.environ.get("HEXIAO_NODE_MODULES", "")
HX1 = (
    "HX1:"
    + "6BF+70790T9WJWG.FKY*4GO0.O1CV2 O5 N2FBBRW1*70HS8WY04AC*WIFN0AHCD8KD97TK0F90KECTHGXJC" * 2
)


def node_tool(name: str) -> str:
    if shutil.which("node") is None or not (Path(NODE) / name).is_dir():
        pytest.skip(f"needs node and HEXIAO_NODE_MODULES with {name}")
    return NODE


def escpos(*arguments: str) -> Any:
    command = [sys.executable, "-m", "tests.drivers.foreign_escpos", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def oracle() -> dict[str, str]:
    answers: dict[str, str] = escpos("oracle")
    return answers


@pytest.fixture
def printer() -> Iterator[tuple[EmulatedPrinter, int]]:
    made = EmulatedPrinter(Build(columns=48, dots=576))
    yield made, made.listen("127.0.0.1", 0)
    made.stop()


def codes_on(picture: Path) -> dict[str, str]:
    found = zxingcpp.read_barcodes(Image.open(picture))
    return {code.text: str(code.format).rpartition(".")[2] for code in found}


def test_our_native_qr_is_theirs(oracle: dict[str, str]) -> None:
    """The bytes of GS ( k equal python-escpos's for every payload and size."""
    pairs = [(name.split(" ", 2), value) for name, value in oracle.items() if name[:2] == "qr"]
    assert len(pairs) == 12
    for (_, size, payload), theirs in pairs:
        assert encode.qr(payload.encode(), int(size)).hex() == theirs


@pytest.mark.parametrize("text", ["VCH2024000123", "12345678901", "123456"])
def test_our_code128_is_theirs(oracle: dict[str, str], text: str) -> None:
    """The same symbol bytes, but for GS f 0 which only chooses a font for a caption we print."""
    data = encode.code128_data(text)
    ours = encode.code128(data, module=2, height=72)
    theirs = bytes.fromhex(oracle[f"code128 {data.decode()}"])
    assert ours == theirs.replace(b"\x1df\x00", b"")


def test_our_hanzi_are_theirs(oracle: dict[str, str]) -> None:
    """The same GB bytes for the same text."""
    blocks = lay_out(Slip((Line("优惠券 voucher"),)), PrinterProfile())
    assert bytes.fromhex(oracle["text"]) in blocks[0].data


@pytest.mark.parametrize(
    ("levers", "paper", "online"),
    [
        ({}, 2, True),
        ({"near_end": True}, 1, True),
        ({"paper_out": True}, 0, False),
        ({"cover_open": True}, 2, False),
    ],
)
def test_python_escpos_reads_our_printer_rightly(
    printer: tuple[EmulatedPrinter, int],
    levers: dict[str, bool],
    paper: int,
    online: bool,
    tmp_path: Path,
) -> None:
    """Its network client sees the paper and the cover, and what it prints is on our paper."""
    device, port = printer
    device.pull(**levers)
    seen = escpos("client", str(port))
    assert (seen["paper"], seen["online"], seen["after"]) == (paper, online, paper)
    if not online:
        return
    assert "优惠券 voucher" in device.paper_text()
    device.save_png(tmp_path / "paper.png")
    found = codes_on(tmp_path / "paper.png")
    assert {"12345678901", "https://example.test/RASTER"} <= set(found)
    assert device.machine.interpreter.unknown == 0


@pytest.mark.parametrize(("columns", "dots"), [(32, 384), (48, 576)])
@pytest.mark.parametrize("way", ["native", "raster"])
@pytest.mark.parametrize("payload", ["12345678901", HX1[:200], "VCH2024000123"])
def test_zxing_reads_every_code_on_our_paper(
    columns: int, dots: int, way: str, payload: str, tmp_path: Path
) -> None:
    """QR and Code 128, native and raster, at 58 and 80 mm."""
    profile = PrinterProfile(columns=columns, dots=dots, qr=way, code128=way, window=4096)
    device = EmulatedPrinter(Build(columns=columns, dots=dots))
    qr_only = len(payload) > 20
    slip = Slip((Line("核销 Redeemed"), Qr(payload), *([] if qr_only else [Code128(payload)])))
    with device.lock:  # its own thread lets time pass too
        for block in lay_out(slip, profile):
            device.machine.receive(block.data, 0)
        device.machine.advance(10)
    device.save_png(tmp_path / "paper.png")
    device.stop()
    found = zxingcpp.read_barcodes(Image.open(tmp_path / "paper.png"))
    formats = sorted(str(code.format).rpartition(".")[2] for code in found if code.text == payload)
    assert len(formats) == (1 if qr_only else 2), formats


@pytest.mark.parametrize(
    ("levers", "word"),
    [({}, "online"), ({"paper_out": True}, "paperempty"), ({"cover_open": True}, "coveropen")],
)
def test_receiptio_reads_our_printer_rightly(levers: dict[str, bool], word: str) -> None:
    """A Node receipt tool asks for the status on TCP port 9100, its only port."""
    tools = node_tool("receiptio")
    device = on_port_9100()
    device.pull(**levers)
    assert receiptio(tools, "-q") == word
    device.stop()


def on_port_9100() -> EmulatedPrinter:
    device = EmulatedPrinter(Build(columns=48, dots=576))
    try:
        device.listen("127.0.0.1", 9100)
    except OSError:
        device.stop()
        pytest.skip("port 9100 is taken, and receiptio knows no other")
    return device


def receiptio(tools: str, *arguments: str) -> str:
    command = ["node", f"{tools}/receiptio/bin/cli.js", "-d", "127.0.0.1", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.stderr.strip()  # its result goes there


def test_receiptio_prints_on_our_printer(tmp_path: Path) -> None:
    """It says success when our paper holds the receipt, and paperempty when the paper ended."""
    tools = node_tool("receiptio")
    device = on_port_9100()
    receipt = tmp_path / "receipt.md"
    receipt.write_text("^^^核销成功\n\n份数 2\n{code:12345678901;option:qrcode,5,m}\n=\n")
    assert receiptio(tools, "-l", "zh-hans", str(receipt)) == "success"
    until(lambda: device.machine.paper.cuts() >= 1)
    assert "核销成功" in device.paper_text() and "份数 2" in device.paper_text()
    device.save_png(tmp_path / "paper.png")
    assert "12345678901" in codes_on(tmp_path / "paper.png")
    device.pull(paper_lines=1)
    assert receiptio(tools, "-l", "zh-hans", str(receipt)) == "paperempty"
    device.stop()


def test_npos_reads_our_bytes(tmp_path: Path) -> None:
    """A parser that we did not write finds our text, images, barcode and cut, and no error."""
    tools = node_tool("npos")
    profile = PrinterProfile(cut="partial", qr="raster")
    slip = Slip(
        (
            Line("核销成功 Redeemed", align="center", size="tall", bold=True),
            Rule(),
            Columns("份数 Shares", "2"),
            Qr("12345678901", caption="123 4567 8901"),
            Code128("12345678901"),
            Cut(),
        )
    )
    (tmp_path / "slip.bin").write_bytes(b"".join(block.data for block in lay_out(slip, profile)))
    command = ["node", str(HERE / "foreign_npos.js"), tools, str(tmp_path / "slip.bin")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    read = json.loads(done.stdout)
    text = "".join(bytes.fromhex(piece).decode("gb18030") for piece in read["text"])
    assert read["error"] is None
    assert "核销成功 Redeemed\n" in text and "123 4567 8901\n" in text
    assert {"ESC @", "FS &", "GS k", "GS V", "GS v0"} <= set(read["commands"])
    assert sum(height for _, height in read["images"]) == (21 + 8) * profile.qr_module
