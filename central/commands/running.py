"""Commands that make and run the service: init, migrate, serve, jobs, demo-seed."""

import argparse
import secrets
from dataclasses import asdict

from central import bench as benches
from central import demo_seed as demo
from central import jobs, keys, logs, restoring, service, setup, stopping, texts
from central.bench_ground import Effort
from central.commands.context import Context
from central.errors import Misconfigured, Refused
from central.output import DONE, WRONG
from vouchers import times


def init(context: Context, args: argparse.Namespace) -> int:
    """Make the database."""
    name = texts.read_name(args.name, "merchant")
    if isinstance(name, Refused):
        return context.output.refuse(name)
    new = setup.NewMerchant(name, args.time_zone, args.vault_cost)
    made = setup.init(context.url, new, secrets.token_bytes)
    if isinstance(made, Refused):
        return context.output.refuse(made)
    made.database.close()
    return context.output.say(
        {"ok": True, "database": context.url, "merchant": made.merchant, "name": name},
        f"made {context.url} for {name}; next: hexiao central outlet add --name …",
    )


def migrate(context: Context, _args: argparse.Namespace) -> int:
    """Upgrade the database."""
    setup.migrate(context.url)
    values = {"ok": True, "database": context.url, "version": service.REVISION}
    return context.output.say(values, f"{context.url} is at version {service.REVISION}")


def bench(context: Context, args: argparse.Namespace) -> int:
    """Measure, in databases of its own; `--database` is not touched."""
    for name, most in (
        ("batches", benches.BATCHES_MAX),
        ("terminals", benches.TERMINALS_MAX),
        ("seconds", benches.SECONDS_MAX),
        ("vouchers", benches.VOUCHERS_MAX),
    ):
        if not 1 <= getattr(args, name) <= most:
            words = f"--{name} must lie between 1 and {most:,}"
            return context.output.refuse(Refused("bad_count", words), WRONG)
    crowds = benches.Crowds(args.terminals, args.seconds, args.vouchers)
    engines = (args.engine,) if args.engine else benches.ENGINES
    effort = Effort(batches=args.batches)
    for figure in benches.figures(engines, effort, crowds, args.only):
        context.output.say(figure.json(), figure.text())
    return DONE


def serve(context: Context, args: argparse.Namespace) -> int:
    """Serve terminals until a signal."""
    from central.api import serve as http  # uvicorn and Litestar cost a second; others need neither

    logs.begin(context.settings.log)
    settings = context.settings
    host = args.host or settings.host
    port = settings.port if args.port is None else args.port
    if not 0 <= port <= 65_535:
        raise Misconfigured(f"--port must be 0 to 65535, not {port}")
    url = args.url or settings.public_url or None

    def ready(address: str) -> None:
        values = {"ok": True, "url": address}
        context.output.say(values, f"serving at {address}")

    with context.central() as central:
        http.Service(central, host, port, url=url).run(ready)
    return 0


def restored(context: Context, _args: argparse.Namespace) -> int:
    """Begin new histories after a restore."""
    with context.central() as central:
        buckets = restoring.renew(central)
    words = f"{buckets} histories begun; terminals will take new snapshots and send what is missing"
    return context.output.say({"ok": True, "buckets": buckets}, words)


def keys_rotate(context: Context, args: argparse.Namespace) -> int:
    """Make the next signing key."""
    with context.central() as central:
        kid, begins = keys.rotate(central, at_once=args.now)
    values = {"ok": True, "kid": kid, "signs_from": times.format_utc(begins)}
    return context.output.say(values, f"key {kid} signs from {values['signs_from']}")


def keys_list(context: Context, _args: argparse.Namespace) -> int:
    """All signing keys, oldest first."""
    with context.central() as central, central.read() as work:
        ring = keys.load(work)
    rows = [
        {"kid": one.kid, "key": one.key, "by": one.by, "signs": one.kid == ring.sign_kid}
        for one in ring.vouched()
    ]
    return context.output.rows(rows)


def jobs_run(context: Context, args: argparse.Namespace) -> int:
    """Run jobs now, or as a loop."""
    known = {job.name for job in jobs.JOBS}
    for name in args.job:
        if name not in known:
            raise Misconfigured(f"there is no job {name!r}; jobs: {', '.join(sorted(known))}")
    with context.central() as central:
        if args.loop:
            logs.begin(context.settings.log)
            with stopping.signalled() as stop:
                jobs.loop(central, stop)
            return 0
        return context.output.rows(
            {"job": ran.name, "done": ran.done} for ran in jobs.run_now(central, tuple(args.job))
        )


def jobs_list(context: Context, _args: argparse.Namespace) -> int:
    """All jobs and when they ran."""
    with context.central() as central, central.read() as work:
        return context.output.rows(
            {
                "job": ran.name,
                "ran_at": None if ran.ran_at is None else times.format_utc(ran.ran_at),
                "done": ran.done,
            }
            for ran in jobs.listed(work)
        )


def demo_seed(context: Context, _args: argparse.Namespace) -> int:
    """Make or top up the sample data."""
    with context.central() as central:
        samples = demo.seed(central)
    shown = "\n".join(f"{s.code} {s.last4}  {s.shares}" for s in samples.vouchers)
    return context.output.say(asdict(samples), shown)
