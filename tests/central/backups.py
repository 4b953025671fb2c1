"""A backup of central's database and its way back, on either engine and while it is served.

Responsible for: every row of every table as it was at one moment. Not responsible for: files; that
the documented programs do the same is for `tests/journeys`.
"""

from dataclasses import dataclass

from sqlalchemy import Row

from central import schema
from central.service import Central


@dataclass(frozen=True)
class Backup:
    """All rows, by table."""

    rows: dict[str, list[Row]]

    @classmethod
    def of(cls, central: Central) -> "Backup":
        """Back a database up."""
        with central.read() as work:
            return cls(
                {
                    table.name: list(work.connection.execute(table.select()))
                    for table in schema.METADATA.sorted_tables
                }
            )

    def put_back(self, central: Central) -> None:
        """Let the database be what it was. Nobody runs `hexiao central restored` here."""
        with central.write() as work:
            for table in reversed(schema.METADATA.sorted_tables):
                work.connection.execute(table.delete())
            for table in schema.METADATA.sorted_tables:
                rows = [dict(row._mapping) for row in self.rows[table.name]]
                if rows:
                    work.connection.execute(table.insert(), rows)
