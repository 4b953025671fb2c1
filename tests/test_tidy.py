"""The code about the code: what a reader may rely on in every file of this repository.

Each test collects all offences and fails with the list; a message says what to write instead.
Lint (ruff) and types (mypy) are tools of their own; here stands what they cannot say.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("vouchers", "drivers", "sync", "terminal", "central", "config")
FUNCTION_LINES_MAX = 70
MODULE_LINES_MAX = 400
TEST_MODULE_LINES_MAX = 600  # a history of cases reads better in one place
NESTING_MAX = 4

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)

# Read by path or by a tool, so nothing imports them.
LOADED_BY_PATH = (
    "central/migrations/",
    "drivers/emulated/protocol_",
    "drivers/emulated/urlhandler/",
)
ENTRY_NAMES = {"__init__", "__main__"}

WALL_CLOCK = "take the time as a value, or ask a clock module"
BANNED_CALLS = {
    "datetime.now": WALL_CLOCK,
    "datetime.utcnow": WALL_CLOCK,
    "datetime.today": WALL_CLOCK,
    "date.today": WALL_CLOCK,
    "time.time": WALL_CLOCK,
    "time.time_ns": WALL_CLOCK,
    "uuid.uuid1": "vouchers.ids.uuid7",
    "uuid.uuid4": "vouchers.ids.uuid7",
    "print": "return the text, or log it: only the command line prints",
    "pickle.loads": "a format that cannot run code",
    "os.system": "subprocess.run with a list",
    "eval": "a parser",
    "exec": "a function",
}


def product_files() -> list[Path]:
    files = [ROOT / "hexiao.py"] if (ROOT / "hexiao.py").exists() else []
    for package in PACKAGES:
        files += sorted((ROOT / package).rglob("*.py"))
    return files


def files_of_tests() -> list[Path]:
    return sorted((ROOT / "tests").rglob("*.py"))


def text_files() -> list[Path]:
    """Everything a person wrote, wherever it lies; not what tools made."""
    made = {".git", ".venv", "build", "dist", "node_modules", "demo-data"}
    kinds = {
        ".py",
        ".md",
        ".toml",
        ".tcss",
        ".sql",
        ".html",
        ".css",
        ".js",
        ".yml",
        ".lock",
        ".txt",
    }
    found = [ROOT / "Makefile", ROOT / ".ci" / "run"]
    for top in ROOT.iterdir():
        if top.name not in made and not top.name.endswith("cache"):
            found += [top, *top.rglob("*")]
    return sorted(
        path
        for path in found
        if path.is_file() and (path.suffix in kinds or path.name in {"Makefile", "run"})
    )


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    return parsed(path.read_text(encoding="utf-8"))


@cache
def parsed(source: str) -> ast.Module:
    """Each source is parsed once, however many tests look at it."""
    return ast.parse(source)


def dotted(node: ast.expr) -> str:
    """`a.b.c` of a call's target, as far as it is plain names."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring."""
    assert node.end_lineno is not None
    lines = node.end_lineno - node.lineno + 1
    if ast.get_docstring(node) is not None:
        first = node.body[0]
        assert first.end_lineno is not None
        lines -= first.end_lineno - first.lineno + 1
    return lines


def nesting(node: ast.AST, depth: int = 0) -> int:
    """How deep the deepest block of a function stands; an elif is not deeper than its if."""
    deepest = depth
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (*FUNCTIONS, ast.ClassDef, ast.Lambda)):
            continue
        is_elif = isinstance(node, ast.If) and isinstance(child, ast.If) and child in node.orelse
        step = 1 if isinstance(child, BLOCKS) and not is_elif else 0
        deepest = max(deepest, nesting(child, depth + step))
    return deepest


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree_of(path)) if isinstance(node, FUNCTIONS))


def test_functions_are_short_and_flat() -> None:
    """No function is longer than 70 lines or nests deeper than four blocks."""
    offences = []
    for path in product_files() + files_of_tests():
        for node in functions(path):
            if (lines := body_lines(node)) > FUNCTION_LINES_MAX:
                offences.append(f"{name(path)}:{node.lineno} {node.name}: {lines} lines")
            if (depth := nesting(node)) > NESTING_MAX:
                offences.append(f"{name(path)}:{node.lineno} {node.name}: {depth} blocks deep")
    assert not offences, "split these:\n" + "\n".join(offences)


