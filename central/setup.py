"""Making a central database, and bringing one up to date.

Responsible for: running the migrations and the first rows of a merchant. The only module that
needs Alembic, which the serving process never imports. Not responsible for: the tables themselves.
Invariant: making one twice is refused; upgrading twice is harmless.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import inspect, select

from central import catalogue, keys, schema
from central.database import Database
from central.errors import Misconfigured, Refused
from central.service import DEFAULT_MERCHANT, Central, check_not_later, open_central
from sync.policy import DEFAULT, Policy
from vouchers.sealed import COST_DEFAULT, COST_LIGHT

VAULT_COSTS: Final = {"default": COST_DEFAULT, "light": COST_LIGHT}
_SEED_BYTES: Final = 144
_FIRST_POLICY: Final = msgspec.structs.replace(DEFAULT, version=1)


@dataclass(frozen=True, slots=True)
class NewMerchant:
    """What `init` is told. `vault_cost` is `default` or `light` (tests and demo data only)."""

    name: str
    time_zone: str
    vault_cost: str = "default"
    policy: Policy = _FIRST_POLICY


def init(url: str, new: NewMerchant, random: Callable[[int], bytes]) -> Central | Refused:
    """Make the database and its merchant. Refused when there already is one."""
    try:
        ZoneInfo(new.time_zone)
    except (KeyError, ValueError, OSError):
        return Refused("bad_time_zone", f"no time zone is called {new.time_zone[:40]!r}")
    database = Database(url)
    if _holds_central(database):
        database.close()
        return Refused("exists", f"there already is a central database at {url}")
    database.create_file()
    migrate(url)
    _first_rows(database, new, random)
    database.close()
    return open_central(url)


def migrate(url: str) -> None:
    """Bring a database to the version this program needs. Harmless when it is there already.

    Raises Misconfigured where there is none, or one of a later program.
    """
    from alembic import command
    from alembic.config import Config

    database = Database(url)
    if not database.exists():
        raise Misconfigured(f"no central database at {url}; make one with `hexiao central init`")
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    with database.write() as connection:
        if inspect(connection).has_table("alembic_version"):
            check_not_later(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    database.close()


def _holds_central(database: Database) -> bool:
    if not database.exists():
        return False
    with database.read() as connection:
        # Tables without a merchant are what an interrupted `init` left: it may go on.
        return (
            inspect(connection).has_table("merchants")
            and connection.execute(select(schema.merchants.c.merchant)).first() is not None
        )


def _first_rows(database: Database, new: NewMerchant, random: Callable[[int], bytes]) -> None:
    central = Central(
        database=database,
        merchant=DEFAULT_MERCHANT,
        name=new.name,
        zone=ZoneInfo(new.time_zone),
        spool=Path(),
        random=random,
    )
    with central.write() as work:
        work.connection.execute(
            schema.merchants.insert().values(
                merchant=work.merchant,
                name=new.name,
                time_zone=new.time_zone,
                created_at=work.now,
            )
        )
        keys.create(work, random(_SEED_BYTES), VAULT_COSTS[new.vault_cost])
        catalogue.open_bucket(work, (), random)
        work.connection.execute(
            schema.policies.insert().values(
                merchant=work.merchant,
                version=new.policy.version,
                policy=msgspec.json.encode(new.policy).decode(),
                created_at=work.now,
            )
        )
        work.put(catalogue.CATALOGUE, "policy", "")
        work.put(catalogue.CATALOGUE, "key", "1")
