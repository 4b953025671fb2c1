"""`hexiao central …`: the command line of the central service.

Responsible for: the commands' names and options (design, section 5), settings, exit statuses. Not
responsible for: what a command does (`commands`). Invariants: a refusal exits 1, wrong usage or
settings 2, an outage 3; nobody ever sees a traceback for bad input.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Final

from central.bench import COMPARISONS, ENGINES
from central.commands import branch, catalogue, fleet, orders, running
from central.commands.context import Command, Context
from central.errors import Misconfigured, OutcomeUnknown, OutOfService, Refused
from central.output import OUT_OF_SERVICE, WRONG, Output
from central.setup import VAULT_COSTS
from central.verdicts import WAYS
from config import loader
from config.loader import Loaded, SettingsError

DATABASE_NAME: Final = "central.db"
"""The SQLite file beside the settings file, where nothing else is said."""

_ENVIRONMENT: Final = "HEXIAO_CENTRAL_DATABASE"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; answers the exit status. `argv` is what follows `hexiao central`."""
    try:
        args = _parser().parse_args(list(sys.argv[1:] if argv is None else argv))
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else WRONG
    output = Output(as_json=args.json)
    try:
        loaded = loader.load(args.config)
        context = Context(
            url=_database(args.database, loaded), settings=loaded.settings.central, output=output
        )
        status = args.run(context, args)
        assert isinstance(status, int)
        return status
    except (Misconfigured, SettingsError) as error:
        return output.refuse(Refused("misconfigured", str(error)), WRONG)
    except OutcomeUnknown as error:
        return output.refuse(Refused("outcome_unknown", str(error)), OUT_OF_SERVICE)
    except OutOfService as error:
        return output.refuse(Refused("out_of_service", str(error)), OUT_OF_SERVICE)
    except BrokenPipeError:
        # The reader of our output has gone; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OUT_OF_SERVICE
    except KeyboardInterrupt:
        return output.refuse(Refused("out_of_service", "stopped"), OUT_OF_SERVICE)


def _database(given: str | None, loaded: Loaded) -> str:
    """`--database`, else the environment, else the settings, else a file beside the settings."""
    url = given or os.environ.get(_ENVIRONMENT)
    if url:
        return url
    configured = loaded.settings.central.database
    if configured.startswith("sqlite:///"):
        path = loaded.resolve(configured.removeprefix("sqlite:///"))
        return f"sqlite:///{path}"
    return configured or f"sqlite:///{loaded.resolve(DATABASE_NAME)}"


class _Tree:
    """The commands, each with the options that every command has."""

    def __init__(self) -> None:
        self.common = argparse.ArgumentParser(add_help=False)
        self.common.add_argument("--config", metavar="PATH", help="settings file")
        self.common.add_argument("--database", metavar="URL", help="sqlite:///… or postgresql://…")
        self.common.add_argument("--json", action="store_true", help="JSON on standard output")
        self.root = argparse.ArgumentParser(
            prog="hexiao central", description="The central service.", allow_abbrev=False
        )
        self.top = self.root.add_subparsers(metavar="COMMAND", required=True)

    def add(
        self, name: str, run: Command, says: str, *, under: object = None
    ) -> argparse.ArgumentParser:
        parent = self.top if under is None else under
        assert isinstance(parent, argparse._SubParsersAction)
        parser = parent.add_parser(
            name, help=says, description=says, parents=[self.common], allow_abbrev=False
        )
        assert isinstance(parser, argparse.ArgumentParser)
        parser.set_defaults(run=run)
        return parser

    def group(self, name: str, says: str) -> object:
        parser = self.top.add_parser(name, help=says, description=says, allow_abbrev=False)
        return parser.add_subparsers(metavar="COMMAND", required=True)


def _parser() -> argparse.ArgumentParser:
    tree = _Tree()
    _service(tree)
    _catalogue(tree)
    _orders(tree)
    _fleet(tree)
    _branches(tree)
    _reports(tree)
    return tree.root


