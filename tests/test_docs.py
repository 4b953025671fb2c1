"""The documents read by a test: what the program knows must be written down, and hold.

Settings with their defaults, policy numbers, refusal reasons, commands, dependencies, make
targets, links and examples are taken from the program and looked up in the documents.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from central import cli
from config.loader import read
from config.schema import Settings
from terminal import arguments
from vouchers.booking import Verdict
from vouchers.policy import Policy
from vouchers.reasons import Reason

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted(
    path
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("tests/**/*.md")]
)
LINK = re.compile(r"(?<!\!)\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)|!\[[^\]]*\]\(([^)\s]+)\)")


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def leaves(struct: msgspec.Struct, *, within: str = "") -> Iterator[tuple[str, object]]:
    """Every number of a settings tree by its dotted name."""
    for field in msgspec.structs.fields(struct):
        value = getattr(struct, field.name)
        if isinstance(value, msgspec.Struct):
            yield from leaves(value, within=f"{within}{field.name}.")
        else:
            yield within + field.name, value


def toml(value: object) -> str:
    """A setting's value as TOML writes it."""
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


@pytest.mark.parametrize(("name", "value"), list(leaves(Settings())))
def test_every_setting_is_documented(name: str, value: object) -> None:
    """docs/settings.md names each setting with its default."""
    assert f"| `{name}` | `{toml(value)}` |" in text("docs/settings.md")


def test_no_setting_is_invented() -> None:
    """docs/settings.md names no setting that the program does not know."""
    table = text("docs/settings.md").partition("## Policy")[0]
    written = set(re.findall(r"^\| `([a-z_]+\.[a-z0-9_]+)`", table, re.MULTILINE))
    assert written == {name for name, _ in leaves(Settings())}


def test_every_setting_is_read() -> None:
    """A setting that nothing reads would be a promise that nobody keeps."""
    read_somewhere = {
        node.attr
        for package in ("terminal", "central")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute)
    }
    names = {name for name, _ in leaves(Settings())}
    assert {name for name in names if name.partition(".")[2] not in read_somewhere} == set()


def test_the_default_file_shows_the_defaults(tmp_path: Path) -> None:
    """config/default.toml holds every setting, with exactly its default."""
    assert read(ROOT / "config" / "default.toml") == Settings()
    file = tomllib.loads(text("config/default.toml"))
    shown = {f"{table}.{name}" for table, values in file.items() for name in values}
    assert shown == {name for name, _ in leaves(Settings())}
    empty = tmp_path / "empty.toml"
    empty.touch()
    assert read(empty) == Settings()


def test_every_policy_number_is_documented() -> None:
    """docs/settings.md names each number that an owner may set, and no other."""
    table = text("docs/settings.md").partition("## Policy")[2]
    written = set(re.findall(r"^\| `([a-z_]+\.[a-z0-9_]+)`", table, re.MULTILINE))
    known = {re.sub(r"\.(home|elsewhere)$", "", name) for name, _ in leaves(Policy())}
    assert written == known - {"version", "slip_text", "exceptions"}


@pytest.mark.parametrize("reason", Reason)
def test_every_refusal_is_documented(reason: Reason) -> None:
    """docs/refusals.md has a section for each reason, with what to do next."""
    section = text("docs/refusals.md").partition(f"### `{reason}`\n")[2].partition("\n### ")[0]
    assert "怎么办" in section
    assert "What to do" in section


def test_refusals_stand_in_the_order_of_decision() -> None:
    """docs/refusals.md lists the reasons in the order in which they are decided."""
    written = re.findall(r"^### `([a-z_]+)`$", text("docs/refusals.md"), re.MULTILINE)
    assert written == [str(reason) for reason in Reason]


@pytest.mark.parametrize("verdict", Verdict)
def test_every_verdict_is_documented(verdict: Verdict) -> None:
    """docs/verdicts.md says what head office does about each verdict."""
    assert f"`{verdict}`" in text("docs/verdicts.md")


