"""Add the options of a call that need no index, as one JSON object."""

from alembic import op

revision = "decant_0003"
down_revision = "decant_0002"


def upgrade() -> None:
    """Add the column; older code inserts null."""
    op.execute("ALTER TABLE decant.task ADD COLUMN options json")
