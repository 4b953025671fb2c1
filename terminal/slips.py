"""What a slip looks like: from facts to a document.

Responsible for: the words and order of a redemption or reversal slip, in Chinese, English or both.
Not responsible for: paper widths, printers or when to print. Invariants: never the last four
digits; the successor code only as grouped digits and a QR of the plain digits; external text goes
in as data and can command nothing.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from drivers.escpos.slip import Block, Columns, Cut, Feed, Line, Qr, Rule, Slip
from drivers.escpos.slip import reprint as marked
from terminal.slip_facts import SlipFacts

HEAD_CHARS = 16
"""8 bytes of the journal's head: the customer's slip is a witness (storage notes, 2.4)."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_WORDS = {
    "redeemed": ("核销凭证", "REDEMPTION"),
    "reversed": ("撤销核销", "REVERSAL"),
    "product": ("商品", "Product"),
    "shares": ("核销份数", "Redeemed"),
    "returned": ("退回份数", "Returned"),
    "left": ("剩余份数", "Left"),
    "left_offline": ("离线 最多剩余", "Offline: at most"),
    "valid": ("有效期至", "Valid until"),
    "serial": ("流水号", "Serial"),
    "reverses": ("原流水号", "Reverses"),
    "posid": ("机具", "POS"),
    "clerk": ("操作员", "Clerk"),
    "time": ("时间", "Time"),
    "head": ("校验", "Check"),
    "new_code": ("新券码 (旧码已作废)", "New code (the old one is void)"),
    "new_code_sent": ("新券码已发送至顾客手机", "The new code is in the message to the customer"),
    "new_code_later": (
        "旧码已作废，新券码稍后发送至顾客手机",
        "The old code is void; the new one follows by message",
    ),
    "copy_code": ("新券码见顾客短信", "The new code is in the message to the customer"),
}


@dataclass(frozen=True, slots=True)
class SlipStyle:
    """What the owner sets: `language` is zh, en or both; `successor` is always, offline or never.

    `slip_text` is the merchant's own line on every slip.
    """

    language: str = "zh"
    header: tuple[str, ...] = ()
    footer: tuple[str, ...] = ()
    successor: str = "always"
    slip_text: str = ""
    training: bool = field(default=False)


def compose(facts: SlipFacts, code: str | None, copy: int, style: SlipStyle) -> Slip:
    """The document of a print job. `copy` counts from 1; from 2 on it is marked (AX-19)."""
    blocks: list[Block] = [
        Line(facts.merchant_name, align="center", bold=True),
        Line(facts.outlet_name, align="center"),
        *(Line(text, align="center") for text in style.header),
        Line(_word(facts.kind, style), align="center", size="tall", bold=True),
        Rule(),
        *_what(facts, style),
        *_successor(facts, code, style),
        Rule(),
        *_who(facts, style),
        *(Line(text) for text in (facts.slip_text or "").splitlines()),
        *(Line(text) for text in style.slip_text.splitlines()),
        *(Line(text, align="center") for text in style.footer),
    ]
    if style.training:
        blocks.insert(0, Line("培训 TRAINING", align="center", size="big", bold=True))
    slip = Slip((*blocks, Feed(1), Cut()))
    return slip if copy == 1 else marked(slip, copy)


def group(code: str) -> str:
    """Digits in groups for reading aloud: 3-4-4 for eleven, threes and fours otherwise."""
    if len(code) == 11:
        return f"{code[:3]} {code[3:7]} {code[7:]}"
    half = (len(code) + 1) // 2
    return f"{code[:half]} {code[half:]}"


def _what(facts: SlipFacts, style: SlipStyle) -> list[Block]:
    offline = facts.kind == "redeemed" and facts.mode != "online" and facts.left > 0
    counted = "shares" if facts.kind == "redeemed" else "returned"
    blocks: list[Block] = [
        Line(facts.product_name, size="tall"),
        Columns(_word(counted, style), str(facts.shares), bold=True),
        Columns(_word("left_offline" if offline else "left", style), str(facts.left), bold=True),
    ]
    if facts.valid_until and facts.left:
        # Validity is half-open; a person reads the last day on which it is good.
        blocks.append(Columns(_word("valid", style), _day(facts.valid_until - 1, facts)))
    return blocks


def _successor(facts: SlipFacts, code: str | None, style: SlipStyle) -> list[Block]:
    if facts.kind != "redeemed" or facts.left == 0:
        return []
    if not facts.successor:
        return [Line(_word("new_code_later", style), align="center")]
    wanted = style.successor == "always" or (
        style.successor == "offline" and facts.mode != "online"
    )
    if not wanted:
        return [Line(_word("new_code_sent", style), align="center")]
    if code is None:
        return [Line(_word("copy_code", style), align="center")]
    return [
        Rule(),
        Line(_word("new_code", style), align="center"),
        Line(group(code), align="center", size="big", bold=True),
        Qr(code),
    ]


def _who(facts: SlipFacts, style: SlipStyle) -> list[Block]:
    blocks: list[Block] = [Columns(_word("serial", style), facts.serial)]
    if facts.reverses:
        blocks.append(Columns(_word("reverses", style), facts.reverses))
    return [
        *blocks,
        Columns(_word("time", style), _moment(facts.at, facts)),
        Columns(_word("posid", style), facts.posid),
        Columns(_word("clerk", style), facts.clerk),
        Columns(_word("head", style), facts.head[:HEAD_CHARS]),
    ]


def _word(key: str, style: SlipStyle) -> str:
    chinese, english = _WORDS[key]
    match style.language:
        case "zh":
            return chinese
        case "en":
            return english
        case _:
            return f"{chinese} {english}"


def _local(ms: int, facts: SlipFacts) -> datetime:
    return (_EPOCH + timedelta(milliseconds=ms)).astimezone(ZoneInfo(facts.time_zone))


def _moment(ms: int, facts: SlipFacts) -> str:
    return _local(ms, facts).strftime("%Y-%m-%d %H:%M:%S")


def _day(ms: int, facts: SlipFacts) -> str:
    return _local(ms, facts).strftime("%Y-%m-%d")
