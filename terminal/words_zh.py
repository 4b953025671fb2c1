"""The Chinese words of the counter: refusals. The phrases of the screen are in `words_zh_screen`.

Responsible for: wording, with the terms of the glossary. Not responsible for: choosing, formatting
or showing.
"""

from typing import Final

from terminal.words_shape import LanguageWords, ReasonWords, Variant
from terminal.words_zh_screen import PHRASES
from vouchers.reasons import Reason


def _v(text: str, when: str = "") -> Variant:
    return Variant(text, when)


_CODES: Final = {
    Reason.MALFORMED: ReasonWords(
        "不是券码",
        (
            _v("这是手机号，不是券码。", "mobile"),
            _v("这是付款码，不是券码。", "payment"),
            _v("这是身份证号，不能手输或用扫码枪扫。", "id_card"),
            _v("这是商品条码，不是券码。", "goods"),
            _v("这是网页链接，里面没有券码。", "link"),
            _v("手机后四位必须正好是 4 位数字。", "last4"),
            _v("没有读到内容。", "empty"),
            _v("券码是 6 到 11 位数字，现在是 {digits} 位。", "length"),
            _v("券码是 6 到 11 位数字，现在的长度不对。", "length"),
            _v("券码只由数字组成。"),
        ),
        (
            _v("请顾客打开购买成功的短信，找到券码。", "mobile"),
            _v("请顾客打开电子凭证页面，不是付款页面。", "payment"),
            _v("有读卡器请把身份证放上去，没有请用券码。", "id_card"),
            _v("请重新输入手机后四位。", "last4"),
            _v("请扫电子凭证，或按短信输入券码。"),
        ),
    ),
    Reason.MISTYPED: ReasonWords(
        "券码输错了",
        (_v("券码有一位不对：校验位不符。"),),
        (_v("没有计入错误次数。请与短信逐位核对，重新输入。"),),
    ),
    Reason.LOCKED: ReasonWords(
        "已锁定",
        (
            _v("错误次数过多，此券码在本机锁定到 {until}。", "code"),
            _v("这张身份证试得太多，在本机锁定到 {until}。", "card"),
            _v("错误次数过多，本机锁定到 {until}。", "terminal"),
            _v("错误次数过多，锁定到 {until}。"),
            _v("错误次数过多，锁定 {minutes} 分钟。"),
            _v("错误次数过多。"),
        ),
        (
            _v("其他券可以照常核销。有疑问请叫主管。", "code"),
            _v("请顾客出示短信里的券码，可以照常核销。", "card"),
            _v("请叫主管，或等锁定时间结束。"),
        ),
    ),
    Reason.UNKNOWN_OR_WRONG: ReasonWords(
        "查无此券或后四位不符",
        (
            _v("这张身份证名下查不到券。", "card"),
            _v("可能有误，也可能是别的门店的券：本机只存有本店的券。", "elsewhere"),
            _v("券码与手机后四位对不上。"),
        ),
        (
            _v("请顾客出示短信里的券码，并问清收码的手机号。", "card"),
            _v("请再核对券码和手机号；都对的话，等网络恢复再查。", "elsewhere"),
            _v("请问清是哪个手机号收到的券码，两项都核对后再试一次。"),
        ),
    ),
    Reason.VOIDED: ReasonWords(
        "券已作废",
        (_v("卖家已将此券作废。"),),
        (_v("请勿交付商品。请顾客联系卖家。"),),
    ),
    Reason.REFUNDED: ReasonWords(
        "已退款",
        (_v("此券已退款给顾客。"),),
        (_v("请勿交付商品。顾客可以重新购买。"),),
    ),
    Reason.REFUNDING: ReasonWords(
        "退款中",
        (_v("顾客已申请退款，处理完之前此券冻结。"),),
        (_v("顾客可在订单里撤销退款申请，然后再来核销。"),),
    ),
    Reason.REPLACED: ReasonWords(
        "旧码已作废",
        (_v("此券已部分核销，已换成新码。"),),
        (_v("请顾客出示最新的短信，或上次小票上的新码。"),),
    ),
    Reason.USED_UP: ReasonWords(
        "已核销完",
        (_v("共 {shares} 份，已全部核销。"), _v("所有份数都已核销。")),
        (_v("请勿交付商品。按 F5 可查看本机的核销记录。"),),
    ),
}

