"""A slip that shows what a printer can do, for installers and slip designers.

Responsible for: one of everything that slips are made of, and a code that shows whether a scanner
passes every character on. Not responsible for: printing it. Invariant: it looks like no voucher.
"""

from typing import Final

from drivers.escpos.profile import PrinterProfile
from drivers.escpos.slip import Block, Code128, Columns, Cut, Feed, Line, Qr, Rule, Slip
from terminal.slips import SlipStyle

TEST_TEXT: Final = "HX1:0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
"""Every character that a signed QR can hold; `hexiao scan-test` knows it."""

_RULER: Final = "1234567890"


def compose(style: SlipStyle, profile: PrinterProfile) -> Slip:
    """The slip, with the shop's own header and footer."""
    blocks: list[Block] = [
        *(Line(text, align="center") for text in style.header),
        Line("测试 TEST", align="center", size="big", bold=True),
        Line(f"hexiao · {profile.name}", align="center"),
        Rule(),
        Line((_RULER * 10)[: profile.columns]),
        Columns("商品 Product", "示例 Sample"),
        Columns("剩余份数 Left", "2", bold=True),
        Line("右 right", align="right"),
        Line("加粗 bold", bold=True),
        Line("下划线 underline", underline=True),
        Line("宽 wide", size="wide"),
        Line("高 tall", size="tall"),
        Line("大 big", size="big"),
        Line("￥ € ① № 、。「」"),
        Line("生僻字 rare: 䶮 㙓 𠮷 龘"),
        Rule(),
        Qr(TEST_TEXT, "scan-test"),
        Code128("HEXIAO-128"),
        *(Line(text, align="center") for text in style.footer),
        Feed(1),
        Cut(),
    ]
    return Slip(tuple(blocks))
