"""The stand-alone verifier against a corpus of journals, and against what a terminal exports.

Goal: every way in which a journal can be broken is found and named, and nothing else is. Method:
the files of tests/vectors/journals, made by a second reading of the contract; the export of a real
terminal; bit flips everywhere; the verifier's folder copied to where there is nothing else.
"""

from __future__ import annotations

import ast
import json
import random
import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from terminal import cli, export
from terminal import verify_journal as package
from terminal.outcomes import Redeemed
from terminal.verify_journal import Anchors, verify_file
from terminal.verify_journal.chain import LISTED_MAX, verify
from terminal.verify_journal.form import LINE_BYTES_MAX, UnusableError, unb64u
from tests.terminal.shop import Shop, close
from tests.vectors.journals import make
from vouchers.ids import b64u

FOLDER = Path(make.__file__).parent
CORPUS: list[dict[str, Any]] = json.loads((FOLDER / "corpus.json").read_text("ascii"))
STATUS = {"holds": 0, "broken": 1, "unusable": 2}


def checked(path: Path, key: str, anchors: Anchors | None = None) -> tuple[int, dict[str, Any]]:
    """Run the verifier as a program would; its exit status and its one JSON object."""
    written: list[str] = []
    status = verify_file(
        str(path), key, as_json=True, out=written.append, err=written.append, anchors=anchors
    )
    (line,) = written
    return status, json.loads(line)


def said(path: Path, key: str, *, anchors: Anchors | None = None) -> tuple[int, str, str]:
    """Run the verifier as a person would: status, standard output, standard error."""
    out: list[str] = []
    err: list[str] = []
    status = verify_file(
        str(path), key, as_json=False, out=out.append, err=err.append, anchors=anchors
    )
    return status, "".join(out), "".join(err)


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case["file"])
def test_corpus(case: dict[str, Any]) -> None:
    """Each file gets exactly the verdict, the findings and the warnings that it was made for."""
    anchors = Anchors(tuple(case["heads"]), case["since"], case["previous_head"])
    status, answer = checked(FOLDER / case["file"], case["key"], anchors)
    assert status == STATUS[case["verdict"]]
    assert answer["ok"] is (status == 0)
    for name in ("findings", "warnings"):
        found = [[one["line"], one["seq"], one["check"]] for one in answer.get(name, [])]
        assert found == case[name], name


def test_corpus_is_made_by_its_maker() -> None:
    """The committed files are what make.py makes, no more and no fewer."""
    committed = {
        path.name: path.read_bytes().decode() for path in FOLDER.iterdir() if ".json" in path.name
    }
    assert committed == make.files()


def test_the_maker_knows_nothing_of_ours() -> None:
    """A corpus made by the writer of journals would agree with its mistakes."""
    assert imports(FOLDER / "make.py").isdisjoint({"vouchers", "terminal", "central", "sync"})


def imports(path: Path) -> set[str]:
    """Top-level names that a file imports; relative imports are its own folder's."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(str(node.module).partition(".")[0])
    return found


def test_verifier_shares_no_code_with_the_writer() -> None:
    """It imports the standard library, cryptography and its own folder."""
    files = sorted(Path(package.__file__).parent.glob("*.py"))
    assert len(files) > 2
    used = set().union(*map(imports, files)) - set(sys.stdlib_module_names)
    assert used == {"cryptography"}


def test_runs_alone(tmp_path: Path) -> None:
    """The folder, copied to where nothing else of hexiao is, checks a file."""
    alone = tmp_path / "verify_journal"
    shutil.copytree(Path(package.__file__).parent, alone)
    command = [sys.executable, "-m", "verify_journal", "--key", make.KEY_TEXT, "--head"]
    for head, status in ((make.HEADS[-1], 0), ("0" * 64, 1)):
        result = subprocess.run(
            [*command, head, str(FOLDER / "good.jsonl")],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert (result.returncode, result.stderr) == (status, "")


def test_people_read_where_and_what() -> None:
    """A finding names line, entry and what is wrong; the last line sums up."""
    status, out, err = said(FOLDER / "drop_middle.jsonl", make.KEY_TEXT)
    assert (status, err) == (1, "")
    assert out == (
        "wrong: line 4, entry 5: gap: entries 3 to 4 are missing before it\n"
        "BROKEN: 1 findings in 5 entries\n"
    )


def test_a_file_that_holds_says_what_was_not_seen() -> None:
    """Without an anchor a cut tail cannot show, and the answer says so."""
    status, out, _ = said(FOLDER / "good.jsonl", make.KEY_TEXT)
    assert status == 0
    assert out.endswith("no anchor was given, so a tail that was cut off would not show\n")
    anchors = Anchors((make.HEADS[3][:16], make.HEADS[1]))
    _, out, _ = said(FOLDER / "good.jsonl", make.KEY_TEXT, anchors=anchors)
    assert out.endswith("vouched for by an anchor up to 4\n")


def test_findings_are_listed_up_to_a_limit(tmp_path: Path) -> None:
    """Of many findings the first twenty are written out, all are counted."""
    lines = (FOLDER / "good.jsonl").read_text("utf-8").splitlines()
    path = tmp_path / "many.jsonl"
    path.write_text("\n".join([*lines, *lines[1:] * 5]) + "\n", "utf-8")
    status, answer = checked(path, make.KEY_TEXT)
    assert status == 1
    assert len(answer["findings"]) == LISTED_MAX
    assert answer["broken"] == 35
    assert "and 15 more" in said(path, make.KEY_TEXT)[1]


@pytest.mark.parametrize("end", ["", "\n"])
def test_key_may_stand_in_a_file(tmp_path: Path, end: str) -> None:
    """@FILE is read, with or without a line's end."""
    path = tmp_path / "key"
    path.write_text(make.KEY_TEXT + end)
    assert checked(FOLDER / "good.jsonl", f"@{path}")[0] == 0


