"""The bench of central: true journals, judged as any other, and figures that say what they are."""

import asyncio
import json
import multiprocessing
import os
import sys
from subprocess import PIPE, Popen

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import hexiao
from central import bench_crowd, bench_feed, bench_spent, bench_upload
from central.bench_crowd import Seen
from central.bench_ground import Effort
from sync.signing import Signer


def test_a_bench_judges_what_it_measures(engine: str) -> None:
    """The bench checks its own books at the end; the figure names both sides."""
    try:
        figure, by_row = bench_upload.figures(engine, Effort(batches=3, each=40))
    except (OSError, RuntimeError) as error:
        pytest.skip(f"no PostgreSQL server can run here: {error}")
    assert (figure.engine, figure.rows, figure.batch) == (engine, 120, 40)
    assert figure.ratio == pytest.approx(figure.rows_per_s / figure.bare_rows_per_s, rel=0.05)
    assert (figure.met is None) == (figure.goal is None) == (engine == "sqlite")
    assert by_row.bare == "one entry per upload" and by_row.goal is None
    assert by_row.rows_per_s == figure.rows_per_s


def test_the_command_writes_a_line_for_each_figure(capsys: pytest.CaptureFixture[str]) -> None:
    few = ["--batches", "1", "--terminals", "3", "--seconds", "1", "--vouchers", "100"]
    assert hexiao.main(["bench", "central", "--json", "--engine", "sqlite", *few]) == 0
    figures = list(map(json.loads, capsys.readouterr().out.splitlines()))
    upload, by_row, over_http, ready, *spent, grouped, download, lag, snapshot, light, default = (
        figures
    )
    assert upload["rows"] == by_row["rows"] == 500 and snapshot["rows"] == 300
    assert over_http["rows"] == ready["rows"] == 2_000
    assert over_http["bare"] == ready["bare"] == "the same without HTTP"
    assert over_http["goal"] is ready["goal"] is None, "the goal is PostgreSQL's"
    for way in spent:
        assert way["processor_us_per_row"].keys() == {"this process", "the service"}
        assert sum(way["processor_us_per_row"].values()) > 0
    assert grouped["rows"] == 256 and grouped["bare"] == "a transaction each"
    assert download["rows"] == 1_500 and download["goal"] == 25_641
    assert (light["rows"], default["rows"]) == (500, 40)
    assert lag["terminals"] == 3 and 0 <= lag["lag_p50_s"] <= lag["lag_p99_s"]


def test_one_comparison_can_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """A snapshot of ten million is not measured beside everything else."""
    only = ["--only", "snapshot", "--vouchers", "50", "--engine", "sqlite"]
    assert hexiao.main(["bench", "central", "--json", *only]) == 0
    (figure,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (figure["what"], figure["rows"]) == ("snapshot built", 150)


@pytest.mark.skipif(sys.platform != "linux", reason="the accounts are those of Linux")
def test_what_children_spend_is_counted() -> None:
    """A database server is a family of processes; those that ended have spent something too."""
    burn = "import time\nwhile time.process_time() < 0.15: pass\nprint(flush=True); input()"
    before = bench_spent.of_family(os.getpid())
    with Popen([sys.executable, "-c", burn], stdin=PIPE, stdout=PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        running = bench_spent.of_family(os.getpid())
        child.communicate(b"\n")
    assert running - before >= 0.1, "but for what is less than a tick of each account"
    assert bench_spent.of_family(os.getpid()) >= running


@pytest.mark.parametrize("name", ["batches", "terminals", "seconds", "vouchers"])
def test_a_number_that_cannot_be_is_refused(name: str) -> None:
    assert hexiao.main(["bench", "central", f"--{name}", "0"]) == 2


def test_a_lag_is_counted_from_the_commit() -> None:
    """What a terminal never heard of counts until the end; what came before it listened does not.

    The first terminal hears of both commits with one page, the second only of the first one.
    """
    seen = Seen(pages=[[(20, 5.0)], [(10, 3.5)]], began=1.0, ended=9.0)
    commits = [(5, 0.5), (10, 3.0), (20, 4.0), (30, 9.5)]
    assert list(bench_feed.lags(seen, commits)) == [2.0, 1.0, 0.5, 5.0]


def test_a_terminal_whose_connection_is_closed_asks_again() -> None:
    """An overloaded machine keeps it silent for longer than the service waits. A service that
    answers nothing at all is not asked for ever.
    """
    page = b'{"cursor":"1.ab.%d"}'
    answers = [page % 7, None, page % 8]
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body: bytes | None = page
        while body is not None:
            asked.append((await reader.readuntil(b"\r\n\r\n")).split()[1])
            body = answers.pop(0) if answers else None
            if body is not None:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        writer.close()

    async def follow(seen: Seen) -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            host, port = server.sockets[0].getsockname()
            signer = Signer("CROWD0_1", Ed25519PrivateKey.generate())
            await bench_crowd.Caller(signer, f"http://{host}:{port}", seen, "1.ab.6").follow()

    seen = Seen()
    with pytest.raises(ConnectionAbortedError, match="5 connections in a row"):
        asyncio.run(follow(seen))
    assert [seq for (pages,) in [seen.pages] for seq, _ in pages] == [7, 8]
    after = [target.partition(b"after=")[2].partition(b"&")[0] for target in asked]
    assert after == [b"1.ab.6", b"1.ab.7", b"1.ab.7", *[b"1.ab.8"] * 5]
    assert (seen.cut, seen.requests) == (6, 2)


def test_a_redeemer_that_ran_dry_is_heard_to_its_end() -> None:
    """It sent all it had and ended before anybody asked."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    for commit in ((1, 0.5), (2, 0.7)):
        theirs.send(commit)
    assert bench_feed.drained(ours)[:1] == [(1, 0.5)]
    theirs.send((3, 0.9))
    theirs.close()
    assert bench_feed.drained(ours) == [(3, 0.9)] and bench_feed.drained(ours) == []
