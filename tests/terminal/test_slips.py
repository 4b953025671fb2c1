"""What a slip says, in each language and for each kind of voucher (EV-049, decision 10)."""

import pytest

from drivers.escpos.preview import preview_text
from drivers.escpos.profile import PrinterProfile
from drivers.escpos.slip import Qr, Slip
from terminal import slips
from terminal.slip_facts import SlipFacts
from terminal.slips import SlipStyle
from tests.terminal.shop import NOW
from vouchers.times import DAY_MS

CODE = "20412345678"
LANGUAGES = ("zh", "en", "both")


def facts(**changes: object) -> SlipFacts:
    said: dict[str, object] = {
        "kind": "redeemed",
        "serial": "T1_1_00000007",
        "posid": "T1",
        "outlet_name": "东门 East Gate",
        "merchant_name": "面包房 Bakery",
        "clerk": "li",
        "product_name": "面包 Bread",
        "shares": 2,
        "left": 3,
        "at": NOW,
        "valid_until": NOW - NOW % DAY_MS + 21 * DAY_MS - 8 * 3_600_000,
        "mode": "online",
        "head": "0123456789abcdef" * 4,
        "time_zone": "Asia/Shanghai",
        "successor": True,
    }
    return SlipFacts(**(said | changes))  # type: ignore[arg-type]


def text(said: SlipFacts, code: str | None = CODE, copy: int = 1, **style: object) -> str:
    """The words of a slip, one block a line."""
    slip = slips.compose(said, code, copy, SlipStyle(**style))  # type: ignore[arg-type]
    return words(slip)


def words(slip: Slip) -> str:
    lines = []
    for block in slip.blocks:
        values = [getattr(block, name, "") for name in ("text", "left", "right", "payload")]
        lines.append(" ".join(str(value) for value in values if value))
    return "\n".join(lines)


def codes_of(said: SlipFacts, code: str | None = CODE, **style: object) -> list[str]:
    slip = slips.compose(said, code, 1, SlipStyle(**style))  # type: ignore[arg-type]
    return [block.payload for block in slip.blocks if isinstance(block, Qr)]


@pytest.mark.parametrize(
    ("language", "wanted"),
    [
        (
            "zh",
            ("核销凭证", "核销份数 2", "剩余份数 3", "新券码 (旧码已作废)", "流水号", "操作员 li"),
        ),
        ("en", ("REDEMPTION", "Redeemed 2", "Left 3", "the old one is void", "Serial", "Clerk li")),
        ("both", ("核销凭证 REDEMPTION", "剩余份数 Left 3", "旧码已作废", "old one is void")),
    ],
)
def test_ev_049_a_partial_redemption_shows_the_new_code(
    language: str, wanted: tuple[str, ...]
) -> None:
    """EV-049: count, rest, the new code in groups and as a QR of the plain digits."""
    said = text(facts(), language=language)
    for part in (*wanted, "204 1234 5678", "T1_1_00000007", "2024-07-10 12:00:00"):
        assert part in said, part
    assert codes_of(facts(), language=language) == [CODE]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_used_up_voucher_has_no_code_and_no_validity(language: str) -> None:
    """With nothing left there is nothing to come back with."""
    said = text(facts(left=0, successor=False, mode="lone"), None, language=language)
    for word in ("新券码", "new code", "New code", "有效期", "Valid", "离线", "Offline"):
        assert word not in said
    assert codes_of(facts(left=0), None, language=language) == []


@pytest.mark.parametrize(
    ("language", "wanted"),
    [("zh", "离线 最多剩余 3"), ("en", "Offline: at most 3"), ("both", "Offline: at most 3")],
)
@pytest.mark.parametrize("mode", ["lone", "hub"])
def test_an_offline_slip_says_at_most(language: str, wanted: str, mode: str) -> None:
    """Made in a mode other than online, what is left is what this terminal knows at most."""
    assert wanted in text(facts(mode=mode), language=language)
    assert wanted not in text(facts(), language=language)


@pytest.mark.parametrize(
    ("language", "void", "follows"),
    [
        ("zh", "旧码已作废", "新券码稍后发送"),
        ("en", "void", "new one follows by message"),
        ("both", "旧码已作废", "new one follows by message"),
    ],
)
def test_a_voucher_known_by_its_qr_says_that_central_sends_the_code(
    language: str, void: str, follows: str
) -> None:
    """Decision 10: the presented code is void, central makes the new one, and the slip says so."""
    said = text(facts(successor=False, mode="lone"), None, language=language)
    assert void in said and follows in said
    assert codes_of(facts(successor=False), None, language=language) == []