_RULES: Final = {
    Reason.NOT_YET_VALID: ReasonWords(
        "未到使用时间",
        (_v("从 {from} 起可以核销。"), _v("还没有到可以核销的时间。")),
        (_v("请顾客到时再来。"),),
    ),
    Reason.EXPIRED: ReasonWords(
        "已过期",
        (_v("有效期到 {until} 为止。"), _v("已经过了有效期。")),
        (_v("顾客可向卖家申请退款或延期。"),),
    ),
    Reason.WRONG_OUTLET: ReasonWords(
        "券有效，但不在本店",
        (_v("此券有效，适用门店：{outlets}。"), _v("此券有效，但本店不适用。")),
        (_v("请告诉顾客去哪家门店。此券没有被使用。"),),
    ),
    Reason.WRONG_WEEKDAY: ReasonWords(
        "今天不可用",
        (_v("可用日：{weekdays}。"), _v("今天不在可用的星期里。")),
        (_v("请顾客在可用日再来。"),),
    ),
    Reason.BAD_COUNT: ReasonWords(
        "份数不对",
        (_v("最少核销 1 份，最多 {left} 份。"), _v("最少核销 1 份。")),
        (_v("请重新打开此券，输入份数。"),),
    ),
    Reason.NOT_ENOUGH_LEFT: ReasonWords(
        "剩余份数不够",
        (_v("只剩 {left} 份。"), _v("剩余份数少于要核销的份数。")),
        (_v("请重新打开此券，核销剩余的份数。"),),
    ),
    Reason.ONLINE_ONLY: ReasonWords(
        "需要联网",
        (_v("此商品只能在联网时核销。"),),
        (_v("等状态栏显示在线后再试。此券没有被使用。"),),
    ),
    Reason.NEEDS_NETWORK: ReasonWords(
        "需要联网",
        (
            _v("不联网时，本机还可核销 {left} 份。", "allowance"),
            _v("有一笔较新的核销还没有传到本机。", "unseen"),
            _v("下一个新码要由服务中心生成。", "horizon"),
            _v("不联网无法判断。"),
        ),
        (
            _v("请一次核销全部剩余份数，或等联网后再试。", "horizon"),
            _v("等状态栏显示在线后再试。此券没有被使用。"),
        ),
    ),
    Reason.IN_PROGRESS: ReasonWords(
        "别处正在核销",
        (_v("另一台终端正在核销此券。"),),
        (_v("请等两分钟再试。"),),
    ),
    Reason.OFFLINE_LIMIT: ReasonWords(
        "离线核销已到上限",
        (
            _v("本机不联网时最多核销 {limit} 笔。", "count"),
            _v("本机不联网时最多核销 {yuan} 元。", "value"),
            _v("本机不联网时最多核销 {limit} 小时。", "time"),
            _v("本机离线时间过长。"),
        ),
        (_v("请检查网线或路由器，然后叫主管。"),),
    ),
    Reason.REPLICA_TOO_OLD: ReasonWords(
        "券数据太旧",
        (_v("券数据已超过 {limit} 小时没有更新。"), _v("券数据太旧，不能作准。")),
        (_v("请让终端联网，状态栏会显示更新进度。"),),
    ),
    Reason.CLOCK_SUSPECT: ReasonWords(
        "时钟不可靠",
        (_v("本机时钟不可靠，而此券不属于本店。"),),
        (_v("请让终端联网，时钟会自动校准。"),),
    ),
}

_UNDO_AND_OPERATION: Final = {
    Reason.NOTHING_TO_REVERSE: ReasonWords(
        "没有可撤销的核销",
        (_v("本机没有这笔核销。"),),
        (_v("请按 F5 在历史中选择。"),),
    ),
    Reason.REVERSAL_LATE: ReasonWords(
        "已过撤销时限",
        (
            _v("店员只能在 {minutes} 分钟内撤销。", "minutes"),
            _v("这笔核销的班次已经交班。", "shift"),
            _v("这笔核销已列入结清的打款单。", "settled"),
            _v("这笔核销已不能撤销。"),
        ),
        (_v("请叫主管撤销。", "minutes"), _v("总部仍可为订单办理退款。")),
    ),
    Reason.NOT_THIS_TERMINAL: ReasonWords(
        "不是本机的核销",
        (_v("这笔核销是在另一台终端做的。"),),
        (_v("请到那台终端撤销，或联系总部。"),),
    ),
    Reason.REVERSAL_MISMATCH: ReasonWords(
        "撤销份数不符",
        (_v("只能整笔撤销 {shares} 份。"), _v("只能整笔撤销。")),
        (_v("请先整笔撤销，再按正确的份数核销。"),),
    ),
    Reason.BUSY: ReasonWords(
        "请稍等",
        (_v("终端正在处理别的事情。"),),
        (_v("什么也没有做。请稍后再试。"),),
    ),
    Reason.OUTCOME_UNKNOWN: ReasonWords(
        "结果还不确定",
        (_v("还不能确定这一笔有没有记上。"),),
        (_v("请勿重复核销。终端会自己查清，可按 F5 看历史。"),),
    ),
    Reason.OUT_OF_SERVICE: ReasonWords(
        "暂停服务",
        (_v("终端现在不能核销。什么也没有做。"),),
        (_v("请再试一次。仍然不行请叫主管，并运行 hexiao doctor"),),
    ),
}

CHINESE: Final = LanguageWords(
    reasons={**_CODES, **_RULES, **_UNDO_AND_OPERATION},
    phrases=PHRASES,
    weekdays=("周一", "周二", "周三", "周四", "周五", "周六", "周日"),
    joiner="、",
    sentence_gap="",
    clock_format="%H:%M",
    date_format="%Y-%m-%d %H:%M",
)
