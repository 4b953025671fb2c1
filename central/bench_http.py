"""What HTTP costs an upload: the same journals over it and without it (design, section 9).

Responsible for: four terminals that upload at once, to a service in a process of its own and to
the ledger itself, and which process spends its time on it. Invariants: the ways take turns, batch
by batch, each with vouchers of its own, so that none is judged on a larger ledger or has more to
dispute than another; a request is signed, compressed and believed as a terminal's is.
"""

import http.client
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Final
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import func, select

from central import bench_ground, bench_spent, ingest, schema
from central.arriving import Upload
from central.bench_figures import Figure
from central.bench_ground import Effort
from central.bench_spent import Spent
from central.clock import now_ms
from central.ingest import Held
from central.service import Central
from sync import coding, messages, signing
from sync.messages import Batch
from sync.signing import Message, Signer
from sync.transport import HttpCentral, Terms
from vouchers import ids

GOAL: Final = 0.8
"""Of the rate without HTTP, on PostgreSQL (design, section 9)."""

_TERMINALS: Final = 4
_SHARE: Final = 8
"""Each terminal uploads this part of the batches of the other bench, in each way."""

_WARM: Final = 1
"""Batches of each terminal before the clock starts: connections are open and statements known."""

BARE: Final = "without HTTP"
WHOLE: Final = "over HTTP"
READY: Final = "over HTTP, requests made before the clock starts, answers not read"
_WAYS: Final = (BARE, WHOLE, READY)

Send = Callable[[], object]
"""Uploads the next batch of a terminal."""


