"""What the customer reads, from the kiosk's scenes to the bytes on a display's line."""

import os
import select
import tty

import pytest
from msgspec.structs import replace

from drivers.display import Display, DisplayProfile
from terminal.kiosk.customer import customer_lines
from terminal.kiosk.states import (
    Asking,
    Committing,
    Done,
    Help,
    Last4,
    Looking,
    Ready,
    RedeemOrder,
    Refused,
    Undone,
)
from terminal.outcomes import Redeemed, Reversed, View
from terminal.words import Language
from vouchers.reasons import Reason, Refusal

VIEW = View("h", "v", 1, "拿铁 Latte", 5, 4, 4, 0, 0, 1, (), "row", None)
DONE = Redeemed("T1_1_00000001", "T1", "v", 1, "拿铁", 2, 2, "12345678901", "lone", 0, "h", False)

SCENES = [
    (Ready(), ("Welcome", "")),
    (Last4(1, "42521177943"), ("Last 4 digits of", "your mobile, please")),
    (Looking(1, "42521177943", 0), ("One moment, please", "")),
    (Asking(VIEW, "2", 0), ("Latte", "Redeem 2 of 4?")),
    (Asking(replace(VIEW, product_name="拿铁"), "", 0), ("Your voucher", "Redeem 1 of 4?")),
    (Committing(RedeemOrder("r", "h", 2), 1, "Latte", 0), ("One moment, please", "")),
    (Done(DONE, 0), ("Redeemed: 2", "Left: 2")),
    (Undone(Reversed("a", "b", "v", 2, 4, 0, False), "Latte"), ("Undone: 2", "")),
    (Refused(Refusal(Reason.EXPIRED)), ("Not accepted", "Expired")),
]


@pytest.mark.parametrize(("scene", "lines"), SCENES)
def test_every_scene_of_a_customer_has_two_short_lines(
    scene: object, lines: tuple[str, str]
) -> None:
    """A display of 2 x 20 shows what happens, and never a code or a digit that was typed."""
    found = customer_lines(scene, Language.EN)  # type: ignore[arg-type]
    assert found == lines
    assert all(len(line) <= 20 and line.isascii() for line in lines)


def test_a_chinese_panel_shows_the_whole_name() -> None:
    """Where the panel has the characters, the product's name stands as it is."""
    assert customer_lines(Asking(VIEW, "", 0), Language.ZH) == ("拿铁 Latte", "核销1份 共4份")


def test_the_clerk_s_own_pages_leave_the_display_alone() -> None:
    """Help and history are nobody's business in front of the counter."""
    assert customer_lines(Help(), Language.EN) is None


def test_the_lines_arrive_on_a_real_line_of_a_cd5220() -> None:
    """The frame on the wire is upper and lower line, padded to twenty columns."""
    master, slave = os.openpty()
    tty.setraw(slave)
    display = Display(os.ttyname(slave), DisplayProfile(), on_event=lambda _: None)
    display.show("Latte", "Redeem 2 of 4?")
    display.start()
    wanted = b"\x1bQA" + b"Latte".ljust(20) + b"\r\x1bQB" + b"Redeem 2 of 4?".ljust(20) + b"\r"
    read = b""
    while wanted not in read:
        assert select.select([master], [], [], 5)[0], read
        read += os.read(master, 1024)
    display.stop()
    os.close(master)
    os.close(slave)
