"""What a slip says: from facts to the values of a template, and to a document.

Responsible for: the values of a redemption or reversal slip, and the marks that no template can
leave out (reprint, training). Not responsible for: words and order (`slip_templates`), paper
widths, printers or when to print. Invariants: never the last four digits; the successor code only
as grouped digits and as plain digits for a QR; external text goes in as data and can command
nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from drivers.escpos.slip import Image, Line, Slip
from drivers.escpos.slip import reprint as marked
from drivers.escpos.template import fill
from terminal import slip_templates
from terminal.slip_facts import SlipFacts
from terminal.slip_templates import SlipTemplates

HEAD_CHARS = 16
"""8 bytes of the journal's head: the customer's slip is a witness (storage notes, 2.4)."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SlipStyle:
    """What the owner sets: `language` is zh, en or both; `successor` is always, offline or never.

    `slip_text` is the merchant's own line on every slip. `templates` are the owner's own; without
    them those of the language.
    """

    language: str = "zh"
    header: tuple[str, ...] = ()
    footer: tuple[str, ...] = ()
    successor: str = "always"
    slip_text: str = ""
    training: bool = field(default=False)
    templates: SlipTemplates | None = None
    logo: Image | None = None


def compose(facts: SlipFacts, code: str | None, copy: int, style: SlipStyle) -> Slip:
    """The document of a print job. `copy` counts from 1; from 2 on it is marked (AX-19)."""
    templates = style.templates or slip_templates.shipped(style.language)
    template = templates.redeemed if facts.kind == "redeemed" else templates.reversed
    slip = fill(template, slip_templates.clipped(_values(facts, code, style)))
    if style.logo is not None:
        slip = Slip((style.logo, *slip.blocks))
    if style.training:
        mark = Line("培训 TRAINING", align="center", size="big", bold=True)
        slip = Slip((mark, *slip.blocks))
    return slip if copy == 1 else marked(slip, copy)


def group(code: str) -> str:
    """Digits in groups for reading aloud: 3-4-4 for eleven, threes and fours otherwise."""
    if len(code) == 11:
        return f"{code[:3]} {code[3:7]} {code[7:]}"
    half = (len(code) + 1) // 2
    return f"{code[:half]} {code[half:]}"


def _values(facts: SlipFacts, code: str | None, style: SlipStyle) -> dict[str, str]:
    """What a template may show (`slip_templates.NAMES`); a value that is not there is missing."""
    offline = facts.kind == "redeemed" and facts.mode != "online" and facts.left > 0
    # Validity is half-open; a person reads the last day on which it is good.
    valid = _day(facts.valid_until - 1, facts) if facts.valid_until and facts.left else ""
    return {
        "merchant": facts.merchant_name,
        "outlet": facts.outlet_name,
        "header": _lines(style.header),
        "footer": _lines(style.footer),
        "product": facts.product_name,
        "shares": str(facts.shares),
        "left": str(facts.left),
        "offline": "1" if offline else "",
        "valid": valid,
        **_successor(facts, code, style),
        "serial": facts.serial,
        "reverses": facts.reverses or "",
        "time": _moment(facts.at, facts),
        "posid": facts.posid,
        "clerk": facts.clerk,
        "check": facts.head[:HEAD_CHARS],
        "slip_text": _lines((facts.slip_text or "").splitlines()),
        "own_text": _lines(style.slip_text.splitlines()),
    }


def _successor(facts: SlipFacts, code: str | None, style: SlipStyle) -> dict[str, str]:
    if facts.kind != "redeemed" or facts.left == 0:
        return {}
    if not facts.successor:
        return {"code_later": "1"}
    wanted = style.successor == "always" or (
        style.successor == "offline" and facts.mode != "online"
    )
    if not wanted:
        return {"code_sent": "1"}
    if code is None:
        return {"code_forgotten": "1"}
    return {"new_code": group(code), "new_code_digits": code}


def _lines(texts: Iterable[str]) -> str:
    """Lines as one value; an empty line at the end counts too."""
    return "".join(f"{text}\n" for text in texts)


def _local(ms: int, facts: SlipFacts) -> datetime:
    return (_EPOCH + timedelta(milliseconds=ms)).astimezone(ZoneInfo(facts.time_zone))


def _moment(ms: int, facts: SlipFacts) -> str:
    return _local(ms, facts).strftime("%Y-%m-%d %H:%M:%S")


def _day(ms: int, facts: SlipFacts) -> str:
    return _local(ms, facts).strftime("%Y-%m-%d")