def figures(engine: str, effort: Effort) -> Iterator[Figure | Spent]:
    """The comparisons, and what each process spent on a row in each way."""
    each = Effort(max(1, effort.batches // _SHARE), effort.each)
    key = Ed25519PrivateKey.generate()
    streams = len(_WAYS) * _TERMINALS
    with bench_ground.database(engine) as url:
        whole = Effort(streams * (_WARM + each.batches), each.each)
        central = bench_ground.prepare(url, whole, ways=len(_WAYS))
        journals = [
            _journal(central, Effort(_WARM + each.batches, each.each), number, key)
            for number in range(streams)
        ]
        _enrol(central, key)
        bench_ground.settle_down(central)
        with bench_ground.served(url) as (address, pid), ExitStack() as lines:
            bare, pushed, posted = (journals[way :: len(_WAYS)] for way in range(len(_WAYS)))
            ways = {
                BARE: [_taking(central, journal) for journal in bare],
                WHOLE: [_pushing(lines, address, key, journal) for journal in pushed],
                READY: [_posting(lines, address, key, journal) for journal in posted],
            }
            accounts = bench_spent.accounts(central, pid)
            rows = _TERMINALS * each.rows
            _take_turns(ways, _ledgers(engine, rows), {}, _WARM)
            spent = _ledgers(engine, rows)
            _take_turns(ways, spent, accounts, each.batches)
        _check(central, whole.rows)
        central.database.close()
    yield _figure(spent[WHOLE], spent[BARE], each.each, GOAL if engine == "postgresql" else None)
    yield _figure(spent[READY], spent[BARE], each.each, None)
    if accounts:
        yield from spent.values()


def _ledgers(engine: str, rows: int) -> dict[str, Spent]:
    return {way: Spent(way, engine, rows) for way in _WAYS}


def _take_turns(
    ways: dict[str, list[Send]],
    spent: dict[str, Spent],
    accounts: bench_spent.Accounts,
    rounds: int,
) -> None:
    order = list(ways)
    for _ in range(rounds):
        for way in order:
            with spent[way].noting(accounts):
                bench_ground.at_once(ways[way])
        order = order[1:] + order[:1]


def _journal(
    central: Central, each: Effort, number: int, key: Ed25519PrivateKey
) -> Sequence[Upload]:
    way = number % len(_WAYS)
    skip = number * each.rows
    return list(bench_ground.journal(central, each, f"POS{number}", skip, key, way=way))


def _figure(ours: Spent, bare: Spent, batch: int, goal: float | None) -> Figure:
    ratio = bare.seconds / ours.seconds
    return Figure(
        what=f"journal upload of {_TERMINALS} terminals {ours.way}",
        engine=ours.engine,
        rows=ours.rows,
        batch=batch,
        rows_per_s=round(ours.rows / ours.seconds),
        bare=f"the same {bare.way}",
        bare_rows_per_s=round(bare.rows / bare.seconds),
        ratio=round(ratio, 4),
        goal=goal,
        met=None if goal is None else ratio >= goal,
    )


def _enrol(central: Central, key: Ed25519PrivateKey) -> None:
    """The terminals of the streams there are; all sign with one key."""
    with central.write() as work:
        base = {"merchant": work.merchant, "outlet": 1, "epoch": 1, "state": "active"}
        base |= {"sign_key": key.public_key().public_bytes_raw(), "seal_key": bytes(32)}
        base |= {"enrolled_at": work.now, "seen_at": work.now, "missed_from": 0, "missed": 0}
        rows = [base | {"posid": f"POS{n}"} for n in range(len(_WAYS) * _TERMINALS)]
        work.connection.execute(schema.terminals.insert(), rows)


def _taking(central: Central, journal: Sequence[Upload]) -> Send:
    """Hands the next batch to the ledger."""

    uploads = iter(journal)

    def send() -> None:
        upload = next(uploads)
        taken = ingest.ingest(central, upload)
        assert isinstance(taken, Held) and taken.added == len(upload.bodies), taken

    return send


def _batch(upload: Upload) -> Batch:
    (sig,) = upload.signatures.values()
    return Batch(
        from_=upload.first, prev=upload.prev, entries=tuple(upload.bodies), sig=ids.b64u(sig)
    )


def _pushing(
    lines: ExitStack, address: str, key: Ed25519PrivateKey, journal: Sequence[Upload]
) -> Send:
    """All that a terminal does: compose, compress, sign, send, unpack and read the answer."""
    terms = Terms(
        url=address,
        now_ms=now_ms,
        monotonic_ms=lambda: time.monotonic_ns() // 1_000_000,
        nonce=lambda: secrets.token_urlsafe(16),
    )
    posid = journal[0].posid
    terminal = HttpCentral(terms, Signer(signing.key_id(posid, 1), key))
    lines.callback(terminal.close)
    batches = iter([_batch(upload) for upload in journal])

    def send() -> None:
        batch = next(batches)
        answer = terminal.push(posid, 1, batch)
        assert len(answer.verdicts) == len(batch.entries)

    return send


def _posting(
    lines: ExitStack, address: str, key: Ed25519PrivateKey, journal: Sequence[Upload]
) -> Send:
    """Only what the wire needs: the requests of a terminal are made beforehand."""
    host = urlsplit(address).netloc
    ready = iter([_request(host, key, upload) for upload in journal])
    line = http.client.HTTPConnection(host)
    lines.callback(line.close)

    def send() -> None:
        request = next(ready)
        line.request(
            request.method, request.target, body=request.body, headers=dict(request.headers)
        )
        answer = line.getresponse()
        assert (answer.read(), answer.status)[1] == http.client.OK, answer.status

    return send


def _request(host: str, key: Ed25519PrivateKey, upload: Upload) -> Message:
    body, encoding = coding.encode(messages.encode(_batch(upload)))
    headers = {"Host": host, "Accept-Encoding": coding.ACCEPTED, "Content-Type": "application/json"}
    if encoding is not None:
        headers["Content-Encoding"] = encoding
    request = Message("POST", host, f"/v1/journal/{upload.posid}/1", headers, body)
    signer = Signer(signing.key_id(upload.posid, 1), key)
    signing.sign(request, signer, created_s=now_ms() // 1000, nonce=secrets.token_urlsafe(16))
    return request


def _check(central: Central, rows: int) -> None:
    """All arrived."""
    with central.read() as work:
        held = work.connection.execute(select(func.sum(schema.streams.c.seq))).scalar_one()
    assert held == rows, held
