"""Store what `decant.console` shows: counts and times of finished tasks, earlier attempts, and the last sweep."""

from alembic import op

revision = "decant_0010"
down_revision = "decant_0009"

STATISTIC = """
CREATE TABLE decant.task_statistic (
    seconds integer NOT NULL,   -- length of the period
    since timestamptz NOT NULL,
    queue text NOT NULL,
    kind text NOT NULL,         -- a final state, or `wait` or `run` with a bucket of its histogram
    bucket smallint NOT NULL,
    count integer NOT NULL,
    PRIMARY KEY (seconds, since, queue, kind, bucket)
)
"""

SWEEPER = """
CREATE TABLE decant.sweeper (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),  -- it has one row
    swept_at timestamptz NOT NULL
)
"""


def upgrade() -> None:
    """Add the columns and create the tables; older code leaves the defaults."""
    op.execute("ALTER TABLE decant.task ADD COLUMN attempts jsonb")  # null before the first retry
    op.execute("ALTER TABLE decant.schedule ADD COLUMN paused boolean NOT NULL DEFAULT false")
    op.execute(STATISTIC)
    op.execute(SWEEPER)
    op.execute("""
        CREATE INDEX task_done_keyed ON decant.task (date_done)
            WHERE date_done IS NOT NULL AND idempotency_key IS NOT NULL
    """)