def test_modules_are_short() -> None:
    """No module is longer than 400 lines, no test module longer than 600."""
    limits = dict.fromkeys(product_files(), MODULE_LINES_MAX)
    limits |= dict.fromkeys(files_of_tests(), TEST_MODULE_LINES_MAX)
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in limits}
    offences = [
        f"{name(path)}: {lines} lines" for path, lines in lengths.items() if lines > limits[path]
    ]
    assert not offences, "give these a second home:\n" + "\n".join(offences)


def test_modules_say_what_they_are() -> None:
    """Every module opens with what it is responsible for."""
    offences = [
        name(path)
        for path in product_files() + files_of_tests()
        if path.read_text("utf-8").strip() and ast.get_docstring(tree_of(path)) is None
    ]
    assert not offences, "no module docstring:\n" + "\n".join(offences)


def test_no_drawers() -> None:
    """A thing lives with its noun: no module is called utils, helpers, common or misc."""
    drawers = {"util", "utils", "helper", "helpers", "common", "misc", "manager", "functions"}
    offences = [name(path) for path in product_files() + files_of_tests() if path.stem in drawers]
    assert not offences, "name these after what they hold:\n" + "\n".join(offences)


def test_no_reminders() -> None:
    """Nothing is left for later inside a file: it is done, or it is an issue."""
    words = re.compile(
        r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")) + r")\b"
    )
    offences = [
        f"{name(path)}:{number} {line.strip()[:80]}"
        for path in text_files()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if words.search(line)
    ]
    assert not offences, "do it or write an issue:\n" + "\n".join(offences)


def prints(path: Path) -> bool:
    """Whether a module is the command line, and so may print."""
    return path.name == "hexiao.py" or any(
        part == "__main__" or part.startswith("cli") for part in path.with_suffix("").parts
    )


def allowed(call: str, path: Path) -> bool:
    if call == "print":
        return prints(path)
    return "clock" in path.stem and call.startswith(("datetime", "date", "time", "uuid"))


def test_no_banned_calls() -> None:
    """The wall clock is asked in clock modules only, and only the command line prints."""
    offences = []
    for path in product_files():
        for node in ast.walk(tree_of(path)):
            if not isinstance(node, ast.Call):
                continue
            target = dotted(node.func)
            for call, instead in BANNED_CALLS.items():
                if (target == call or target.endswith("." + call)) and not allowed(call, path):
                    offences.append(f"{name(path)}:{node.lineno} {target}(): {instead}")
    assert not offences, "\n".join(offences)


def test_banned_calls_have_no_other_name() -> None:
    """`from time import time` would hide a banned call from the test above."""
    modules = {call.rpartition(".")[0] for call in BANNED_CALLS} - {"datetime", "date", ""}
    offences = [
        f"{name(path)}:{node.lineno} from {node.module} import {alias.name}"
        for path in product_files()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ImportFrom) and node.module in modules
        for alias in node.names
        if f"{node.module}.{alias.name}" in BANNED_CALLS
    ]
    assert not offences, "import the module, call it by its full name:\n" + "\n".join(offences)


def test_tests_do_not_sleep() -> None:
    """A test waits for a thing that happens, never for time to pass."""
    offences = [
        f"{name(path)}:{node.lineno}"
        for path in files_of_tests()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and dotted(node.func) in {"time.sleep", "sleep"}
    ]
    assert not offences, "wait on an event, a file descriptor or a condition:\n" + "\n".join(
        offences
    )


