"""What a wheel holds: the whole program with its data, and nothing of the tests."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("vouchers", "drivers", "sync", "terminal", "central", "config")
BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names in a wheel that is built from a copy of the tree."""
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
    made = shutil.ignore_patterns("__pycache__", "*.pyc")
    for folder in (*PACKAGES, "tests"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=made)
    for file in ("pyproject.toml", "README.md", "LICENSE", "hexiao.py"):
        shutil.copy(ROOT / file, tree / file)
    command = [sys.executable, "-c", BUILD, str(out)]
    subprocess.run(command, cwd=tree, capture_output=True, check=True, timeout=120)
    (built,) = out.glob("*.whl")
    return set(zipfile.ZipFile(built).namelist())


def test_a_wheel_ships_no_tests(wheel: set[str]) -> None:
    """Nothing of tests/, no test module and no conftest is installed on a till."""
    offences = [
        name
        for name in wheel
        if name.startswith("tests/") or "test_" in name or name.endswith("conftest.py")
    ]
    assert offences == []


def test_a_wheel_ships_the_whole_program(wheel: set[str]) -> None:
    """Every module, style sheet, profile and default of the packages is in the wheel."""
    kinds = {".py", ".toml", ".tcss", ".sql", ".html", ".css", ".js", ".json", ".txt", ".ini"}
    wanted = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.suffix in kinds and "__pycache__" not in path.parts
    }
    assert wanted - wheel == set()
    assert "hexiao.py" in wheel


def test_a_wheel_brings_licence_and_command(wheel: set[str]) -> None:
    """The licence travels along, and the command is an entry point."""
    assert any(name.endswith("licenses/LICENSE") for name in wheel)
    assert any(name.endswith("entry_points.txt") for name in wheel)
