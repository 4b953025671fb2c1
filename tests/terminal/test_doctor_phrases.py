"""The doctor's words: all there, in both languages, none left over."""

import ast
import string
from pathlib import Path

import pytest

from drivers import probe
from drivers.escpos.status import PrinterStatus
from terminal import doctor
from terminal.doctor.phrase import Level
from terminal.doctor.phrases import CHECKS, PHRASES
from terminal.station import NOT_SET_UP
from terminal.words import Language


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("name", PHRASES)
def test_phrases_say_the_same_in_both_languages(name: str) -> None:
    """Same fields, words in both, and what is not green says what to do."""
    phrase = PHRASES[name]
    assert fields(phrase.zh) == fields(phrase.en)
    assert fields(phrase.zh_todo) == fields(phrase.en_todo)
    for language in Language:
        assert phrase.message(language)
        assert bool(phrase.todo(language)) is (phrase.level is not Level.GREEN)


def test_everything_that_is_found_can_be_said() -> None:
    """Every finding that a check can make has its words, and no words are left over."""
    used = {f"printer.{status}" for status in PrinterStatus}
    used |= {f"{device}.{NOT_SET_UP}" for device in ("printer", "scanner", "reader")}
    used |= {"reader.ready", "reader.lost"}
    used |= {"scanner.none", "scanner.ready", "scanner.lost", "scanner.unused", "unchecked"}
    used |= {said_as(what) for what in probed()}
    for path in Path(doctor.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "found":
                check, phrase = (literals(argument, path) for argument in node.args[:2])
                used |= {f"{one}.{other}" for one in check for other in phrase}
    used |= {f"witness.{state}" for state in ("agrees", "behind", "ahead")}
    assert used == set(PHRASES)
    anywhere = {"unchecked", "port", "card"}
    assert {name.partition(".")[0] for name in used} <= set(CHECKS) | anywhere


def probed() -> set[str]:
    """Every finding that a probe of the devices can make."""
    path = Path(probe.__file__)
    calls = [node for node in ast.walk(ast.parse(path.read_text("utf-8")))
             if isinstance(node, ast.Call) and getattr(node.func, "id", "") in MAKERS]  # fmt: skip
    return set().union(*(literals(call.args[0], path) for call in calls)) | {"modems", "brltty"}


MAKERS = ("_finding", "Finding")
AROUND = {"modems", "brltty", "group", "clear"}


def said_as(what: str) -> str:
    """The name of its words: those that have no dot belong to one check."""
    if what == "typing":
        return "scanner.typing"
    if what.startswith(("port.", "card.", "display.")):
        return what
    return f"surroundings.{what}" if what in AROUND else f"printer.{what}"


def literals(node: ast.expr, path: Path) -> set[str]:
    """The texts that an argument can be; a name stands for the texts assigned to it."""
    if isinstance(node, ast.Constant):
        return {str(node.value)}
    if isinstance(node, ast.IfExp):
        return literals(node.body, path) | literals(node.orelse, path)
    if isinstance(node, ast.Name):
        return set().union(
            *(
                literals(assigned.value, path)
                for function in ast.walk(ast.parse(path.read_text("utf-8")))
                if isinstance(function, ast.FunctionDef)
                and function.lineno <= node.lineno <= (function.end_lineno or 0)
                for assigned in ast.walk(function)
                if isinstance(assigned, ast.Assign)
                and any(getattr(target, "id", "") == node.id for target in assigned.targets)
            )
        )
    return set()
