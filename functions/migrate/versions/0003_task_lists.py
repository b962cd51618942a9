"""Durable tasks: indexes by which those that are not done, and those that failed, are listed newest first.

The whole table is listed by its primary key, whose ids ascend with time.
"""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the indexes."""
    op.execute("CREATE INDEX task_open ON decant.task (id) WHERE date_done IS NULL")
    op.execute("CREATE INDEX task_dead ON decant.task (id) WHERE state IN ('FAILURE', 'REVOKED')")