@pytest.mark.parametrize(
    ("language", "wanted"), [("zh", "撤销核销"), ("en", "REVERSAL"), ("both", "撤销核销 REVERSAL")]
)
def test_a_reversal_names_what_it_undoes(language: str, wanted: str) -> None:
    """Decision 11: what came back, what is left now, the original serial, and no code."""
    said = text(
        facts(kind="reversed", reverses="T1_1_00000003", successor=False, mode="lone"),
        None,
        language=language,
    )
    assert wanted in said and "T1_1_00000003" in said and "204 1234" not in said
    assert ("Returned 2" if language == "en" else "退回份数") in said
    assert "新券码" not in said and "new" not in said.lower()


@pytest.mark.parametrize("language", LANGUAGES)
def test_ax_19_a_reprint_is_marked_and_says_where_the_code_is(language: str) -> None:
    """AX-19: from the second copy on it is marked, and a forgotten code is in the message."""
    said = text(facts(), None, copy=3, language=language)
    assert said.startswith("补打 REPRINT #3")
    assert ("message to the customer" if language == "en" else "新券码见顾客短信") in said
    assert "REPRINT" not in text(facts(), language=language)


@pytest.mark.parametrize(
    ("setting", "mode", "shown"),
    [
        ("always", "online", True),
        ("always", "lone", True),
        ("offline", "online", False),
        ("offline", "lone", True),
        ("never", "lone", False),
    ],
)
def test_the_owner_decides_whether_the_code_is_printed(
    setting: str, mode: str, shown: bool
) -> None:
    """Decision 10: `receipt.successor` is always, offline or never."""
    said = facts(mode=mode)
    assert (CODE in codes_of(said, successor=setting)) is shown
    assert ("204 1234 5678" in text(said, successor=setting)) is shown
    if not shown:
        assert "新券码已发送至顾客手机" in text(said, successor=setting)


def test_validity_is_the_last_day_on_which_it_is_good() -> None:
    """Decision 8: until 31 July means that 31 July is on the slip, in the merchant's zone."""
    last = facts(valid_until=1_722_441_600_000)  # 2024-07-31T16:00Z, midnight in Shanghai
    assert "有效期至 2024-07-31" in text(last)
    assert "有效期至" not in text(facts(valid_until=0))


def test_the_owner_s_own_lines_and_the_product_s_text() -> None:
    """AX-16: header, footer and the product's text stand on it, each line as it is."""
    said = text(
        facts(slip_text="Best\nfresh"),
        header=("Top",),
        footer=("Bye", "再见"),
        slip_text="Our line",
    )
    assert said.index("Top") < said.index("核销凭证") < said.index("Best") < said.index("Bye")
    assert "Best\nfresh\nOur line" in said and "再见" in said
    assert text(facts(), training=True).startswith("培训 TRAINING")


def test_the_check_is_the_head_of_the_journal() -> None:
    """The slip is a witness: it carries the first 16 hex digits of its entry's hash."""
    assert "校验 0123456789abcdef\n" in text(facts()) + "\n"


@pytest.mark.parametrize(
    ("code", "grouped"),
    [
        ("20412345678", "204 1234 5678"),
        ("123456", "123 456"),
        ("1234567", "1234 567"),
        ("12345678", "1234 5678"),
        ("1234567890", "12345 67890"),
    ],
)
def test_codes_are_grouped_for_reading_aloud(code: str, grouped: str) -> None:
    """Eleven digits are 3-4-4, shorter ones two halves; no digit is lost."""
    assert slips.group(code) == grouped and grouped.replace(" ", "") == code


@pytest.mark.parametrize("columns", [32, 48])
@pytest.mark.parametrize("language", LANGUAGES)
def test_it_fits_the_paper(columns: int, language: str) -> None:
    """On narrow and wide paper no line runs over the edge, also with hostile names."""
    said = facts(product_name="长" * 60, outlet_name="\x1b@\x1dV\x00" + "x" * 90, clerk="c" * 64)
    slip = slips.compose(said, CODE, 2, SlipStyle(language, header=("h" * 200,)))
    shown = preview_text(slip, PrinterProfile(columns=columns, dots=12 * columns))
    for line in shown.splitlines():
        assert sum(2 if ord(char) > 0x2E7F else 1 for char in line) <= columns, line
    assert "\x1b" not in shown
