"""Every setting, typed, with its default.

Responsible for: names, types, bounds and meaning of settings. Not responsible for: reading files.
Invariant: `config/default.toml` shows exactly these settings with exactly these defaults.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Name = Annotated[str, Meta(max_length=200)]
Port = Annotated[str, Meta(max_length=1_000)]
"""A path, COM name or URL; the URL of an emulated device holds paths."""
IssuerPattern = Annotated[str, Meta(max_length=200, pattern=r"^(?!.*\*.*\*)[^{}]*\{code\}[^{}]*$")]
"""`vouchers.patterns`: a text with `{code}` where the digits are and at most one `*`."""


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the settings file; a name it does not know is an error."""


class Paths(Section, frozen=True, kw_only=True):
    """Where the terminal keeps what it must not lose."""

    data: str = "data"
    """The data directory (0700): databases, keys, spool. Relative to the settings file."""
    witness: str = ""
    """A second place for the journal's head, best on another medium; empty: in the data dir."""


class Central(Section, frozen=True, kw_only=True):
    """The service this terminal syncs with; its address is fixed at enrolment."""

    enabled: bool = True
    """Whether to talk to central at all."""
    insecure_http: bool = False
    """Allow http beyond this machine, for labs; shown in red."""
    database: str = ""
    """For `hexiao central`: the database URL; empty: sqlite beside the settings file."""
    host: str = "127.0.0.1"
    """For `hexiao central serve`: the address to listen on."""
    port: Annotated[int, Meta(ge=0, le=65535)] = 8420
    """For `hexiao central serve`: 0 takes a free port and prints it."""
    public_url: str = ""
    """For `hexiao central enrol-code`: the address terminals use; empty: that of `serve`."""
    log: Literal["text", "json"] = "text"
    """For `hexiao central serve` and `jobs run`: the log's lines, for people or for machines."""


class Printer(Section, frozen=True, kw_only=True):
    """The receipt printer."""

    port: Port = ""
    """Path, COM name or URL such as `socket://host:9100`; empty: no printer."""
    profile: Name = "generic-80-gb18030"
    """One of config/devices, without `.toml`; or a file of your own, with it."""


class Scanner(Section, frozen=True, kw_only=True):
    """The scanner on a serial line; a keyboard wedge needs no setting."""

    port: Port = ""
    profile: Name = "generic-serial"
    url_parameters: tuple[Name, ...] = ("code", "yph")
    """Parameters of a scanned web link that carry the code; the link is never opened."""
    issuer_patterns: tuple[IssuerPattern, ...] = ()
    """What else may stand around a code, such as qr{code} or https://v.example/v/{code}*."""
    gs1_identifier: Annotated[str, Meta(pattern=r"^([0-9]{2,4})?$")] = ""
    """The GS1 application identifier that carries the code, such as 21; empty: none."""
    wedge_gap_ms: Annotated[int, Meta(ge=10, le=200)] = 35
    """A scanner that types: its keys are at most so far apart. `hexiao scan-test` measures it."""
    wedge_prefix: Annotated[str, Meta(pattern=r"^[!-~]{0,8}$")] = ""
    """A preamble that a typing scanner was programmed to send; it makes every scan certain."""


class Display(Section, frozen=True, kw_only=True):
    """A customer display of two lines. No personal data is ever shown there."""

    port: Port = ""
    """Path, COM name or URL; empty: none."""
    family: Literal["cd5220", "escpos", "text"] = "cd5220"
    """How it is spoken to; text is for Chinese LED panels that take plain lines."""
    columns: Annotated[int, Meta(ge=8, le=80)] = 20
    charset: Literal["ascii", "gb18030", "utf-8"] = "ascii"
    """Other than ascii only for panels with a Chinese font; it then speaks Chinese."""
    baud: Annotated[int, Meta(ge=300, le=921600)] = 9600


class IdCard(Section, frozen=True, kw_only=True):
    """An ID card reader. Off unless a port is set: read the note on personal data first."""

    port: Port = ""
    """Path, COM name or URL; empty: off."""
    baud: Annotated[int, Meta(ge=300, le=921600)] = 115200


class Receipt(Section, frozen=True, kw_only=True):
    """The slip."""

    language: Literal["zh", "en", "both"] = "zh"
    header: tuple[Name, ...] = ()
    """Lines above the slip, such as the shop's name."""
    footer: tuple[Name, ...] = ()
    logo: str = ""
    """A picture file for the top of every slip, relative to the settings file; empty: none."""
    template: str = ""
    """A folder with the shop's own redeemed.toml and reversed.toml; empty: those of `language`."""
    backlog_minutes: Annotated[int, Meta(ge=0, le=10_080)] = 15
    """After an outage, older slips are not printed by themselves but stay in the history."""


class Keys(Section, frozen=True, kw_only=True):
    """Where the database key comes from; chosen once, at enrolment, and recorded."""

    source: Literal["auto", "credential", "keyring", "passphrase", "file"] = "auto"
    """auto: a systemd credential if the service was given one, else a file of its own (0600)."""


class Kiosk(Section, frozen=True, kw_only=True):
    """The counter screen."""

    language: Literal["zh", "en"] = "zh"
    clerk: Annotated[str, Meta(pattern=r"^[A-Za-z0-9:_.@-]{0,64}$")] = ""
    """Who stands at the counter until people sign in; empty: the POSID's own."""
    sound: bool = True


class Disk(Section, frozen=True, kw_only=True):
    """What must stay free before a redemption is refused rather than risked."""

    min_free_mb: Annotated[int, Meta(ge=0, le=100_000)] = 16


class Settings(Section, frozen=True, kw_only=True):
    """The whole file."""

    paths: Paths = Paths()
    central: Central = Central()
    printer: Printer = Printer()
    scanner: Scanner = Scanner()
    display: Display = Display()
    id_card: IdCard = IdCard()
    receipt: Receipt = Receipt()
    keys: Keys = Keys()
    kiosk: Kiosk = Kiosk()
    disk: Disk = Disk()
