"""What the sealing job does in a second, against stretching alone on one core.

Responsible for: a queue of vouchers as an import leaves it, and its sealing to the end. Not
responsible for: what a stretch costs a thief. Invariant: the bare figure stretches with the same
vault in the same run.
"""

import secrets
from collections.abc import Iterator
from time import perf_counter
from typing import Final

from central import bench_ground, catalogue, issuing, keys, sealing, setup
from central.bench_figures import Figure
from central.catalogue import NewProduct
from central.errors import Refused
from central.issuing import NewOrder
from central.service import Central
from vouchers import sealed

_ROWS: Final = {"light": 500, "default": 40}


def figures(engine: str) -> Iterator[Figure]:
    """Each comparison, as soon as it is known."""
    for cost, rows in _ROWS.items():
        with bench_ground.database(engine) as url:
            yield _figure(engine, url, cost, rows)


def _figure(engine: str, url: str, cost: str, rows: int) -> Figure:
    made = setup.init(url, setup.NewMerchant("bench", "UTC", cost), secrets.token_bytes)
    assert isinstance(made, Central), made
    catalogue.add_outlet(made, "Bench")
    catalogue.add_product(made, NewProduct("Bench", 1000, (1,)))
    _queue(made, rows)
    done, began = 0, perf_counter()
    while portion := sealing.run(made):
        done += portion
    ours = perf_counter() - began
    assert done == rows, (done, rows)
    with made.read() as work:
        vault = keys.load(work).vault
    began = perf_counter()
    for number in range(rows):
        sealed.stretch(f"{number:011d}", "1234", vault)
    bare = perf_counter() - began
    made.database.close()
    return Figure(
        what=f"sealing, {cost} vault",
        engine=engine,
        rows=rows,
        batch=sealing.QUEUE_BATCH,
        rows_per_s=round(rows / ours),
        bare="Argon2id on one core",
        bare_rows_per_s=round(rows / bare),
        ratio=round(bare / ours, 4),
        goal=None,
        met=None,
    )


def _queue(central: Central, count: int) -> None:
    order = NewOrder(product=1, mobile="13800001234")
    with central.write() as work:
        draft = issuing.examine(central, work, order, catalogue.products(work))
        assert not isinstance(draft, Refused), draft
        new = [
            issuing.New(draft, issuing.compose(central, draft, one, work.now), one.codes)
            for one in issuing.draw(central, work, [1] * count)
        ]
        issuing.insert(work, new)
        sealing.enqueue(work, [one.voucher for one in new])
