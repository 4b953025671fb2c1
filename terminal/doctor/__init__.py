"""`hexiao doctor`: what is well, what is not, and what to do (design, section 5).

Responsible for: which checks run in which order, inside the holder or alone, and showing findings.
Not responsible for: the checks themselves. Invariants: it opens what can be opened and goes on
where something cannot; it never ends in a traceback; exit status 0 when nothing is red, else 3.
"""

from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

from terminal import assembly, keys
from terminal import identity as identities
from terminal.clock import SystemClock
from terminal.desk import DONE, OUT_OF_SERVICE, Desk, Io
from terminal.doctor import contact, inside, surroundings
from terminal.doctor.finding import FAULTS, Found, found, guarded, why
from terminal.doctor.phrase import Level
from terminal.doctor.phrases import CHECKS, PHRASES
from terminal.place import Place
from terminal.replica import Replica
from terminal.station import options
from terminal.words import Language

_MARKS = {
    Level.GREEN: ("  好", "green"),
    Level.AMBER: ("注意", "amber"),
    Level.RED: ("故障", "  red"),
}


def doctor_running(desk: Desk, args: Namespace, io: Io) -> int:
    """Inside the holder: nothing that its workers hold is opened a second time."""
    return _tell(_running(desk), desk.language, args, io)


def doctor_alone(place: Place, args: Namespace, io: Io, ask: Callable[[], str]) -> int:
    """Alone, with the data directory held; also where no terminal can be opened."""
    language = Language(place.loaded.settings.kiosk.language)
    return _tell(_alone(place, cache(ask)), language, args, io)


def _running(desk: Desk) -> Iterator[Found]:
    station = desk.station
    place, counter = station.place, station.counter
    yield from surroundings.check(place)
    yield from counter.exclusive(lambda parts: list(inside.check(parts, running=True)))
    now = counter.exclusive(lambda parts: parts.clock.estimate().now)
    yield from _contact(place, counter.parts.identity, now)
    yield from guarded("printer", lambda: surroundings.reported(counter.status(), place))


def _alone(place: Place, ask: Callable[[], str]) -> Iterator[Found]:
    yield from surroundings.check(place)
    if surroundings.enrolled(place):
        yield from guarded("key", lambda: _enrolled(place, ask))
    else:
        yield found("enrolment", "none")
    yield from surroundings.probed(place)


def _enrolled(place: Place, ask: Callable[[], str]) -> Iterator[Found]:
    key = keys.fetch(place.data, ask)
    identity = identities.load(place.data, key)
    now = SystemClock().read().wall_ms
    if not _written(place.data.journal):
        yield found("journal", "gone", name=place.data.journal.name)
        return
    try:
        parts = assembly.open_parts(place.data, options(place, ask))
    except FAULTS as error:
        yield found("journal", "unreadable", why=why(error))
        held = Replica(place.data.replica, key, identity.posid)
        yield from guarded(
            "replica", lambda: inside.replica(held, identity.policy, now, thorough=True)
        )
        held.close()
    else:
        try:
            now = parts.clock.estimate().now
            yield from inside.check(parts, running=False)
        finally:
            assembly.close(parts)
    yield from _contact(place, identity, now)


def _written(path: Path) -> bool:
    """Opening a file that is not there, or empty, would begin a new journal in its place."""
    return path.exists() and path.stat().st_size > 0


def _contact(place: Place, identity: identities.Identity, now: int) -> Iterator[Found]:
    central = place.loaded.settings.central
    return contact.check(
        identity, now, enabled=central.enabled, insecure_http=central.insecure_http
    )


def _tell(findings: Iterable[Found], language: Language, args: Namespace, io: Io) -> int:
    """Show each finding as soon as it is there; answers the exit status."""
    counts = dict.fromkeys(Level, 0)
    for one in findings:
        phrase = PHRASES.get(f"{one.check}.{one.phrase}") or PHRASES[one.phrase]
        counts[phrase.level] += 1
        message = phrase.message(language).format(**one.fields)
        todo = phrase.todo(language).format(**one.fields)
        if args.json:
            io.json(
                {"check": one.check, "level": str(phrase.level), "message": message, "todo": todo}
            )
        else:
            column = 0 if language is Language.ZH else 1
            io.out(f"{_MARKS[phrase.level][column]}  {CHECKS[one.check][column]}: {message}\n")
            io.out(f"      → {todo}\n" if todo else "")
    return OUT_OF_SERVICE if counts[Level.RED] else DONE
