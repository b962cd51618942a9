"""Add the table of paused queues, and index waiting tasks by queue in the order in which workers claim them."""

from alembic import op

revision = "decant_0009"
down_revision = "decant_0008"

PAUSED_QUEUE = """
    CREATE TABLE decant.paused_queue (
        name text PRIMARY KEY,
        paused_at timestamptz NOT NULL DEFAULT statement_timestamp()
    )
"""


def upgrade() -> None:
    """Create the table and the index, which replaces that without queues."""
    op.execute(PAUSED_QUEUE)
    op.execute("CREATE INDEX task_claim ON decant.task (queue, priority DESC, wake_at) WHERE wake_at IS NOT NULL")
    op.execute("DROP INDEX IF EXISTS decant.task_due")
