"""What whoever runs the service sees: health, readiness, figures, the log."""

import json
import logging
import re
from pathlib import Path

import httpx
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from psycopg import sql
from sqlalchemy import make_url, text

from central import logs
from central.metrics import Metrics
from central.reports import SILENT_HOURS
from central.service import Central
from tests.central.conftest import Pair, issue
from vouchers.times import HOUR_MS


def figures(url: str) -> dict[str, float]:
    """All samples, read by Prometheus' own parser; labels stand behind the name."""
    got = httpx.get(f"{url}/metrics")
    assert got.status_code == 200 and got.headers["content-type"].startswith("text/plain")
    return {
        sample.name + "".join(f" {value}" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(got.text)
        for sample in family.samples
    }


def test_health_and_readiness(url: str) -> None:
    """Both answer while all is well."""
    assert httpx.get(f"{url}/health").json() == {"ok": True}
    assert httpx.get(f"{url}/ready").json()["ok"] is True


def test_the_figures_follow_what_happens(central: Central, url: str, pair: Pair) -> None:
    """Entries, an over-redemption by two tills, requests by route."""
    issued = issue(central)
    before = figures(url)
    assert before["hexiao_database_up"] == 1
    assert before["hexiao_open_verdicts over_redeemed"] == 0
    first, second = pair("POS1"), pair("POS2", outlet=2)
    for one in (first, second):
        one.redeem(issued)
        one.push()
    after = figures(url)
    assert after["hexiao_journal_entries_total"] - before["hexiao_journal_entries_total"] == 2
    assert after["hexiao_open_verdicts over_redeemed"] == 1
    assert after["hexiao_terminals active"] == 2
    assert after["hexiao_terminals_silent"] == 0
    uploads = "hexiao_requests_total POST /v1/journal/{posid}/{epoch} 200"
    assert after[uploads] == 2
    assert after["hexiao_request_seconds_count /v1/journal/{posid}/{epoch}"] == 2


def test_a_silent_terminal_is_counted(central: Central, pair: Pair) -> None:
    """It has said nothing for a day."""
    pair("POS1")
    later = Central(
        central.database,
        central.merchant,
        central.name,
        central.zone,
        central.spool,
        clock=lambda: central.clock() + SILENT_HOURS * HOUR_MS + 1,
    )
    assert b"hexiao_terminals_silent 1.0" in Metrics(later, lambda: 0).text()
    assert b"hexiao_terminals_silent 0.0" in Metrics(central, lambda: 0).text()


def test_paths_are_no_labels(url: str) -> None:
    """Whatever is asked for, the number of figures stays small."""
    for number in range(20):
        assert httpx.get(f"{url}/nothing/{number}").status_code == 404
    found = [name for name in figures(url) if name.startswith("hexiao_requests_total GET")]
    assert not [name for name in found if "nothing" in name]
    assert figures(url)["hexiao_requests_total GET none 404"] == 20


def take_away(central: Central) -> None:
    """The database answers no more, as when its server or its disk is gone."""
    central.database.engine.dispose()
    if central.database.is_sqlite:
        found = Path(str(make_url(central.database.url).database))
        found.rename(found.with_suffix(".gone"))
        return
    target = make_url(central.database.url)
    admin = target.set(database="postgres").render_as_string(hide_password=False)
    with psycopg.connect(admin, autocommit=True) as connection:
        name = sql.Identifier(str(target.database))
        connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
            (target.database,),
        )


def test_a_database_that_is_away(central: Central, url: str) -> None:
    """Alive, not ready, and the figures say why."""
    assert httpx.get(f"{url}/ready").status_code == 200
    take_away(central)
    assert httpx.get(f"{url}/health").status_code == 200
    refused = httpx.get(f"{url}/ready")
    assert refused.status_code == 503 and refused.headers["retry-after"] == "5"
    found = figures(url)
    assert found["hexiao_database_up"] == 0 and "hexiao_terminals_waiting" in found
    assert "hexiao_journal_entries_total" not in found


def test_a_database_of_another_version(central: Central, url: str) -> None:
    """It was migrated under a running program: not ready, in words."""
    with central.write() as work:
        work.connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    refused = httpx.get(f"{url}/ready")
    assert refused.status_code == 503 and "9999" in refused.json()["detail"]


def test_the_access_log_says_nothing_of_what_was_asked(
    central: Central, url: str, pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    """Route, status and time; no code, no digits, no voucher, no POSID, no query."""
    issued = issue(central)
    till = pair("POS77")
    with caplog.at_level(logging.INFO):
        till.redeem(issued)
        till.push()
        httpx.get(f"{url}/v1/feed?bucket=1&after=secret")
    lines = [record for record in caplog.records if record.name == "central.access"]
    assert len(lines) >= 2
    told = "\n".join(
        record.getMessage() + json.dumps(vars(record), default=str) for record in lines
    )
    for secret in (issued.voucher, issued.code, issued.last4, "POS77", "secret", "127.0.0.1"):
        assert secret not in re.sub(
            r'"(thread|process|msecs|created|relativeCreated)[^,]*', "", told
        )


def test_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Each line is one object with time, level, logger, words, and what came with it."""
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    root.handlers.clear()
    try:
        logs.begin("json")
        logging.getLogger("central.jobs").warning("job %s: 出错", "sealing", extra={"status": 503})
    finally:
        root.handlers[:] = kept
        root.setLevel(level)
    line = json.loads(capsys.readouterr().err)
    assert (line["level"], line["logger"], line["message"]) == (
        "WARNING",
        "central.jobs",
        "job sealing: 出错",
    )
    assert line["status"] == 503 and line["at"].endswith(("Z", "+00:00"))


def test_text_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Time in UTC first."""
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    root.handlers.clear()
    try:
        logs.begin("text")
        logging.getLogger("central.jobs").error("job failed")
    finally:
        root.handlers[:] = kept
        root.setLevel(level)
    line = capsys.readouterr().err
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT[\d:.]+Z ERROR central.jobs job failed\n", line), line
