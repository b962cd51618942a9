"""Add `expires` that is relative to the release by parents, and whether the last sweep lacked a schedule."""

from alembic import op

revision = "decant_0004"
down_revision = "decant_0003"


def upgrade() -> None:
    """Add the columns; older code leaves their defaults."""
    op.execute("ALTER TABLE decant.task ADD COLUMN expires_in_s double precision")
    op.execute("ALTER TABLE decant.schedule ADD COLUMN absent boolean NOT NULL DEFAULT false")
