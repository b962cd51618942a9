"""Create the indexes that list unfinished and failed tasks, newest first.

The list of all tasks uses the primary key, whose ids ascend with time.
"""

from alembic import op

revision = "decant_0002"
down_revision = "decant_0001"


def upgrade() -> None:
    """Create the indexes."""
    op.execute("CREATE INDEX task_open ON decant.task (id) WHERE date_done IS NULL")
    op.execute("CREATE INDEX task_dead ON decant.task (id) WHERE state IN ('FAILURE', 'REVOKED')")
