"""A clerk, a scanner, a real terminal window and the real counter with its real journal."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kiosk.terminal_window import Window
from tests.kiosk.test_window import pace


class Till:
    """The kiosk in a window, on a terminal of its own."""

    def __init__(self, root: Path, language: str) -> None:
        self.root = root
        self.window = Window(["-m", "tests.kiosk.show_shop", str(root), language])

    def __enter__(self) -> "Till":
        self.window.until("East Gate")
        self.issued = json.loads((self.root / "issued").read_text("utf-8"))
        return self

    def __exit__(self, *details: object) -> None:
        self.window.__exit__(*details)

    def present(self, code: str, last4: str) -> "Till":
        """Scan, then type the last four by hand."""
        self.cancel()
        self.window.type(code + "\r").until("Backspace")
        for digit in last4:
            self.window.type(digit)
            pace(self.window, 0.06)
        return self

    def cancel(self) -> None:
        """Leave what is on the screen, and see that it has gone; not in the breath of a scan."""
        for _ in range(20):
            pace(self.window, 0.1)
            self.window.type("-")
            pace(self.window, 0.1)
            if "Scan a voucher or" in self.window.text or "请扫券" in self.window.text:
                break
        pace(self.window, 0.1)

    def confirm(self, count: str = "") -> "Till":
        """The count, if any, and the confirm key when it is armed."""
        for digit in count:
            self.window.type(digit)
        pace(self.window, 0.4)
        self.window.type("+")
        return self

    def name(self, name: str) -> tuple[str, str]:
        """What was issued under a name."""
        code, last4 = self.issued[name]
        return code, last4


def test_two_of_five_then_the_rest_on_the_new_code(tmp_path: Path) -> None:
    """EV-046, EV-049: the old code is dead at once, the successor has the other three."""
    with Till(tmp_path, "en") as till:
        window = till.window
        code, last4 = till.name("five")
        till.present(code, last4)
        window.until("Redeem 1 of 5?")
        till.confirm("2")
        text = window.until(lambda each: bool(re.search(r"^ +\d{3} \d{4} \d{4}$", each, re.M)))
        assert "REDEEMED" in text
        found = re.search(r"^ +(\d{3} \d{4} \d{4})$", text, re.M)
        assert found is not None
        successor = found[1].replace(" ", "")
        till.present(code, last4)
        window.until("SPENT")
        window.until("Old code")
        till.present(successor, last4)
        window.until("Redeem 1 of 3?")
        till.confirm("3")
        window.until("Nothing is left")
        till.present(successor, last4)
        window.until("Already used")
        window.type("-")
        window.until("Scan a voucher")
        window.type("\x1b[15~").until("History  1 of 2")
        window.until(lambda text: text.count("redeemed") == 2)


def test_undo_gives_the_shares_back(tmp_path: Path) -> None:
    """Decision 11: a reason, a confirmation, and the code is good again."""
    with Till(tmp_path, "zh") as till:
        window = till.window
        till.present(*till.name("one"))
        window.until("核销这张券")
        till.confirm()
        window.until("核销成功")
        pace(window, 0.1)
        window.type("\x1bOS").until("原因是")
        window.type("1").until("撤销 1 份")
        till.confirm()
        window.until("已撤销 1 份")
        till.present(*till.name("one"))
        window.until("核销这张券")


REFUSED = {
    "expired": "已过期",
    "early": "未到使用时间",
    "elsewhere": "适用门店：西门",
    "weekend": "周六、周日",
    "refunded": "已退款",
    "refunding": "退款中",
    "voided": "券已作废",
    "used": "已核销完",
}


def test_every_refusal_of_a_lone_counter_says_why(tmp_path: Path) -> None:
    """Each has its words; names full of markup and escape codes harm nothing (AX-14)."""
    with Till(tmp_path, "zh") as till:
        for name, wanted in REFUSED.items():
            till.present(*till.name(name))
            till.window.until(wanted)
        assert "\x1b" not in till.window.text
        till.present(*till.name("away"))
        till.window.until("本机现在只能核销 1 份")


def test_wrong_last_four_and_too_many_tries(tmp_path: Path) -> None:
    """EV-041, decision 13: one answer for both, typed again with Enter, then locked."""
    with Till(tmp_path, "zh") as till:
        window = till.window
        code, last4 = till.name("five")
        till.present(code, "9999")
        window.until("查无此券或后四位不符")
        window.type("\r").until("Backspace")
        for digit in last4:
            window.type(digit)
            pace(window, 0.06)
        window.until("剩余 5 份")
        for _ in range(4):
            till.present(code, "9999")
            window.until("查无此券或后四位不符")
        till.present(code, last4)
        window.until("已锁定")
        window.until("12:15")


@pytest.mark.parametrize(
    ("scan", "words"),
    [
        ("13800138000", "mobile number"),
        ("92100000023", "Code mistyped"),
        ("6901234567892", "barcode of goods"),
        ("134567890123456789", "payment code"),
        ("https://example.com/pay", "web link"),
        ("HX1:NOTREALLYSIGNED", "Not a voucher code"),
        ("x" * 4095, "Not a voucher code"),
        ("券码券码券码券码", "digits only"),
    ],
)
def test_what_is_scanned_by_mistake_is_named(till: Till, scan: str, words: str) -> None:
    """Before the last four are typed, and free of charge."""
    till.cancel()
    till.window.type(scan + "\r").until(words)


@pytest.fixture(scope="module")
def till(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Till]:
    """One till for all mistakes: none of them changes anything."""
    with Till(tmp_path_factory.mktemp("till"), "en") as made:
        yield made
