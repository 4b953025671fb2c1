"""The first version of the database.

Until the first release this version follows the schema; from then on it is frozen.
"""

from alembic import op

from central.schema import METADATA

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make all tables."""
    METADATA.create_all(op.get_bind())


def downgrade() -> None:
    """Drop all tables."""
    METADATA.drop_all(op.get_bind())