def _service(tree: _Tree) -> None:
    init = tree.add("init", running.init, "make the database of a merchant")
    init.add_argument("--name", default="hexiao", help="the merchant's name")
    init.add_argument("--time-zone", default="Asia/Shanghai", help="the merchant's time zone")
    init.add_argument(
        "--vault-cost",
        choices=sorted(VAULT_COSTS),
        default="default",
        help="light is for tests, benchmarks and demo data only",
    )
    serve = tree.add("serve", running.serve, "serve terminals until a signal")
    serve.add_argument("--host", help="address to listen on")
    serve.add_argument("--port", type=int, help="port; 0 takes a free one, which is printed")
    serve.add_argument("--url", help="the address terminals use, behind a proxy")
    tree.add("migrate", running.migrate, "bring the database to this program's version")
    tree.add("restored", running.restored, "say that the database was restored from a backup")
    ring = tree.group("keys", "the keys that this service signs with")
    rotate = tree.add("rotate", running.keys_rotate, "make the next signing key", under=ring)
    rotate.add_argument("--now", action="store_true", help="use it at once, not in seven days")
    tree.add("list", running.keys_list, "all signing keys", under=ring)
    jobs = tree.group("jobs", "the scheduled jobs")
    run = tree.add("run", running.jobs_run, "run jobs now, or as a loop", under=jobs)
    run.add_argument("job", nargs="*", help="names; all if none is given")
    run.add_argument("--loop", action="store_true", help="go on until a signal")
    tree.add("list", running.jobs_list, "the jobs and when they ran", under=jobs)
    bench = tree.add("bench", running.bench, "speed, as ratios to bare limits of the same run")
    bench.add_argument("--batches", type=int, default=40, metavar="N", help="of 500 entries each")
    crowd = {"terminals": 1_000, "seconds": 8, "vouchers": 100_000}
    for name, count in crowd.items():
        bench.add_argument(f"--{name}", type=int, default=count, metavar="N", help=f"{count:,}")
    bench.add_argument("--engine", choices=ENGINES, help="default: one after the other")
    bench.add_argument(
        "--only",
        action="append",
        choices=COMPARISONS,
        default=[],
        help="this comparison; repeatable",
    )
    tree.add("demo-seed", running.demo_seed, "sample data for `hexiao demo`")


def _catalogue(tree: _Tree) -> None:
    outlet = tree.group("outlet", "outlets")
    add = tree.add("add", catalogue.outlet_add, "open an outlet", under=outlet)
    add.add_argument("--name", required=True)
    tree.add("list", catalogue.outlet_list, "all outlets", under=outlet)
    product = tree.group("product", "products")
    new = tree.add("add", catalogue.product_add, "publish a product", under=product)
    new.add_argument("--name", required=True)
    new.add_argument("--price-fen", type=int, required=True, help="price of one share in fen")
    new.add_argument(
        "--outlet", type=int, nargs="+", action="extend", default=[], metavar="ID", required=True
    )
    new.add_argument("--valid-days", type=int, help="days from issue")
    new.add_argument("--valid-from", metavar="DATE", help="first day")
    new.add_argument("--valid-to", metavar="DATE", help="last day")
    new.add_argument("--weekdays", default="1-7", help="1 is Monday: 1-5, or 6,7")
    new.add_argument("--refund-ratio", type=int, default=100, help="percent, 1 to 100")
    new.add_argument("--refund-fee-fen", type=int, default=100, help="code fee of a refund")
    new.add_argument("--fee-bearer", choices=("buyer", "seller"), default="buyer")
    new.add_argument("--auto-refund", action="store_true", help="refund without asking the seller")
    new.add_argument("--slip-text", help="text under the slip")
    new.add_argument("--online-only", action="store_true", help="never without central")
    move = tree.add("outlets", catalogue.product_outlets, "where it is good", under=product)
    move.add_argument("product", type=int, metavar="PRODUCT")
    move.add_argument(
        "--outlet", type=int, nargs="+", action="extend", default=[], metavar="ID", required=True
    )
    tree.add("list", catalogue.product_list, "all products", under=product)


