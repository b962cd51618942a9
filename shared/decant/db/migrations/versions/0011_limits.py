"""Add the key by which running tasks are limited, and the state of limits.

The lists of waiting tasks are indexed by key too, so that tasks that must wait cost a claim nothing.
"""

from alembic import op

revision = "decant_0011"
down_revision = "decant_0010"

LIMIT = """
    CREATE TABLE decant.task_limit (
        key text PRIMARY KEY,
        version bigint NOT NULL,       -- claims so far: the fence between concurrent claims
        next_at timestamptz NOT NULL   -- when all starts so far would have been allowed one by one
    )
"""
INDEXES = (
    """
    CREATE INDEX task_lane ON decant.task (queue, limit_key, priority DESC, wake_at) WHERE wake_at IS NOT NULL
    """,
    """
    CREATE INDEX task_limited ON decant.task (limit_key) WHERE lease_expires_at IS NOT NULL AND limit_key <> ''
    """,
)


def upgrade() -> None:
    """Add column, table and indexes; code that does not know them inserts tasks without a limit."""
    op.execute("ALTER TABLE decant.task ADD COLUMN limit_key text NOT NULL DEFAULT ''")
    op.execute(LIMIT)
    for index in INDEXES:
        op.execute(index)
    op.execute("DROP INDEX IF EXISTS decant.task_claim")
