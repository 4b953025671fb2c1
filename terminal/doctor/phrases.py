"""What the doctor says, with its colour and what to do about it, in both languages.

Responsible for: the words. Not responsible for: when they are said. Invariants: a phrase has the
same fields in both languages; what is amber or red says what to do.
"""

from typing import Final

from terminal.doctor.phrase import Level, Phrase
from terminal.doctor.phrases_devices import DEVICE_PHRASES

_G, _A, _R = Level.GREEN, Level.AMBER, Level.RED

CHECKS: Final = {
    "settings": ("设置", "settings"),
    "directory": ("数据目录", "data directory"),
    "space": ("磁盘空间", "disk space"),
    "flush": ("磁盘写入", "disk flush"),
    "enrolment": ("登记", "enrolment"),
    "key": ("数据库密钥", "database key"),
    "database": ("数据库", "database"),
    "journal": ("流水账", "journal"),
    "witness": ("见证", "witness"),
    "clock": ("时钟", "clock"),
    "replica": ("券数据", "voucher list"),
    "sync": ("同步", "sync"),
    "queue": ("待上传", "to be sent"),
    "printer": ("打印机", "printer"),
    "scanner": ("扫码枪", "scanner"),
    "display": ("顾客屏", "customer display"),
    "reader": ("身份证读卡器", "ID card reader"),
    "surroundings": ("运行环境", "surroundings"),
}
"""The checks by their machine names, as people read them."""

