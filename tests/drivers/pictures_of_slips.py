"""Make the pictures of slips in the documentation: `python -m tests.drivers.pictures_of_slips DIR`.

Composed by the terminal's own code, laid out and printed on the emulated printer, so that a picture
shows what the program does. The test beside it checks that each named picture is there.
"""

import sys
from pathlib import Path

from drivers.escpos.preview import preview_png
from drivers.escpos.profile import PrinterProfile
from drivers.escpos.slip import Columns, Cut, Feed, Line, Rule, Slip
from terminal.slip_facts import SlipFacts
from terminal.slips import SlipStyle, compose

NARROW = PrinterProfile(cut="partial", feed_lines=1)
WIDE = PrinterProfile(columns=48, dots=576, cut="partial", feed_lines=1, qr_module=6)
CODE = "12345678901"
ZH, EN = SlipStyle(language="zh"), SlipStyle(language="en")
BOTH = SlipStyle(language="both", footer=("谢谢惠顾 Thank you",))


def facts(**changes: object) -> SlipFacts:
    """A partial redemption of two of five shares; `changes` make it another slip."""
    base: dict[str, object] = {
        "kind": "redeemed",
        "serial": "T1_1_00000042",
        "posid": "T1",
        "outlet_name": "东门店 East Gate",
        "merchant_name": "示范景区 Demo Park",
        "clerk": "王小喆",
        "product_name": "双人咖啡套餐 Coffee for two",
        "shares": 2,
        "left": 3,
        "at": 1_795_314_667_000,
        "valid_until": 1_814_371_200_000,
        "mode": "online",
        "head": "9f2c4e6a8b0d1f239f2c4e6a8b0d1f23",
        "time_zone": "Asia/Shanghai",
        "successor": True,
    }
    return SlipFacts(**(base | changes))  # type: ignore[arg-type]


def slips() -> dict[str, tuple[Slip, PrinterProfile]]:
    """Each picture's name, what is on it, and the paper."""
    reversal = facts(
        kind="reversed", serial="T1_1_00000043", reverses="T1_1_00000042", left=5, successor=False
    )
    training = SlipStyle(language="both", training=True)
    return {
        "slip-partial-zh-58": (compose(facts(), CODE, 1, ZH), NARROW),
        "slip-partial-en-58": (compose(facts(), CODE, 1, EN), NARROW),
        "slip-partial-both-80": (compose(facts(), CODE, 1, BOTH), WIDE),
        "slip-offline-both-58": (compose(facts(mode="lone"), CODE, 1, BOTH), NARROW),
        "slip-reversal-both-58": (compose(reversal, None, 1, BOTH), NARROW),
        "slip-reprint-both-58": (compose(facts(), None, 2, BOTH), NARROW),
        "slip-training-both-80": (compose(facts(), CODE, 1, training), WIDE),
        "slip-shift-both-58": (shift(), NARROW),
    }


def shift() -> Slip:
    """A placeholder: what the slip at the end of a shift is going to look like."""
    return Slip(
        (
            Line("示范景区 Demo Park", align="center", bold=True),
            Line("东门店 East Gate", align="center"),
            Line("交班小结 SHIFT", align="center", size="tall", bold=True),
            Line("样张，不是账目 PLACEHOLDER", align="center"),
            Rule(),
            Columns("核销笔数 Redemptions", "42", bold=True),
            Columns("核销份数 Shares", "67", bold=True),
            Columns("撤销笔数 Reversals", "1"),
            Columns("待上传 Not yet sent", "0"),
            Rule(),
            Columns("班次 Shift", "T1-20261124-1"),
            Columns("操作员 Clerk", "王小喆"),
            Columns("开始 From", "2026-11-24 08:00"),
            Columns("结束 Until", "2026-11-24 16:00"),
            Columns("校验 Check", "9f2c4e6a8b0d1f23"),
            Feed(1),
            Cut(),
        )
    )


def main(folder: Path) -> None:
    """Write every picture."""
    for name, (slip, profile) in slips().items():
        preview_png(slip, profile, folder / f"{name}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