@pytest.mark.parametrize(
    ("file", "key", "anchors"),
    [
        ("good.jsonl", "", Anchors()),
        ("good.jsonl", make.KEY_TEXT[:-1], Anchors()),
        ("good.jsonl", make.KEY_TEXT + "=", Anchors()),
        ("good.jsonl", "密" * 43, Anchors()),
        ("good.jsonl", "@no-such-key", Anchors()),
        ("no-such.jsonl", make.KEY_TEXT, Anchors()),
        (".", make.KEY_TEXT, Anchors()),
        ("a\0b", make.KEY_TEXT, Anchors()),
        ("good.jsonl", make.KEY_TEXT, Anchors(heads=("abc",))),
        ("good.jsonl", make.KEY_TEXT, Anchors(heads=("A" * 64,))),
        ("good.jsonl", make.KEY_TEXT, Anchors(since=-1)),
        ("good.jsonl", make.KEY_TEXT, Anchors(previous_head="0" * 16)),
    ],
)
def test_what_cannot_be_checked_is_said(file: str, key: str, anchors: Anchors) -> None:
    """Unusable arguments or files end with 2 and words, in both forms of answer."""
    status, answer = checked(FOLDER / file, key, anchors)
    assert (status, answer["ok"]) == (2, False)
    assert answer["message"]
    assert said(FOLDER / file, key, anchors=anchors)[:2] == (2, "")


def test_every_flipped_bit_is_found(rng: random.Random) -> None:
    """Wherever one bit of a file is flipped, it does not hold; and nothing raises."""
    good = (FOLDER / "good.jsonl").read_bytes()
    key = unb64u(make.KEY_TEXT)
    for _ in range(150):
        at, bit = rng.randrange(len(good)), rng.randrange(8)
        bad = good[:at] + bytes([good[at] ^ 1 << bit]) + good[at + 1 :]
        try:
            report = verify(BytesIO(bad), key, Anchors())
        except UnusableError:
            continue
        assert report.broken_count, f"bit {bit} of byte {at}"


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[" * 100_000,
        b'{"seq":' * 50_000,
        b'{"seq":1e400,"body":"","hash":"","sig":""}',
        b'{"seq":' + b"9" * 5_000 + b',"body":"","hash":"","sig":""}',
        b'{"seq":true,"body":"","hash":"","sig":""}',
        b"\xff\xfe",
        b"x" * (LINE_BYTES_MAX + 10),
    ],
    ids=range(9),
)
def test_hostile_lines_are_findings(line: bytes) -> None:
    """A line that is no entry is named; the ones behind it are still checked."""
    lines = (FOLDER / "good.jsonl").read_bytes().splitlines()
    file = BytesIO(b"\n".join([*lines[:3], line, *lines[3:]]))
    report = verify(file, unb64u(make.KEY_TEXT), Anchors())
    assert {one.check for one in report.broken} == {"line"}
    assert report.last == 7


@pytest.mark.parametrize(
    "body", ['"\\ud800"', '"[[[["', '"[1]"', '"{\\"v\\":1}"', '"' + "[" * 9999 + '"']
)
def test_hostile_bodies_are_findings(body: str) -> None:
    """A body that is nothing, signed or not, is named."""
    zeros, sig = "0" * 64, b64u(bytes(64))
    line = f'{{"seq":1,"body":{body},"hash":"{zeros}","sig":"{sig}"}}\n'
    file = BytesIO((make.text([make.header()]) + line).encode())
    report = verify(file, unb64u(make.KEY_TEXT), Anchors())
    assert [one.check for one in report.broken] == ["hash"]
    signed = make.line(json.loads(body), 1) if "ud800" not in body else None
    if signed is not None:
        file = BytesIO(make.text([make.header(), signed]).encode())
        report = verify(file, unb64u(make.KEY_TEXT), Anchors())
        assert {one.check for one in report.broken} <= {"canonical", "fields"}
        assert report.broken_count


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """What a real terminal exports after some work, and its public key."""
    folder = tmp_path_factory.mktemp("shop")
    shop = Shop(folder / "data")
    counter = shop.open()
    voucher = shop.issue(3)
    for generation in range(2):
        done = counter.redeem_presented(
            voucher.code(generation),
            voucher.last4,
            1,
            clerk="",
            request=f"r{generation}",
            slip=False,
        )
        assert isinstance(done, Redeemed)
    counter.look_up(shop.issue().code(), "0000")
    found = counter.exclusive(
        lambda parts: list(export.lines(parts.journal, epoch=1, since=0, merchant=1, posid="T1"))
    )
    close(counter)
    path = folder / "export.jsonl"
    path.write_text("\n".join(found) + "\n", "utf-8")
    return path, json.loads(found[0])["public_key"]


def test_what_a_terminal_exports_holds(exported: tuple[Path, str]) -> None:
    """Writer and verifier, who share nothing, agree."""
    path, key = exported
    status, answer = checked(path, key)
    assert (status, answer["entries"], answer["warnings"]) == (0, 3, [])


def test_command(exported: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    """`hexiao verify-journal` takes the same anchors and passes the status on."""
    path, key = exported
    head = json.loads(path.read_text("utf-8").splitlines()[-1])["hash"]
    assert cli.main(["verify-journal", str(path), "--key", key, "--head", head, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["anchored_up_to"] == 3
    assert cli.main(["verify-journal", str(path), "--key", make.KEY_TEXT]) == 1
    assert cli.main(["verify-journal", str(path), "--key", key, "--since", "2"]) == 1
    assert cli.main(["verify-journal", str(path), "--key", "no"]) == 2
