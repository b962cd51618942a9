"""Store which workers have reported lately, for the console."""

from alembic import op

revision = "decant_0013"
down_revision = "decant_0012"

WORKER = """
CREATE UNLOGGED TABLE decant.worker (
    id uuid PRIMARY KEY,            -- of the process; a new one after a restart
    name text NOT NULL,             -- of the function, or of host and process
    is_function boolean NOT NULL,   -- Lambda stops the process between batches, and ends it without notice
    queues text[],                  -- NULL for all
    concurrency integer NOT NULL,
    running integer NOT NULL,
    started_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL
) WITH (fillfactor = 50)
"""
INDEX = "CREATE INDEX worker_seen ON decant.worker (seen_at)"


def upgrade() -> None:
    """Create the table."""
    op.execute(WORKER)
    op.execute(INDEX)
