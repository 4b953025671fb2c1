"""What the installer's commands say, in both languages.

Responsible for: the words of print-test, scan-test and emulate. Not responsible for: when they are
said. Invariant: a phrase has the same fields in both languages.
"""

from typing import Final

from terminal.words import Language

PHRASES: Final[dict[str, tuple[str, str]]] = {
    "print.no_port": (
        "没有设置打印机（printer.port）；可用 --preview FILE.png 查看样张",
        "no printer is set (printer.port); --preview FILE.png shows the slip without one",
    ),
    "print.printed": ("已打印，打印机已确认", "printed, and the printer confirmed it"),
    "print.kicked": (
        "打印机已执行开钱箱命令；没有弹开就检查钱箱插头和配置中的 drawer_on_ms",
        "the printer gave the drawer its pulse; if it stayed shut see to its plug and the profile's"
        " drawer_on_ms",
    ),
    "print.unconfirmed": (
        "已发送，但这台打印机不会确认：请看纸上是否完整",
        "sent, but this printer does not confirm: see whether the slip is whole",
    ),
    "print.failed": (
        "没有打印成功（{state} {detail}）：运行 hexiao doctor 查看原因",
        "not printed ({state} {detail}): `hexiao doctor` says what is wrong",
    ),
    "print.waiting": (
        "{seconds} 秒内没有打印完（{status}）：检查打印机后再试",
        "not printed within {seconds} s ({status}): see to the printer, then try again",
    ),
    "print.port": (
        "打印机端口不能用：{detail}。若收银界面正在运行，请先停止它",
        "the printer's port cannot be used: {detail}. If the kiosk is running, stop it first",
    ),
    "print.preview": ("样张已写入 {file}（{bytes} 字节）", "{file} shows the slip ({bytes} bytes)"),
    "scan.ready": (
        "请扫 {count} 个码（最好先扫测试小票上的二维码），Ctrl-C 结束",
        "scan {count} codes, best the one on the test slip first; Ctrl-C ends",
    ),
    "scan.typed": (
        "没有设置 scanner.port：按键盘式扫码枪测试",
        "scanner.port is not set: a scanner that types like a keyboard is tried",
    ),
    "scan.port": (
        "扫码枪端口不能用：{detail}。若收银界面正在运行，请先停止它",
        "the scanner's port cannot be used: {detail}. If the kiosk is running, stop it first",
    ),
    "scan.one": (
        "{number}. {text}（{symbology}，{charset}，结尾 {end}）",
        "{number}. {text} ({symbology}, {charset}, ends with {end})",
    ),
    "scan.mistake": ("   看起来不是券码：{mistake}", "   this looks like no voucher: {mistake}"),
    "scan.test_whole": ("   测试码完整无误", "   the test code arrived whole"),
    "scan.test_case": (
        "   测试码的大小写变了：关闭 Caps Lock 和扫码枪的大小写转换",
        "   the test code changed its case: switch off caps lock and the scanner's conversion",
    ),
    "scan.test_layout": (
        "   测试码的字符变了：把扫码枪的键盘国家设为 US，并关闭输入法",
        "   the test code changed: set the scanner's keyboard country to US, and switch the input"
        " method off",
    ),
    "scan.nothing": (
        "没有收到任何数据：检查数据线、扫码枪模式和波特率",
        "nothing arrived: check the cable, the scanner's mode and the baud rate",
    ),
    "advice.noise": (
        "收到的是乱码：波特率或校验位不对，换一个 scanner.profile",
        "what arrived is noise: baud rate or parity is wrong, try another scanner.profile",
    ),
    "advice.end": (
        "扫码枪没有发送结束符：用说明书里的设置码打开“后缀 CR（回车）”",
        "the scanner sends no end of scan: switch on the suffix CR with the code in its manual",
    ),
    "advice.mixed": (
        "结束符不一致：用说明书里的设置码统一设为后缀 CR（回车）",
        "scans do not all end alike: set the suffix CR with the code in its manual",
    ),
    "advice.aim": (
        "扫码枪在码前加了 AIM 标识（如 ]Q1）：用说明书里的设置码关闭它",
        "the scanner sends AIM identifiers (such as ]Q1): switch them off with the code in its"
        " manual",
    ),
    "advice.fits": (
        '现在的设置合适：profile = "{profile}"',
        'the settings fit: profile = "{profile}"',
    ),
    "advice.typed": (
        "每次扫码的结尾正确；键盘式扫码枪不需要 profile",
        "each scan ends as it should; a scanner that types needs no profile",
    ),
    "advice.profile": (
        '请在 [scanner] 中设置 profile = "{profile}"',
        'set profile = "{profile}" in [scanner]',
    ),
    "rhythm.fits": (
        "按键间隔最长 {gap} 毫秒，现在的设置能识别（需要 {wanted}）",
        "its keys are at most {gap} ms apart: the settings tell it from a hand ({wanted} needed)",
    ),
    "rhythm.gap": (
        "按键间隔最长 {gap} 毫秒：请在 [scanner] 中设置 wedge_gap_ms = {wanted}",
        "its keys are at most {gap} ms apart: set wedge_gap_ms = {wanted} in [scanner]",
    ),
    "rhythm.hand": (
        "按键间隔长达 {gap} 毫秒，和快速打字分不开（需要 {wanted}）：把扫码枪的字符间延时设为 0，"
        "或让它先发送一个前缀（如 ~）并设置 wedge_prefix",
        "its keys are up to {gap} ms apart, like those of a quick hand ({wanted} would be needed):"
        " set its inter-character delay to 0, or let it send a prefix such as ~ and set"
        " wedge_prefix",
    ),
    "rhythm.prefix": (
        "每次都以 {prefix} 开头（间隔 {gap} 毫秒）："
        '请在 [scanner] 中设置 wedge_prefix = "{prefix}"',
        'every scan begins with {prefix}: set wedge_prefix = "{prefix}" in [scanner] (keys {gap} ms'
        " apart)",
    ),
    "rhythm.marked": (
        "前缀 {prefix} 使扫码一定能识别（间隔 {gap} 毫秒）",
        "its prefix {prefix} makes every scan certain (keys {gap} ms apart)",
    ),
    "advice.none": (
        "没有合适的配置；按上面的提示设置扫码枪后再试",
        "no profile fits: set the scanner up as said above, then try again",
    ),
    "emulate.unknown": (
        "没有“{text}”这个操作；可用：{orders}；前面加 not 取消一个状态",
        'there is no "{text}"; there are {orders}; with not in front a switch ends',
    ),
    "emulate.port": (
        "不能在这里提供打印机：{why}；换一个 --tcp 端口或 --link 路径",
        "the printer cannot be reached there: {why}; take another --tcp or --link",
    ),
    "emulate.plugged": ("已重新插上：{text}", "plugged in again: {text}"),
}


def say(key: str, language: Language, **fields: object) -> str:
    """A phrase. Raises KeyError for a key or field that does not exist."""
    return PHRASES[key][0 if language is Language.ZH else 1].format(**fields)
