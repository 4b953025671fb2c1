"""`hexiao demo`: the whole thing on one machine, with sample vouchers.

Responsible for: settings with embedded defaults, central as a process of its own, pairing, samples
and the emulated devices (design, section 5). Not responsible for: what central's samples are
(`hexiao central demo-seed`). Invariants: run again on the same directory it goes on; afterwards the
ordinary commands work on its settings files, with or without central.
"""

import json
import socket
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from config.loader import load
from drivers import emulated
from terminal import commands_run, words
from terminal.commands_run import Serves
from terminal.desk import DONE, Io
from terminal.errors import OutOfService
from terminal.place import Place
from terminal.station import Station
from vouchers.reasons import Reason, Refusal

POSID: Final = "T1"
_LANGUAGES: Final = (words.Language.ZH, words.Language.EN)
_STOP_S: Final = 10.0

_TERMINAL_TOML: Final = """\
# Made by `hexiao demo`; the ordinary commands work with it: hexiao kiosk --config THIS
[paths]
data = "terminal"

[printer]
port = "emulated://printer?name=demo&columns=32&paper={paper}&control={orders}"
profile = "emulated"

[scanner]
port = "emulated://scanner?name=demo&feed={feed}"
profile = "emulated"

[receipt]
language = "both"
header = ["hexiao demo"]

[kiosk]
language = "{language}"
"""

_ID_CARD_TOML: Final = """
[id_card]
port = "emulated://idcard?name=demo&feed={cards}"
"""

_CENTRAL_TOML: Final = """\
# Made by `hexiao demo`: hexiao central serve --config THIS
[central]
database = "sqlite:///central.db"
host = "127.0.0.1"
port = {port}
"""


def demo(args: Namespace, io: Io, serves: Serves) -> int:
    """Start everything; show the kiosk, or say where everything is and wait for a signal."""
    demo_dir = _Directory(Path(args.dir).resolve())
    demo_dir.prepare(args.language, id_card=args.id_card)
    seeded = None if demo_dir.enrolled() else demo_dir.seed()
    with demo_dir.central_process() as url:
        demo_dir.enrol(url)
        loaded = load(str(demo_dir.config))
        emulated.register()
        with commands_run.held_station(loaded, serves, wait_s=args.wait) as station:
            _sync(station)
            if seeded is None:
                # What was redeemed while central was away is known to it only now.
                seeded = demo_dir.seed()
                _sync(station)
            if args.headless:
                return _headless(demo_dir, url, seeded, args, io)
            samples = [*_samples(seeded)]
            return commands_run.show(station, plain=args.plain, samples=samples)


def _headless(
    demo_dir: "_Directory", url: str, seeded: dict[str, Any], args: Namespace, io: Io
) -> int:
    with commands_run.signalled() as ended:
        said = {
            "central": url,
            "config": str(demo_dir.config),
            "central_config": str(demo_dir.central_config),
            "vouchers": seeded["vouchers"],
            "refused": seeded["refused"],
        }
        if args.json:
            io.json(said)
        else:
            io.out(_for_people(said))
        ended.wait()
    return DONE


def _for_people(said: dict[str, Any]) -> str:
    lines = [f"central   {said['central']}", f"settings  {said['config']}", ""]
    lines += [f"{v['code']}  {v['last4']}  {v['shares']} left" for v in said["vouchers"]]
    lines += ["", *(f"{v['code']}  {v['last4']}  {v['reason']}" for v in said["refused"]), ""]
    return "\n".join(lines)


def _samples(seeded: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    by_shares = sorted(seeded["vouchers"], key=lambda sample: -int(sample["shares"]))
    for sample in by_shares:
        shares = int(sample["shares"])
        zh, en = (words.shares(shares, language) for language in _LANGUAGES)
        yield sample["code"], sample["last4"], zh, en
    for sample in seeded["refused"]:
        refusal = Refusal(Reason(sample["reason"]))
        zh, en = (words.title(refusal, language) for language in _LANGUAGES)
        yield sample["code"], sample["last4"], zh, en


def _sync(station: Station) -> None:
    """Without a look at central there is nothing to redeem."""
    assert station.syncing is not None
    result = station.syncing.once()
    if result.replica_age_s is None:
        raise OutOfService(f"the demo's central did not answer: {result.error}")


class _Directory:
    """The files of a demo."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config = root / "hexiao.toml"
        self.central_config = root / "central.toml"

    def prepare(self, language: str | None, *, id_card: bool = False) -> None:
        """Write settings where there are none, and make central's database."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise OutOfService(f"{self.root} cannot be made: {error.strerror}") from error
        if not self.config.exists() or language is not None or id_card:
            text = _TERMINAL_TOML.format(
                paper=self.root / "slip.txt",
                orders=self.root / "printer",
                feed=self.root / "scan",
                language=language or "zh",
            )
            text += _ID_CARD_TOML.format(cards=self.root / "cards") if id_card else ""
            self.config.write_text(text, encoding="utf-8")
        if not self.central_config.exists():
            text = _CENTRAL_TOML.format(port=_free_port())
            self.central_config.write_text(text, encoding="utf-8")
        if not (self.root / "central.db").exists():
            self._central("init", "--name", "面包房 Bakery", "--vault-cost", "light")

    def seed(self) -> dict[str, Any]:
        """Top the samples up."""
        found = json.loads(self._central("demo-seed", "--json"))
        assert isinstance(found, dict)
        return found

    def enrolled(self) -> bool:
        """Whether this demo ran before."""
        return Place(load(str(self.config))).data.identity.exists()

    def enrol(self, url: str) -> None:
        """Pair the terminal, once."""
        if self.enrolled():
            return
        place = Place(load(str(self.config)))
        from terminal.enrol import enrol

        made = json.loads(self._central("enrol-code", "--outlet", "1", "--posid", POSID, "--json"))
        enrol(place.data, url, made["code"], key_source="file", insecure_http=False)

    @contextmanager
    def central_process(self) -> Iterator[str]:
        """Central, as a process; ended with the demo. Answers its address."""
        log = (self.root / "central.log").open("ab")
        with (
            log,
            subprocess.Popen(
                self._command("serve", "--json"), stdout=subprocess.PIPE, stderr=log
            ) as process,
        ):
            try:
                yield self._address(process)
            finally:
                process.terminate()
                try:
                    process.wait(_STOP_S)
                except subprocess.TimeoutExpired:
                    process.kill()

    def _address(self, process: "subprocess.Popen[bytes]") -> str:
        assert process.stdout is not None
        line = process.stdout.readline()
        said = json.loads(line) if line else {}
        if "url" not in said:
            why = said.get("message", f"see {self.root / 'central.log'}")
            raise OutOfService(f"the demo's central did not start: {why}")
        return str(said["url"])

    def _central(self, *words: str) -> str:
        done = subprocess.run(
            self._command(*words), capture_output=True, text=True, timeout=300, check=False
        )
        if done.returncode != DONE:
            raise OutOfService(
                f"`hexiao central {words[0]}` failed: {done.stderr.strip() or done.stdout.strip()}"
            )
        return done.stdout

    def _command(self, *words: str) -> list[str]:
        config = ["--config", str(self.central_config)]
        return [sys.executable, "-m", "hexiao", "central", *words, *config]


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    assert isinstance(port, int)
    return port
