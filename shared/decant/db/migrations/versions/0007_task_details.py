"""Add the details of runs that `decant.celery` records."""

from alembic import op

revision = "decant_0007"
down_revision = "decant_0006"


def upgrade() -> None:
    """Add the column; older code leaves it NULL."""
    op.execute("ALTER TABLE decant.task ADD COLUMN details json")
