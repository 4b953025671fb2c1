"""Codes without end: how a voucher goes on beyond the generations that were reserved at issue.

Responsible for: which secret makes the code of which generation, when more codes are needed, and
reserving them. Not responsible for: sealing the row that tells terminals (`sealing`). Invariants:
the secret of a generation never changes once it was reserved, so that two counters derive the same
successor whatever they know; the row of the last generation under one secret, the turn, carries the
next secret; no reserved code belongs to two vouchers or looks like a mobile number.
"""

import hmac
import itertools
from collections.abc import Collection
from typing import Final

from msgspec.structs import replace
from sqlalchemy import update

from central import keys, ledger, schema
from central.database import retried
from central.ledger import Voucher
from central.service import Central, Work
from vouchers import codes
from vouchers.sealed import SECRET_BYTES

AHEAD: Final = 8
"""More codes are reserved while so many generations are still to come: a counter that is offline
has the row of the turn before it gets there."""


def due(voucher: Voucher) -> bool:
    """Whether its shares may outlast its codes soon."""
    ahead = voucher.horizon - voucher.generation
    return not voucher.retired and voucher.left - 1 > ahead and ahead < AHEAD


@retried
def extend(central: Central, vouchers: Collection[str]) -> None:
    """Reserve more codes for those of the vouchers that are due."""
    with central.write() as work:
        key = keys.load(work).nonce
        for voucher in ledger.find_all(work, vouchers, lock=True).values():
            # By a card a counter goes on without codes: it may be far beyond the last of them.
            while due(voucher):
                voucher = _reserve(work, key, voucher)


def _reserve(work: Work, key: bytes, voucher: Voucher) -> Voucher:
    """The next secret is made of a key that only this service has: put back from a backup, it comes
    to the same one again, and codes that were given out meanwhile stay good.
    """
    first = voucher.horizon + 1
    generations = range(first, first + codes.horizon(voucher.left) + 1)
    found: dict[int, str] = {}
    tries = itertools.count()
    while not found:
        text = f"hexiao-next-secret-v1:{voucher.voucher}:{first}:{next(tries)}"
        secret = hmac.digest(key, text.encode(), "sha256")[:SECRET_BYTES]
        drawn = {generation: codes.derive(secret, generation) for generation in generations}
        if _good(work, list(drawn.values())):
            found = drawn
    after = replace(
        voucher, secret=ledger.with_secret(voucher, first, secret), horizon=generations[-1]
    )
    table = schema.vouchers
    work.connection.execute(
        update(table)
        .where(table.c.merchant == work.merchant, table.c.voucher == voucher.voucher)
        .values(secret=after.secret, horizon=after.horizon)
    )
    work.connection.execute(
        schema.codes.insert(),
        [
            {
                "merchant": work.merchant,
                "code": int(code),
                "voucher": voucher.voucher,
                "generation": generation,
            }
            for generation, code in found.items()
        ],
    )
    return after


def _good(work: Work, drawn: list[str]) -> bool:
    if len(set(drawn)) < len(drawn) or any(map(codes.looks_like_mobile, drawn)):
        return False
    return not ledger.taken(work, drawn)
