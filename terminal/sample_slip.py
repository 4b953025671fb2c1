"""Slips that show what a printer can do, and what templates look like, to installers.

Responsible for: one of everything that slips are made of, a code that shows whether a scanner
passes every character on, and sample values for templates. Not responsible for: printing it.
Invariant: it looks like no voucher.
"""

from typing import Final

import msgspec

from drivers.escpos.profile import PrinterProfile
from drivers.escpos.slip import Block, Code128, Columns, Cut, Feed, Line, Qr, Rule, Slip
from terminal import slips
from terminal.slip_facts import SlipFacts
from terminal.slips import SlipStyle

TEST_TEXT: Final = "HX1:0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
"""Every character that a signed QR can hold; `hexiao scan-test` knows it."""

_RULER: Final = "1234567890"

_NO_CODE: Final = "00000000000"
"""Where a template shows the new code; no voucher has it."""

_FACTS: Final = SlipFacts(
    kind="redeemed",
    serial="SAMPLE_1_00000002",
    posid="SAMPLE",
    outlet_name="示例门店 Sample outlet",
    merchant_name="示例商户 Sample merchant",
    clerk="sample",
    product_name="示例商品 Sample product",
    shares=2,
    left=3,
    at=1_767_240_000_000,
    valid_until=1_798_732_800_000,
    mode="online",
    head="0" * 64,
    time_zone="Asia/Shanghai",
    slip_text="商品说明 The product's text",
    successor=True,
)


def compose(style: SlipStyle, profile: PrinterProfile) -> Slip:
    """The slip, with the shop's own logo, header and footer."""
    blocks: list[Block] = [
        *([] if style.logo is None else [style.logo]),
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


def redeemed(style: SlipStyle) -> Slip:
    """A redemption in part, with sample values."""
    return slips.compose(_FACTS, _NO_CODE, 1, style)


def of_templates(style: SlipStyle) -> Slip:
    """Both slips with sample values, one after the other: a redemption in part, and its undoing."""
    undone = msgspec.structs.replace(
        _FACTS, kind="reversed", serial="SAMPLE_1_00000003", reverses=_FACTS.serial
    )
    return Slip((*redeemed(style).blocks, *slips.compose(undone, None, 1, style).blocks))
