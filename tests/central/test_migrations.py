"""A database of any version comes up to this program's, with what was in it, on both engines.

Until the first release there is one version, which follows the schema; each later one is walked
here by itself, because the versions are read from the folder and not named.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from central import setup
from central.database import Database
from central.errors import Misconfigured
from central.schema import METADATA
from central.service import REVISION, Central, open_central

FOLDER = Path(setup.__file__).with_name("migrations")
VERSIONS = [script.revision for script in ScriptDirectory(str(FOLDER)).walk_revisions()][::-1]


@pytest.fixture
def empty(engine: str, database_url: str) -> str:
    """A database without any table."""
    database = Database(database_url)
    if engine == "sqlite":
        database.create_file()
    with database.write() as connection:
        METADATA.drop_all(connection)
        connection.execute(text("DROP TABLE IF EXISTS alembic_version"))
    database.close()
    return database_url


def up_to(url: str, version: str) -> None:
    """Bring a database to one version, as the program of that version did."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    database = Database(url)
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)
    database.close()


def indexes(connection: Connection) -> set[tuple[str, str]]:
    """Every index that has a name, with its table."""
    found = inspect(connection)
    return {
        (table, str(index["name"]))
        for table in found.get_table_names()
        for index in found.get_indexes(table)
        if "duplicates_constraint" not in index  # PostgreSQL's own, of a UNIQUE
    }


def test_the_last_version_is_the_one_this_program_needs() -> None:
    """There is one way up, and the service asks for its end."""
    assert ScriptDirectory(str(FOLDER)).get_heads() == [REVISION] == VERSIONS[-1:]


@pytest.mark.parametrize("version", VERSIONS)
def test_up_from_every_version(empty: str, version: str) -> None:
    """The tables, columns and indexes are then those that the program knows; none is left over."""
    up_to(empty, version)
    setup.migrate(empty)
    database = Database(empty)
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
        assert indexes(connection) == {
            (table.name, str(index.name))
            for table in METADATA.sorted_tables
            for index in table.indexes
        }
    database.close()


def test_a_table_that_differs_is_noticed(empty: str) -> None:
    """The control: the comparison above can fail."""
    up_to(empty, "head")
    database = Database(empty)
    with database.write() as connection:
        connection.execute(text("ALTER TABLE vouchers ADD COLUMN forgotten INTEGER"))
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) != []
    database.close()


def test_what_was_in_it_is_still_there(central: Central) -> None:
    """A merchant in use: upgrading twice changes nothing that it has."""
    setup.migrate(central.database.url)
    again = open_central(central.database.url)
    with again.read() as work:
        assert work.connection.execute(text("SELECT count(*) FROM products")).scalar_one() == 1
    again.database.close()


def test_a_database_of_a_later_program_is_left_alone(central: Central) -> None:
    """Somebody put the old program back: it says so and touches nothing."""
    with central.database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Misconfigured, match="9999"):
        setup.migrate(central.database.url)
    with central.database.read() as connection:
        assert (
            connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
            == "9999"
        )
