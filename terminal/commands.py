"""From a parsed command to the function that carries it out.

Responsible for: the table of commands, opening a station for one that runs alone, and running one
inside the holder. Not responsible for: parsing, locks or the functions themselves.
Invariant: a command does the same whether it runs alone or in the holder.
"""

from argparse import Namespace
from collections.abc import Callable

from config.loader import Loaded
from terminal import words
from terminal.arguments import WrongUsageError, parser
from terminal.control import Asked, Handler, Write
from terminal.desk import WRONG_USE, Command, Desk, Io, fail
from terminal.errors import (
    Misconfigured,
    OutcomeUnknown,
    OutOfService,
    TerminalError,
    said_of,
    trouble_of,
)
from terminal.place import Place
from terminal.station import Station, options


def execute_alone(loaded: Loaded, args: Namespace, io: Io, ask: Callable[[], str]) -> int:
    """Open the terminal for one command; the caller holds the data directory."""
    name = _name(args)
    if name == "doctor":
        from terminal.doctor import doctor_alone

        return doctor_alone(Place(loaded), args, io, ask)
    if name == "journal rescue":
        return _rescue(Place(loaded), args, io, ask)
    station = Station(Place(loaded), ask=ask)
    try:
        return _command(name)(Desk(station, alone=True), args, io)
    finally:
        station.stop()


def execute_own(loaded: Loaded, args: Namespace, io: Io, ask: Callable[[], str]) -> int:
    """Commands that hold the terminal themselves, or need none."""
    from terminal import commands_run

    match args.command:
        case "kiosk":
            return commands_run.kiosk(loaded, args, serve)
        case "run":
            return commands_run.run(loaded, args, io, serve)
        case "enrol":
            return commands_run.enrol(loaded, args, io, ask)
        case "demo":
            from terminal.demo import demo

            return demo(args, io, serve)
        case "verify-journal":
            return _verify_journal(args, io)
        case "print-test" | "scan-test" | "emulate":
            return _devices(loaded, args, io)
        case _:
            from terminal.bench import bench

            return bench(args, io)


def _verify_journal(args: Namespace, io: Io) -> int:
    from terminal.verify_journal import Anchors, verify_file

    anchors = Anchors(tuple(args.head), args.since, args.previous_head)
    return verify_file(
        args.file, args.key, as_json=args.json, out=io.out, err=io.err, anchors=anchors
    )


def _devices(loaded: Loaded, args: Namespace, io: Io) -> int:
    from terminal import commands_devices, commands_run, key_trial

    if args.command == "print-test":
        return commands_devices.print_test(loaded, args, io)
    with commands_run.signalled() as ended:
        if args.command == "scan-test":
            return commands_devices.scan_test(loaded, args, io, key_trial.keyed(0, ended), ended)
        return commands_devices.emulate(loaded, args, io, ended, key_trial.lines_of(0, ended))


def serve(station: Station) -> Handler:
    """The control socket's handler: the same commands, on the running station."""

    def handle(asked: Asked, out: Write, err: Write) -> int:
        try:
            args = parser().parse_args(list(asked.argv))
        except WrongUsageError as error:
            err(f"{error}\n")
            return WRONG_USE
        return _handle(station, args, Io(out, err, list(asked.lines)))

    return handle


def _handle(station: Station, args: Namespace, io: Io) -> int:
    desk = Desk(station, alone=False)
    try:
        if args.command == "doctor":
            from terminal.doctor import doctor_running

            return doctor_running(desk, args, io)
        return _command(_name(args))(desk, args, io)
    except OutcomeUnknown as error:
        return fail("outcome_unknown", str(error), io, as_json=args.json)
    except OutOfService as error:
        return fail("out_of_service", _told(desk, error), io, as_json=args.json)
    except Misconfigured as error:
        fail("out_of_service", str(error), io, as_json=args.json)
        return WRONG_USE
    except OSError as error:
        return fail("out_of_service", said_of(error), io, as_json=args.json)


def _told(desk: Desk, error: TerminalError) -> str:
    return words.trouble(trouble_of(error), desk.language)


def _rescue(place: Place, args: Namespace, io: Io, ask: Callable[[], str]) -> int:
    """From a dead terminal's disk: the journal is opened, but not checked."""
    from terminal import assembly, commands_journal

    parts = assembly.open_parts(place.data, options(place, ask))
    try:
        return commands_journal.rescue_parts(parts, args, io)
    finally:
        assembly.close(parts)


def _command(name: str) -> Command:
    """Loaded when it is asked for: the counter's screen starts without them."""
    from terminal import commands_journal, commands_run, commands_voucher

    commands: dict[str, Command] = {
        "lookup": commands_voucher.lookup,
        "redeem": commands_voucher.redeem,
        "reverse": commands_voucher.reverse,
        "sync": commands_run.sync,
        "note delete": commands_journal.delete_note,
        "journal list": commands_journal.list_entries,
        "journal verify": commands_journal.verify,
        "journal export": commands_journal.export_entries,
        "journal rescue": commands_journal.rescue,
    }
    return commands[name]


def _name(args: Namespace) -> str:
    what = getattr(args, "what", None)
    return f"{args.command} {what}" if what else str(args.command)
