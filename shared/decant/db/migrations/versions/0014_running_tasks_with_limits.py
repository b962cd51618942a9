"""Index running tasks with limits in an order, in which a claim counts them up to the limit.

A scan in the order of an index marks entries of completed tasks, so that later scans skip them; a bitmap scan, which
PostgreSQL prefers without an order, visits all of them until the next vacuum.
"""

from alembic import op

revision = "decant_0014"
down_revision = "decant_0013"


def upgrade() -> None:
    """Create the index anew."""
    op.execute("DROP INDEX decant.task_limited")
    op.execute("""
        CREATE INDEX task_limited ON decant.task (limit_key, id) WHERE lease_expires_at IS NOT NULL AND limit_key <> ''
    """)
