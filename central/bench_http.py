"""What HTTP costs an upload: the same journals over it and without it (design, section 9).

Responsible for: four terminals that upload at once, to a service in a process of its own and to
the ledger itself. Invariant: a request is compressed, signed and believed as a terminal's is.
"""

import secrets
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from central import bench_ground, ingest, schema
from central.arriving import Upload
from central.bench_figures import Figure
from central.bench_ground import Effort
from central.clock import now_ms
from central.ingest import Held
from central.service import Central
from sync import signing
from sync.messages import Batch
from sync.signing import Signer
from sync.transport import HttpCentral, Terms
from vouchers import ids

GOAL: Final = 0.8
"""Of the rate without HTTP, on PostgreSQL (design, section 9)."""

_TERMINALS: Final = 4
_SHARE: Final = 8
"""Each terminal uploads this part of the batches of the other bench, in each way."""


def figures(engine: str, effort: Effort) -> Iterator[Figure]:
    """The comparison."""
    each = Effort(max(1, effort.batches // _SHARE), effort.each)
    key = Ed25519PrivateKey.generate()
    with bench_ground.database(engine) as url:
        central = bench_ground.prepare(url, Effort(2 * _TERMINALS * each.batches, each.each))
        journals = [
            list(bench_ground.journal(central, each, f"POS{n}", n * each.rows, key))
            for n in range(2 * _TERMINALS)
        ]
        _enrol(central, key)
        bench_ground.settle_down(central)
        with bench_ground.served(url) as (address, _):
            bare = bench_ground.at_once([partial(_take, central, j) for j in journals[::2]])
            ours = bench_ground.at_once([partial(_push, address, key, j) for j in journals[1::2]])
        central.database.close()
    count = _TERMINALS * each.rows
    goal = GOAL if engine == "postgresql" else None
    yield Figure(
        what=f"journal upload of {_TERMINALS} terminals over HTTP",
        engine=engine,
        rows=count,
        batch=each.each,
        rows_per_s=round(count / ours),
        bare="the same without HTTP",
        bare_rows_per_s=round(count / bare),
        ratio=round(bare / ours, 4),
        goal=goal,
        met=None if goal is None else bare / ours >= goal,
    )


def _enrol(central: Central, key: Ed25519PrivateKey) -> None:
    """The terminals of the streams there are; all sign with one key."""
    with central.write() as work:
        base = {"merchant": work.merchant, "outlet": 1, "epoch": 1, "state": "active"}
        base |= {"sign_key": key.public_key().public_bytes_raw(), "seal_key": bytes(32)}
        base |= {"enrolled_at": work.now, "seen_at": work.now, "missed_from": 0, "missed": 0}
        rows = [base | {"posid": f"POS{n}"} for n in range(2 * _TERMINALS)]
        work.connection.execute(schema.terminals.insert(), rows)


def _take(central: Central, journal: Sequence[Upload]) -> None:
    for upload in journal:
        taken = ingest.ingest(central, upload)
        assert isinstance(taken, Held) and taken.added == len(upload.bodies), taken


def _push(address: str, key: Ed25519PrivateKey, journal: Sequence[Upload]) -> None:
    terms = Terms(
        url=address,
        now_ms=now_ms,
        monotonic_ms=lambda: time.monotonic_ns() // 1_000_000,
        nonce=lambda: secrets.token_urlsafe(16),
    )
    posid = journal[0].posid
    http = HttpCentral(terms, Signer(signing.key_id(posid, 1), key))
    for upload in journal:
        (sig,) = upload.signatures.values()
        batch = Batch(
            from_=upload.first,
            prev=upload.prev,
            entries=tuple(upload.bodies),
            sig=ids.b64u(sig),
        )
        answer = http.push(posid, 1, batch)
        assert len(answer.verdicts) == len(upload.bodies)
    http.close()
