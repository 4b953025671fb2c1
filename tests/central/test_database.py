"""What the door to the database holds itself to, whoever comes through it."""

import contextlib
import ctypes
from pathlib import Path

from central.database import MEMORY_BYTES, Database
from tests.central.faulty_store import library

READERS = 14
TABLE_BYTES = 30_000_000


def test_a_rush_of_readers_does_not_multiply_memory(tmp_path: Path) -> None:
    """Each could fill a cache of its own; together they keep to what is allowed to all."""
    used = library().sqlite3_memory_used
    used.restype = ctypes.c_int64
    database = Database(f"sqlite:///{tmp_path}/wide.db")
    with database.write() as work:
        work.exec_driver_sql("CREATE TABLE wide (text BLOB)")
        work.exec_driver_sql(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
            " INSERT INTO wide SELECT zeroblob(3000) FROM n",
            (TABLE_BYTES // 3_000,),
        )
    with contextlib.ExitStack() as stack:
        for _ in range(READERS):
            work = stack.enter_context(database.read())
            work.exec_driver_sql("SELECT sum(length(text)) FROM wide").all()
        assert READERS * TABLE_BYTES > MEMORY_BYTES * 1.2, "without a bound it would be more"
        assert TABLE_BYTES < used() < MEMORY_BYTES * 1.05
    database.close()