def imported_names(path: Path) -> Iterator[str]:
    """Every module a file may load: its imports, at any depth, and names given as strings."""
    package = name(path).removesuffix(".py").removesuffix("/__init__").split("/")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = base + (node.module.split(".") if node.module else [])
            yield ".".join(base)
            yield from (".".join([*base, alias.name]) for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value.partition(":")[0]


def test_no_dead_modules() -> None:
    """Every module is imported by another one of the product, or is a way in."""
    files = product_files()
    used = {"hexiao"}
    for path in files:
        own = name(path).removesuffix(".py").replace("/", ".")
        used |= {found for found in imported_names(path) if found != own}
    offences = [
        name(path)
        for path in files
        if path.stem not in ENTRY_NAMES
        and not name(path).startswith(LOADED_BY_PATH)
        and name(path).removesuffix(".py").replace("/", ".") not in used
    ]
    assert not offences, "nothing in the product imports these:\n" + "\n".join(offences)


def titles(path: Path) -> int:
    """Level-one headings of a Markdown file, outside of code fences."""
    inside, count = False, 0
    for line in path.read_text("utf-8").splitlines():
        if line.lstrip().startswith(("```", "~~~")):
            inside = not inside
        count += not inside and line.startswith("# ")
    return count


def test_documents_have_one_title() -> None:
    """A Markdown file has exactly one title, and ends with a newline."""
    documents = [path for path in text_files() if path.suffix == ".md"]
    offences = [f"{name(path)}: {titles(path)} titles" for path in documents if titles(path) != 1]
    offences += [
        f"{name(path)}: no newline at its end"
        for path in documents
        if not path.read_text("utf-8").endswith("\n")
    ]
    assert not offences, "\n".join(offences)


@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        (
            "a path of one machine",
            r"/work/|/root/|/opt/(?:pypi|wheels)|/tmp/[a-z]+_jobs|/home/[a-z]+/",
        ),
        (
            "an index address",
            r"--(?:extra-)?index" + r"-url [^\\]|--find" + r"-links|pypi\.org|pythonhosted",
        ),
    ],
)
def test_nothing_of_one_machine(what: str, pattern: str) -> None:
    """No file names a folder of the machine it was written on, or where packages come from."""
    offences = [
        f"{name(path)}:{number} {found.group(0)}"
        for path in text_files()
        if path != Path(__file__).resolve()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if (found := re.search(pattern, line))
    ]
    assert not offences, f"{what}:\n" + "\n".join(offences)


LONG = '"""A."""\n\n\ndef f():\n' + "    x = 1\n" * 71
DEEP = '"""A."""\n\n\ndef f(x):\n' + "".join(f"{'    ' * n}if x:\n" for n in range(1, 6))
PLAIN = '"""A."""\n'


@pytest.mark.parametrize(
    ("path", "text", "rule"),
    [
        ("vouchers/a.py", LONG, test_functions_are_short_and_flat),
        ("vouchers/a.py", DEEP + "    " * 6 + "pass\n", test_functions_are_short_and_flat),
        ("vouchers/a.py", PLAIN + "x = 1\n" * 400, test_modules_are_short),
        ("vouchers/a.py", "x = 1\n", test_modules_say_what_they_are),
        ("sync/utils.py", PLAIN, test_no_drawers),
        ("sync/a.py", PLAIN + "# TO" + "DO: later\n", test_no_reminders),
        ("docs/a.md", "# A\n\nFIX" + "ME\n", test_no_reminders),
        ("sync/a.py", PLAIN + "import time\nt = time.time()\n", test_no_banned_calls),
        ("sync/a.py", PLAIN + "print(1)\n", test_no_banned_calls),
        ("sync/a.py", PLAIN + "from time import time\n", test_banned_calls_have_no_other_name),
        ("tests/test_a.py", PLAIN + "import time\ntime.sleep(1)\n", test_tests_do_not_sleep),
        ("sync/a.py", PLAIN, test_no_dead_modules),
        ("docs/a.md", "# A\n\n# B\n", test_documents_have_one_title),
        ("docs/a.md", "# A\n\ntext", test_documents_have_one_title),
    ],
)
def test_each_rule_can_fail(
    path: str, text: str, rule: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that breaks a rule is caught by that rule, and the tree without it is not."""
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    for made in ("Makefile", ".ci/run", path):
        (tmp_path / made).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / made).write_text("", encoding="utf-8")
    (tmp_path / path).write_text(text, encoding="utf-8")
    with pytest.raises(AssertionError):
        rule()
    (tmp_path / path).unlink()
    rule()
