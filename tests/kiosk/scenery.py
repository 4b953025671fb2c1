"""Values of the counter's port for tests of the flow and of the pictures.

Responsible for: one plain example of each value. Not responsible for: a counter. Invariant: every
time is fixed, so pictures are reproducible.
"""

from msgspec.structs import replace

from terminal.outcomes import (
    Delivery,
    Notice,
    Place,
    Redeemed,
    Reversed,
    Status,
    TapeRow,
    View,
)

NOON = 1_721_016_000_000  # 2024-07-15T04:00:00Z, noon in Shanghai
HERE = Place(1, "徐家汇店")
THERE = Place(2, "静安寺店")

VIEW = View(
    handle="h1",
    voucher="0190b4a0-0000-7000-8000-000000000001",
    product=7,
    product_name="双人下午茶套餐",
    shares=5,
    left=5,
    max_now=5,
    generation=0,
    valid_from=NOON - 86_400_000,
    valid_until=1_722_441_600_000,
    outlets=(HERE, THERE),
    evidence="row",
    refusal=None,
)
SINGLE = replace(VIEW, shares=1, left=1, max_now=1)

REDEEMED = Redeemed(
    serial="T0007_1_00000042",
    posid="T0007",
    voucher=VIEW.voucher,
    product=7,
    product_name=VIEW.product_name,
    shares=2,
    left=3,
    successor_code="92100000022",
    mode="online",
    at=NOON,
    head="aa" * 32,
    repeated=False,
)
REVERSED = Reversed(
    serial="T0007_1_00000043",
    reverses=REDEEMED.serial,
    voucher=VIEW.voucher,
    shares=2,
    left=5,
    at=NOON + 60_000,
    repeated=False,
)


def row(number: int, **changes: object) -> TapeRow:
    """One line of the history; `number` is its sequence number."""
    plain = TapeRow(
        serial=f"T0007_1_{number:08d}",
        kind="redeemed",
        at=NOON - (50 - number) * 300_000,
        product_name=("双人下午茶套餐", "Spa 60 min", "单人自助午餐")[number % 3],
        shares=1 + number % 3,
        left=number % 4,
        clerk="chen",
        reversed_by=None,
        reversible=True,
        slip="printed",
        delivery=Delivery.ACKNOWLEDGED,
        verdict=None,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


TAPE = (
    row(42, slip="printing", delivery=Delivery.WAITING),
    row(41, delivery=Delivery.WAITING),
    row(40, kind="reversed", reversible=False, slip="none"),
    row(39, reversed_by="T0007_1_00000040", reversible=False),
    row(38, verdict="over_redeemed", delivery=Delivery.ATTENTION, reversible=False),
    row(37, reversible=False, slip="unknown"),
    row(36, reversible=False),
)

SLIP_NOTICE = Notice("slip_unknown", "T0007_1_00000037", {})
VERDICT_NOTICE = Notice(
    "verdict",
    "T0007_1_00000038",
    {"verdict": "over_redeemed", "excess": 1, "others": ["T0009_1_00000007"]},
)

STATUS = Status(
    posid="T0007",
    outlet=HERE,
    clerk="chen",
    network="online",
    replica_age_s=180,
    unacknowledged=0,
    printer="ready",
    scanner="ready",
    clock="ok",
    offline_left=None,
    locked_until=None,
    notices=(),
)
