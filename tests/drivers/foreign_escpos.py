"""Run as a program of its own: what python-escpos makes of things, as one line of JSON.

A process of its own, because importing it sets up the root logger and leaves files behind.
"""

import contextlib
import io
import json
import sys
from typing import Any


def oracle() -> dict[str, str]:
    """The bytes it sends for codes that we send too."""
    from escpos.printer import Dummy

    out: dict[str, str] = {}
    for payload in ("12345678901", "https://example.test/v?c=12345678901", "HX1:ABC%$", "券码"):
        for size in (3, 5, 6):
            dummy = Dummy()
            dummy.qr(payload, native=True, size=size, ec=1)
            out[f"qr {size} {payload}"] = dummy.output.hex()
    for data in ("{BVCH{C\x14\x18\x00\x01\x17", "{B1{C\x17-CY\x01", "{C\x0c\x22\x38"):
        dummy = Dummy()
        dummy.barcode(data, "CODE128", height=72, width=2, pos="OFF", align_ct=False, check=False)
        out[f"code128 {data}"] = dummy.output.hex()
    dummy = Dummy()
    dummy.text("优惠券 voucher\n")
    out["text"] = dummy.output.hex()
    return out


def client(port: int) -> dict[str, Any]:
    """What its network client reads from a printer, after printing with it."""
    from escpos.printer import Network

    printer = Network("127.0.0.1", port=port, timeout=2)
    printer.open()
    status = {"paper": printer.paper_status(), "online": printer.is_online()}
    printer.text("优惠券 voucher\n")
    printer.qr("12345678901", native=True, size=5)
    printer.qr("https://example.test/RASTER", native=False, size=5)
    printer.barcode("{B1{C\x17-CY\x01", "CODE128", height=72, width=3, align_ct=False, check=False)
    printer.cut()
    status["after"] = printer.paper_status()
    printer.close()
    return status


if __name__ == "__main__":
    with contextlib.redirect_stdout(io.StringIO()):
        answer: dict[str, Any] = oracle() if sys.argv[1] == "oracle" else client(int(sys.argv[2]))
    print(json.dumps(answer))