def test_every_dependency_has_its_reason() -> None:
    """docs/decisions/0001 gives a line to each dependency, and names none that is gone."""
    project = tomllib.loads(text("pyproject.toml"))["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["test"]
    needed = {re.split(r"[\[>=<;]", one)[0].strip() for one in wanted}
    rows = re.findall(r"^\| ([\w-]+) \|", text("docs/decisions/0001-dependencies.md"), re.MULTILINE)
    assert set(rows) - {"dependency"} == needed


def test_every_dependency_is_locked_with_hashes() -> None:
    """requirements.lock pins every dependency, each with hashes, and names no index."""
    lock = text("requirements.lock")
    pinned = set(re.findall(r"^([a-z0-9-]+)(?:\[[a-z]+\])?==", lock, re.MULTILINE))
    project = tomllib.loads(text("pyproject.toml"))["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["test"]
    needed = {re.split(r"[\[>=<;]", one)[0].strip().lower() for one in wanted}
    assert needed <= pinned
    for block in re.split(r"\n(?=[a-z0-9-]+(?:\[[a-z]+\])?==)", lock):
        assert "--hash=sha256:" in block, block.splitlines()[0]
    assert "://" not in lock


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(document: Path) -> None:
    """Every relative link and picture of a document exists."""
    found = [one or other for one, other in LINK.findall(document.read_text("utf-8"))]
    missing = [
        target
        for target in found
        if "://" not in target and not (document.parent / target).resolve().exists()
    ]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_settings_in_examples_are_read(document: Path, tmp_path: Path) -> None:
    """A TOML example of settings is one that the program reads."""
    for number, example in enumerate(
        re.findall(r"^```toml\n(.*?)^```", document.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    ):
        if not set(tomllib.loads(example)) <= set(Settings.__struct_fields__):
            continue
        file = tmp_path / f"{number}.toml"
        file.write_text(example, encoding="utf-8")
        read(file)


@pytest.mark.parametrize("folder", ["docs", "docs/decisions"])
def test_every_document_can_be_found(folder: str) -> None:
    """The README of a folder of documents links to each of them."""
    index = ROOT / folder / "README.md"
    linked = {one for one, _ in LINK.findall(index.read_text("utf-8"))}
    there = {path.name for path in index.parent.glob("*.md")} - {"README.md"}
    assert there - linked == set()


def test_make_targets_are_real() -> None:
    """Every `make TARGET` in the documents is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", text("Makefile"), re.MULTILINE))
    asked = {
        target
        for document in DOCUMENTS
        for target in re.findall(
            r"(?:`|^)make ([a-z]+)\b", document.read_text("utf-8"), re.MULTILINE
        )
    }
    assert asked <= targets
    assert {"demo", "test"} <= asked


def test_modules_named_in_the_map_exist() -> None:
    """ARCHITECTURE.md names files and folders that are there, and every package."""
    written = re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+\.py)?)`", text("ARCHITECTURE.md"))
    assert [name for name in written if not (ROOT / name).exists()] == []
    for package in ("vouchers", "drivers", "sync", "terminal", "central", "config", "tests"):
        assert f"{package}/" in written


PROOF = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_every_promise_names_a_test_that_exists() -> None:
    """docs/guarantees.md: each row of the table has proofs, and each proof is a test."""
    rows = [line for line in text("docs/guarantees.md").splitlines() if line.count("|") == 4]
    promises = [row for row in rows if "::" in row or row.endswith(". |")]
    assert len(promises) >= 13
    for row in promises:
        proofs = PROOF.findall(row)
        assert proofs, row
        for file, name in proofs:
            found = {
                node.name
                for node in ast.walk(ast.parse(text(file)))
                if isinstance(node, ast.FunctionDef)
            }
            assert name in found, f"{file}::{name}"


def test_ci_runs_the_command_of_the_readme() -> None:
    """.ci/run ends with the test command that the README gives."""
    assert text(".ci/run").rstrip().splitlines()[-1] == "make test"
    assert "make test" in text("README.md")


COMMON_OPTIONS = {"--help", "--config", "--json", "--wait", "--database"}


def subcommands(
    parser: argparse.ArgumentParser, words: tuple[str, ...]
) -> Iterator[tuple[str, set[str]]]:
    """Every complete command of a parser, `hexiao journal list` and so on, with its options."""
    below = [
        (name, one)
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
        for name, one in action.choices.items()
    ]
    if not below:
        options = {option for action in parser._actions for option in action.option_strings}
        yield " ".join(words), {one for one in options if one.startswith("--")} - COMMON_OPTIONS
    for name, one in below:
        yield from subcommands(one, (*words, name))


def commands() -> dict[str, set[str]]:
    """Every command of the terminal and of central, with its options."""
    here = subcommands(arguments.parser(), ("hexiao",))
    there = subcommands(cli._parser(), ("hexiao", "central"))
    return dict([*here, *there])


def rows_of_commands() -> dict[str, str]:
    """The rows of docs/commands.md by their command, without what stands for arguments."""
    rows = re.findall(
        r"^\| `(hexiao [a-z -]+?)((?: [A-Z4 ]+)?)` \| (.*)\|$",
        text("docs/commands.md"),
        re.MULTILINE,
    )
    return {command: says for command, _, says in rows}


def test_every_command_is_documented() -> None:
    """docs/commands.md has a row for every command that there is, and for no other."""
    assert set(rows_of_commands()) == set(commands())


@pytest.mark.parametrize(("command", "options"), list(commands().items()))
def test_every_option_is_documented(command: str, options: set[str]) -> None:
    """The row of a command names each of its options."""
    row = rows_of_commands().get(command, "")
    assert {option for option in options if option not in row} == set()


def test_commands_in_examples_are_real() -> None:
    """Every `hexiao …` in a shell example of the documents is a command that there is."""
    known = commands()
    for document in DOCUMENTS:
        for line in re.findall(r"^hexiao [^#\n]*", document.read_text("utf-8"), re.MULTILINE):
            words = re.match(r"hexiao(?: [a-z][a-z-]*)+", line)
            assert words is not None, line
            command = next((c for c in known if f"{words[0]} ".startswith(f"{c} ")), None)
            assert command is not None, f"{document.name}: {line}"
            used = set(re.findall(r"--[a-z-]+", line)) - COMMON_OPTIONS
            assert used <= known[command], f"{document.name}: {line}"


@pytest.mark.parametrize("side", [(), ("central",)])
def test_help_is_given(side: tuple[str, ...]) -> None:
    """`--help` exits 0 and prints to standard output, for both halves."""
    result = subprocess.run(
        [sys.executable, "hexiao.py", *side, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert "usage: hexiao" in result.stdout