PHRASES: Final[dict[str, Phrase]] = {
    "unchecked": Phrase(
        _R,
        "无法检查：{why}",
        "cannot be checked: {why}",
        "按上面的提示处理后再运行一次；不要删除数据目录中的任何文件",
        "deal with that and run this again; delete nothing in the data directory",
    ),
    "settings.file": Phrase(_G, "使用 {path}", "from {path}"),
    "settings.none": Phrase(
        _A,
        "没有设置文件，全部使用默认值",
        "no settings file: everything is at its default",
        "写一个 hexiao.toml，或用 --config 指定",
        "write a hexiao.toml, or name one with --config",
    ),
    "directory.private": Phrase(_G, "{path}，仅本用户可读", "{path}, private to its owner"),
    "directory.open": Phrase(
        _R,
        "{path} 可被其他用户读取（权限 {mode}）",
        "{path} can be read by others (mode {mode})",
        "改为 0700：chmod 700；若磁盘格式不支持权限，请换一个目录",
        "make it 0700 (chmod 700); on a file system without modes choose another place",
    ),
    "directory.foreign": Phrase(
        _A,
        "{path} 属于另一个用户",
        "{path} belongs to another account",
        "用拥有该目录的用户运行 hexiao",
        "run hexiao as the account that owns it",
    ),
    "space.enough": Phrase(_G, "剩余 {mb} MB", "{mb} MB free"),
    "space.low": Phrase(
        _A,
        "只剩 {mb} MB，低于 {limit} MB 将停止核销",
        "only {mb} MB free; below {limit} MB nothing is redeemed",
        "清理磁盘；不要动数据目录",
        "free some space; leave the data directory alone",
    ),
    "space.out": Phrase(
        _R,
        "只剩 {mb} MB，不足 {limit} MB，现在不能核销",
        "only {mb} MB free of the {limit} MB needed: nothing is redeemed",
        "立即清理磁盘；不要动数据目录",
        "free some space now; leave the data directory alone",
    ),
    "flush.good": Phrase(
        _G,
        "落盘 {p50} µs（99% 在 {p99} µs 内）",
        "a flush takes {p50} µs (99 in 100 below {p99} µs)",
    ),
    "flush.lies": Phrase(
        _A,
        "落盘只用 {p50} µs，磁盘可能没有真正写入：断电可能丢失已完成的核销",
        "a flush takes only {p50} µs: this disk may not write what it says, and a power cut may"
        " lose what was redeemed",
        "换一块有掉电保护的磁盘，或关闭其写缓存；把 paths.witness 放到另一介质",
        "use a disk that keeps its word, or switch its write cache off; put paths.witness on"
        " another medium",
    ),
    "flush.slow": Phrase(
        _A,
        "落盘需 {p50} µs（99% 在 {p99} µs 内），每次核销都要等它",
        "a flush takes {p50} µs (99 in 100 below {p99} µs), and each redemption waits for one",
        "换用固态硬盘，或停掉占用磁盘的程序",
        "use a solid-state disk, or stop what keeps this one busy",
    ),
    "enrolment.none": Phrase(
        _R,
        "本机尚未登记",
        "this terminal is not enrolled",
        "向总部索取配对码，运行 hexiao enrol URL CODE",
        "ask head office for a pairing code and run `hexiao enrol URL CODE`",
    ),
    "enrolment.good": Phrase(
        _G,
        "{posid}，网点 {outlet}，第 {epoch} 期",
        "{posid} at {outlet}, epoch {epoch}",
    ),
    "enrolment.fenced": Phrase(
        _R,
        "总部已停用本机当前的流水（{why}），不能核销",
        "central has stopped this journal ({why}): nothing can be redeemed",
        "向总部索取配对码，运行 hexiao enrol URL CODE",
        "ask head office for a pairing code and run `hexiao enrol URL CODE`",
    ),
    "key.good": Phrase(_G, "来源：{source}", "from: {source}"),
    "key.file": Phrase(
        _A,
        "密钥是同一磁盘上的文件：磁盘被盗时加密没有作用（券数据另有一层保护）",
        "the key is a file on the same disk: encryption does not help when the disk is stolen"
        " (vouchers are sealed once more)",
        "下次登记时用 systemd 凭据、密钥环或口令（keys.source）",
        "at the next enrolment use a systemd credential, a keyring or a passphrase (keys.source)",
    ),
    "key.open": Phrase(
        _R,
        "{path} 可被其他用户读取（权限 {mode}）",
        "{path} can be read by others (mode {mode})",
        "改为 0600：chmod 600",
        "make it 0600 (chmod 600)",
    ),
    "database.good": Phrase(
        _G,
        "SQLite {sqlite}，{modes}",
        "SQLite {sqlite}, {modes}",
    ),
    "journal.gone": Phrase(
        _R,
        "本机已登记，但流水账文件不见了",
        "this terminal is enrolled, but its journal is gone",
        "不要重新登记；先找回 {name}（移动过目录？换过磁盘？），找不到再联系总部",
        "do not enrol anew yet: look for {name} (was it moved, or the disk changed?), then ask"
        " head office",
    ),
    "journal.unreadable": Phrase(
        _R,
        "打不开流水账：{why}",
        "the journal does not open: {why}",
        "保留整个数据目录，运行 hexiao journal rescue --out FILE；不行就把目录交给总部"
        "（journal.recovery 可解开）",
        "keep the whole data directory and run `hexiao journal rescue --out FILE`; if that fails"
        " too, give the directory to head office (journal.recovery opens it there)",
    ),
    "journal.broken": Phrase(
        _R,
        "流水账不完整：{why}",
        "the journal does not hold together: {why}",
        "不要删除；运行 hexiao journal rescue --out FILE 并交给总部",
        "do not delete it; run `hexiao journal rescue --out FILE` and give the file to head office",
    ),
    "journal.good": Phrase(
        _G,
        "{count} 条记录首尾相连，最新 {head}",
        "{count} entries hold together, head {head}",
    ),
    "journal.tail": Phrase(
        _G,
        "最近 {count} 条记录首尾相连，最新 {head}（全部记录在启动时检查）",
        "the last {count} entries hold together, head {head} (all were checked at the start)",
    ),
    "witness.agrees": Phrase(_G, "与流水账一致", "agrees with the journal"),
    "witness.behind": Phrase(
        _A,
        "停在第 {seq} 条，最近没有写入",
        "stands at entry {seq}: it was not written lately",
        "检查见证所在的介质（paths.witness）是否插好、可写",
        "see that its medium (paths.witness) is there and can be written",
    ),
    "witness.missing": Phrase(
        _A,
        "没有见证文件，恢复旧备份时发现不了",
        "there is none, so a journal put back from a backup would not be noticed here",
        "检查 paths.witness 所在介质；下一次核销会重新写入",
        "see that the medium of paths.witness is there; the next redemption writes it again",
    ),
    "witness.ahead": Phrase(
        _R,
        "见证比流水账新（第 {epoch} 期第 {seq} 条）：流水账是从旧备份恢复的",
        "it is ahead of the journal (epoch {epoch}, entry {seq}): the journal was put back from a"
        " backup",
        "向总部索取配对码，运行 hexiao enrol URL CODE；总部保留已上传的部分",
        "ask head office for a pairing code and run `hexiao enrol URL CODE`; central keeps what"
        " it has",
    ),
    "clock.central": Phrase(_G, "按总部签名的时间走", "goes by central's signed time"),
    "clock.machine": Phrase(_G, "按本机时间走，看不出问题", "goes by this machine, plausibly"),
    "clock.off": Phrase(
        _A,
        "本机时间与可信时间相差 {minutes} 分钟",
        "this machine's clock is {minutes} minutes off",
        "打开网络校时（NTP）",
        "switch network time (NTP) on",
    ),
    "clock.suspect": Phrase(
        _A,
        "时钟不可信：异店限额为 0，有效期只按已证实的时间判断",
        "cannot be believed: nothing of other outlets is redeemed, and validity goes by what is"
        " proven only",
        "接通网络同步一次，或校正本机时间后重启 hexiao",
        "connect to the network once, or set this machine's clock and start hexiao again",
    ),
    "replica.good": Phrase(_G, "{hours} 小时前更新", "confirmed {hours} hours ago"),
    "replica.old": Phrase(
        _A,
        "{hours} 小时没有更新，超过 {limit} 小时将停止核销",
        "{hours} hours old; beyond {limit} hours nothing is redeemed",
        "接通网络，运行 hexiao sync",
        "connect to the network and run `hexiao sync`",
    ),
    "replica.too_old": Phrase(
        _R,
        "{hours} 小时没有更新（上限 {limit} 小时），现在不能核销",
        "{hours} hours old, with a limit of {limit}: nothing is redeemed",
        "接通网络，运行 hexiao sync",
        "connect to the network and run `hexiao sync`",
    ),
    "replica.none": Phrase(
        _R,
        "还没有券数据",
        "there is none yet",
        "接通网络，运行 hexiao sync",
        "connect to the network and run `hexiao sync`",
    ),
    "replica.damaged": Phrase(
        _R,
        "已损坏：{why}",
        "it is damaged: {why}",
        "接通网络，运行 hexiao sync 重新下载；已完成的核销不受影响",
        "connect to the network and run `hexiao sync`: it is downloaded again; what was redeemed"
        " is safe",
    ),
    "sync.none": Phrase(_G, "本机不连接总部", "this terminal works without central"),
    "sync.missing": Phrase(
        _A,
        "没有安装同步部分，流水无法上传",
        "this installation has no sync: the journal is not sent",
        "重新完整安装",
        "install all of hexiao",
    ),
    "sync.good": Phrase(_G, "总部 {url} 应答正常", "central answers at {url}"),
    "sync.away": Phrase(
        _A,
        "总部 {url} 没有应答：{why}",
        "central does not answer at {url}: {why}",
        "检查网络；在限额内可以继续离线核销",
        "check the network; redeeming goes on offline within its limits",
    ),
    "sync.refused": Phrase(
        _R,
        "总部拒绝本机：{why}",
        "central refuses this terminal: {why}",
        "联系总部；可能需要重新登记",
        "ask head office; this terminal may have to be enrolled anew",
    ),
    "sync.wrong": Phrase(
        _R,
        "总部地址不能用：{why}",
        "central's address cannot be used: {why}",
        "用正确的地址重新登记",
        "enrol again with the right address",
    ),
    "queue.empty": Phrase(_G, "没有", "nothing"),
    "queue.some": Phrase(_G, "{count} 条记录待上传", "{count} entries not yet acknowledged"),
    "queue.near": Phrase(
        _A,
        "{count} 条记录待上传，离线限额已用 {used}%",
        "{count} entries not yet acknowledged; {used}% of an offline limit is used",
        "尽快接通网络，运行 hexiao sync",
        "connect to the network soon and run `hexiao sync`",
    ),
    "queue.full": Phrase(
        _R,
        "{count} 条记录待上传，离线限额已用完，不能再核销",
        "{count} entries not yet acknowledged, and an offline limit is used up: nothing is"
        " redeemed",
        "接通网络，运行 hexiao sync",
        "connect to the network and run `hexiao sync`",
    ),
    **DEVICE_PHRASES,
}
"""By the name of the check and of the finding; `unchecked` and `port` are of any check."""