def _orders(tree: _Tree) -> None:
    issue = tree.add("issue", orders.issue, "one order with its voucher")
    issue.add_argument("--product", type=int, required=True, metavar="ID")
    issue.add_argument("--phone", required=True, metavar="NUMBER", help="receiving mobile")
    issue.add_argument("--shares", type=int, default=1)
    issue.add_argument("--home", type=int, metavar="OUTLET", help="the outlet chosen at purchase")
    issue.add_argument("--paid-fen", type=int, help="paid for the order; default price x shares")
    issue.add_argument("--order-ref", metavar="ID", help="the order's id in the shop system")
    issue.add_argument(
        "--id-card",
        metavar="NUMBER",
        help="the buyer's ID number or its MD5, to redeem by card too; - reads standard input",
    )
    refund = tree.add("refund", orders.refund, "refund what is left of an order")
    refund.add_argument("order")
    which = refund.add_mutually_exclusive_group()
    which.add_argument("--request", action="store_true", help="freeze only; the job pays")
    which.add_argument("--withdraw", action="store_true", help="unfreeze again")
    extend = tree.add("extend", orders.extend, "make an order's validity longer")
    extend.add_argument("order")
    extend.add_argument("--until", required=True, metavar="DATE", help="last valid day")
    mobile = tree.add("change-mobile", orders.change_mobile, "send a voucher to another mobile")
    mobile.add_argument("order")
    mobile.add_argument("number")
    forget = tree.add("forget-card", orders.forget_card, "let an ID card open nothing any more")
    forget.add_argument("number", metavar="NUMBER", help="or its MD5; - reads standard input")
    settle = tree.add("settle", fleet.settle, "close the verdict on a redemption")
    settle.add_argument("serial")
    settle.add_argument("way", choices=WAYS)
    bulk = tree.add("import", orders.import_orders, "orders from CSV or JSON lines")
    bulk.add_argument("file")
    bulk.add_argument("--refused", metavar="PATH", help="default: FILE.refused.jsonl")
    rescue = tree.add("import-journal", fleet.import_journal, "a rescued journal")
    rescue.add_argument("file")


def _fleet(tree: _Tree) -> None:
    code = tree.add("enrol-code", fleet.enrol_code, "a pairing code for a terminal")
    code.add_argument("--outlet", type=int, required=True, metavar="ID")
    code.add_argument("--posid", required=True, metavar="ID")
    code.add_argument("--url", help="the address the terminal uses")
    fleet_list = tree.add("terminals", fleet.terminals, "the fleet")
    fleet_list.add_argument(
        "--silent", type=int, metavar="HOURS", help="only those that were not heard for so long"
    )
    revoke = tree.add("revoke", fleet.revoke, "trust a terminal no more")
    revoke.add_argument("posid")
    revoke.add_argument("--wipe", action="store_true", help="have it destroy its keys and data")
    release = tree.add("release", fleet.release, "book a quarantined entry after all")
    release.add_argument("serial")
    note = tree.group("note", "clerks' notes on reversals")
    tree.add("delete", fleet.note_delete, "delete one for good", under=note).add_argument("serial")
    policy = tree.group("policy", "the numbers that the owner sets")
    show = tree.add("show", fleet.policy_show, "what holds, and whose word it is", under=policy)
    change = tree.add("set", fleet.policy_set, "change numbers of it", under=policy)
    for each in (show, change):
        where = each.add_mutually_exclusive_group()
        where.add_argument("--outlet", type=int, metavar="ID", help="for one outlet")
        where.add_argument("--posid", metavar="ID", help="for one terminal")
    change.add_argument("assignment", nargs="+", metavar="NAME=VALUE")
    tree.add("alarms", fleet.alarms, "what head office must look at")


def _branches(tree: _Tree) -> None:
    group = tree.group("branch", "what was kept apart at a fork, and what becomes of it")
    tree.add("list", branch.list_all, "every branch in one row", under=group)
    book = tree.add("book", branch.book, "book what happened there", under=group)
    book.add_argument("--dry-run", action="store_true", help="only say what would come of it")
    dismiss = tree.add("dismiss", branch.dismiss, "leave it unbooked, but listed", under=group)
    for each in (book, dismiss):
        each.add_argument("branch", help="as `branch list` names it")
        each.add_argument("--reason", required=True, metavar="TEXT", help="why, for the record")
        each.add_argument("--by", metavar="NAME", help="who decides; default: this account")
        each.add_argument("--up-to", type=int, metavar="SEQ", help="only up to this number")


def _reports(tree: _Tree) -> None:
    report = tree.group("report", "what was booked")
    for name, says in fleet.REPORTS.items():
        tree.add(name, fleet.report_of(name), says, under=report)
