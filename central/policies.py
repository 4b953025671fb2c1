"""The owner's policy, versioned.

Responsible for: reading the one in force. Not responsible for: obeying it. Invariant: versions
only rise, and the highest holds.
"""

import msgspec
from sqlalchemy import select

from central import schema
from central.service import Work
from sync.policy import Policy


def current(work: Work) -> Policy:
    """The policy in force."""
    table = schema.policies
    text = work.connection.execute(
        select(table.c.policy)
        .where(table.c.merchant == work.merchant)
        .order_by(table.c.version.desc())
        .limit(1)
    ).scalar_one()
    return msgspec.json.decode(text, type=Policy)
