"""What the doctor says about devices, with its colour and what to do about it, in both languages.

Responsible for: the words. Not responsible for: when they are said; `drivers.probe` finds most of
it. Invariants: a phrase has the same fields in both languages; what is amber or red says what to
do.
"""

from typing import Final

from terminal.doctor.phrase import Level, Phrase

_G, _A, _R = Level.GREEN, Level.AMBER, Level.RED

DEVICE_PHRASES: Final[dict[str, Phrase]] = {
    "printer.none": Phrase(_G, "没有设置打印机", "none is set"),
    "printer.ready": Phrase(_G, "就绪", "ready"),
    "printer.near_end": Phrase(
        _A, "纸快用完", "paper is near its end", "准备换纸", "have a new roll at hand"
    ),
    "printer.paper_out": Phrase(_R, "缺纸", "out of paper", "换纸", "put in a new roll"),
    "printer.cover_open": Phrase(_R, "上盖打开", "the cover is open", "合上上盖", "close it"),
    "printer.fault": Phrase(
        _R,
        "报告故障",
        "reports a fault",
        "打开上盖，清除卡纸，合上上盖，小票会接着打；不行再重新开关电源（那张小票会请操作员确认）",
        "open the cover, clear jammed paper, close it: the slip goes on; only if not, switch it off"
        " and on, and the clerk is asked about that slip",
    ),
    "printer.silent": Phrase(
        _A,
        "端口已打开，但没有应答",
        "the port is open, but it answers nothing",
        "检查电源、数据线和波特率；从不应答的型号用 status = [] 的配置",
        "check power, cable and baud rate; for a model that never answers use a profile with"
        " status = []",
    ),
    "printer.lost": Phrase(
        _R,
        "端口打不开",
        "its port cannot be opened",
        "检查数据线和 printer.port；停止 hexiao 后再运行 hexiao doctor 看原因",
        "check the cable and printer.port; stop hexiao and run this again to see why",
    ),
    "printer.not_set_up": Phrase(
        _R,
        "未能启动",
        "could not be started",
        "停止 hexiao 后再运行 hexiao doctor，看设置或缺少的库",
        "stop hexiao and run this again: it says which setting is wrong or what is missing",
    ),
    "printer.counted": Phrase(
        _G,
        "累计打印 {printed} 张，不明 {unknown}，失败 {failed}，断线 {lost} 次",
        "so far {printed} slips printed, {unknown} unknown, {failed} failed; lost {lost} times",
    ),
    "printer.uncounted": Phrase(
        _A, "{name} 无法读取：{why}", "{name}: {why}", "删除此文件", "delete it to count anew"
    ),
    "scanner.none": Phrase(
        _G, "没有设置串口扫码枪（键盘式不需要设置）", "none is set (a keyboard wedge needs none)"
    ),
    "scanner.ready": Phrase(_G, "就绪", "ready"),
    "scanner.lost": Phrase(
        _R,
        "端口打不开",
        "its port cannot be opened",
        "检查数据线和 scanner.port；停止 hexiao 后再运行 hexiao doctor 看原因",
        "check the cable and scanner.port; stop hexiao and run this again to see why",
    ),
    "scanner.not_set_up": Phrase(
        _R,
        "未能启动",
        "could not be started",
        "停止 hexiao 后再运行 hexiao doctor，看设置或缺少的库",
        "stop hexiao and run this again: it says which setting is wrong or what is missing",
    ),
    "scanner.unused": Phrase(
        _G, "由收银界面打开时使用", "opened by the counter screen, which is not running"
    ),
    "scanner.keyboard": Phrase(_G, "键盘式，{port} 可读", "a keyboard, {port} can be read"),
    "scanner.denied": Phrase(
        _R,
        "键盘式，但本用户不能读 {port}",
        "a keyboard, but this account may not read {port}",
        "把本用户加入 input 组（usermod -aG input），然后重新登录",
        "add this account to the group input (usermod -aG input), then log in again",
    ),
    "printer.answers": Phrase(_G, "有应答（{who}）", "it answers ({who})"),
    "printer.mute": Phrase(
        _R,
        "端口已打开，但打印机没有应答",
        "the port opens, but the printer answers nothing",
        "打开打印机电源；检查数据线和配置中的波特率；从不应答的型号用 silent-58",
        "switch it on; check the cable and the profile's baud rate; for a model that never answers"
        ' use printer.profile = "silent-58"',
    ),
    "printer.mute_as_said": Phrase(
        _G, "没有应答，与配置相符", "it answers nothing, as the profile says"
    ),
    "printer.unheard": Phrase(
        _A,
        "配置 {profile} 中的 {missing} 没有应答",
        "the profile {profile} expects {missing}, which did not answer",
        "换一个 printer.profile，或复制配置文件并从 status 中去掉 {missing}",
        "choose another printer.profile, or copy the profile and take {missing} out of its status",
    ),
    "printer.confirmed": Phrase(_G, "逐段确认出纸（{how}）", "slips are confirmed by {how}"),
    "printer.proved": Phrase(
        _G,
        "打印中途断电一定会发现（打印机宏）",
        "power that fails in the middle of a slip is noticed, however briefly (by its macro)",
    ),
    "printer.unproved": Phrase(
        _G,
        "打印中途断电超过四分之一秒会发现（打印机没有宏）",
        "power that fails in the middle of a slip is noticed after a quarter of a second (the"
        " printer has no macro)",
    ),
    "printer.macro_unused": Phrase(
        _A,
        "打印机有宏，配置 {profile} 没有使用",
        "the printer has a macro, the profile {profile} does not use it",
        '在配置文件里写 continuity = "macro"，短暂断电也能发现',
        'set continuity = "macro" in the profile, so that a short loss of power is noticed too',
    ),
    "printer.unwatched": Phrase(
        _A,
        "打印中途断电不会发现：打印机没有宏，端口看不到 CTS；每张小票由操作员查看",
        "power that fails in the middle of a slip is not noticed: the printer has no macro and the"
        " port shows no CTS; the clerk looks at each slip",
        '复制配置文件 {profile} 并写 flow = "none"，或换一个能看到 CTS 的接口',
        'copy the profile {profile} and set flow = "none" in it, or use an adapter that shows CTS',
    ),
    "printer.unconfirmed": Phrase(
        _A,
        "小票无法确认",
        "slips cannot be confirmed",
        "每张小票由操作员查看是否打印完整",
        "the clerk looks at each slip",
    ),
    "printer.other_confirm": Phrase(
        _A,
        "配置 {profile} 写的是 confirm = {claims}，打印机实际是 {knows}",
        "the profile {profile} says confirm = {claims}, the printer knows {knows}",
        '不影响打印；要消除提示，换一个 printer.profile，或复制配置文件并写 confirm = "{knows}"',
        "slips are printed all the same; to end this, choose another printer.profile, or copy the"
        ' profile with confirm = "{knows}"',
    ),
    "printer.better_profile": Phrase(
        _A,
        "配置 {name} 更适合这台打印机",
        "the profile {name} fits this printer better",
        '在设置中写 printer.profile = "{name}"，再运行 hexiao print-test',
        'set printer.profile = "{name}", then run hexiao print-test',
    ),
    "printer.font": Phrase(_G, "生僻字用 {path} 绘制", "rare characters are drawn with {path}"),
    "printer.no_font.all": Phrase(
        _R,
        "这台打印机的汉字要由本机绘制，但本机没有中文字体",
        "every line is drawn for this printer, and this machine has no Chinese font",
        "安装 fonts-noto-cjk，或在配置文件中写 font",
        "install fonts-noto-cjk, or set font in the profile",
    ),
    "printer.no_font.many": Phrase(
        _A,
        "本机没有中文字体：打印机字库以外的字（人名中常见）会打成方框",
        "no Chinese font on this machine: characters the printer lacks, common in names, come out"
        " as boxes",
        "安装 fonts-noto-cjk，或在配置文件中写 font",
        "install fonts-noto-cjk, or set font in the profile",
    ),
    "printer.no_font.few": Phrase(
        _G,
        "本机没有中文字体：极少数生僻字会打成方框",
        "no Chinese font on this machine: the rarest characters come out as boxes",
    ),
    "scanner.typing": Phrase(
        _R,
        "设置的是串口扫码枪，但发现一个键盘：{name}",
        "a serial scanner is set, but there is a keyboard: {name}",
        "用扫码枪扫说明书上的 USB-CDC（虚拟串口）设置码",
        "scan the code for USB-CDC (virtual serial port) in the scanner's manual",
    ),
    "display.none": Phrase(_G, "没有设置", "none is set"),
    "display.shown": Phrase(
        _A,
        "已发送测试文字",
        "a test text was sent to it",
        "看一下：应显示两行；没有显示就换 display.family 或波特率",
        "look at it: it shows two lines; if not, try another display.family or baud rate",
    ),
    "display.stuck": Phrase(_R, "不接收数据", "it takes no bytes", "检查数据线", "check its cable"),
    "display.held": Phrase(_G, "由收银界面使用", "held by the counter screen"),
    "reader.none": Phrase(_G, "没有启用（默认）", "off, as by default"),
    "reader.on": Phrase(
        _G,
        "已启用：身份证号是敏感个人信息，须依法告知顾客并取得同意"
        "（docs/devices.md，ID cards and the law）",
        "on: ID numbers are sensitive personal information, the customer must be told and agree"
        " (docs/devices.md, ID cards and the law)",
    ),
    "reader.ready": Phrase(_G, "就绪", "ready"),
    "reader.lost": Phrase(
        _R,
        "断开，或没有应答",
        "lost, or it answers nothing",
        "检查电源、数据线和 id_card.port；停止 hexiao 后再运行 hexiao doctor 看原因",
        "check power, cable and id_card.port; stop hexiao and run this again to see why",
    ),
    "reader.not_set_up": Phrase(
        _R,
        "未能启动",
        "could not be started",
        "停止 hexiao 后再运行 hexiao doctor，看设置或缺少的库",
        "stop hexiao and run this again: it says which setting is wrong or what is missing",
    ),
    "reader.unused": Phrase(
        _G, "已设置，收银界面打开时使用", "set; the counter screen uses it when it is open"
    ),
    "card.ready": Phrase(_G, "就绪", "ready"),
    "card.mute": Phrase(
        _R,
        "没有应答",
        "it answers nothing",
        "检查电源、数据线和波特率",
        "check power, cable and baud rate",
    ),
    "card.broken": Phrase(
        _R,
        "读卡器报告 {status}",
        "it says {status}",
        "安全模块不能工作：联系供应商",
        "its security module is not working: return it",
    ),
    "surroundings.modems": Phrase(
        _A,
        "ModemManager 正在运行：它会向新接入的串口设备发送约 10 秒调制解调器命令",
        "ModemManager is running: it sends modem commands to new serial devices for 10 s",
        '停用它，或加一条 udev 规则：ENV{{ID_MM_DEVICE_IGNORE}}="1"',
        'stop it, or add a udev rule with ENV{{ID_MM_DEVICE_IGNORE}}="1" for the device',
    ),
    "surroundings.brltty": Phrase(
        _R,
        "brltty 正在运行：它会抢走 CH340 和 CP210x 转接线",
        "brltty is running: it takes CH340 and CP210x adapters away",
        "卸载软件包 brltty",
        "remove the package brltty",
    ),
    "surroundings.group": Phrase(
        _A,
        "本用户不在 {name} 组，可能打不开设备",
        "this account is not in the group {name}: its devices may be closed to it",
        "usermod -aG {name} 用户名，然后重新登录",
        "usermod -aG {name} ACCOUNT, then log in again",
    ),
    "surroundings.clear": Phrase(_G, "没有妨碍设备的程序", "nothing gets in the way"),
    "port.opens": Phrase(_G, "{port} 可以打开", "{port} opens"),
    "port.unlasting": Phrase(
        _A,
        "{port} 这个名字会随插线顺序改变",
        "{port} is a name that changes with the order of plugging",
        '在设置中改写为 "{name}"',
        'write "{name}" in the settings instead',
    ),
    "port.denied": Phrase(
        _R,
        "没有权限打开端口（{why}）",
        "{why}",
        "把本用户加入 dialout 组（usermod -aG dialout），然后重新登录",
        "add this account to the group dialout (usermod -aG dialout), then log in again",
    ),
    "port.claimed": Phrase(
        _R,
        "端口被其他程序占用（{why}）",
        "{why}",
        "停止那个程序，或换一个端口",
        "stop the other program, or choose another port",
    ),
    "port.wrong": Phrase(
        _R, "端口设置有误（{why}）", "{why}", "改正设置中的端口", "correct the port in the settings"
    ),
    "port.missing": Phrase(
        _R,
        "端口不存在（{why}）",
        "{why}",
        "插好设备并打开电源；现在接着的串口设备：{there}",
        "plug the device in and switch it on; serial devices that are plugged in now: {there}",
    ),
}
"""By the name of the check and of the finding; what begins with `port` is of any check."""
