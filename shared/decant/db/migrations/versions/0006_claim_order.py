"""Index waiting tasks in the order in which workers without SQS claim them."""

from alembic import op

revision = "decant_0006"
down_revision = "decant_0005"


def upgrade() -> None:
    """Create the index."""
    op.execute("CREATE INDEX task_due ON decant.task (priority DESC, wake_at) WHERE wake_at IS NOT NULL")
