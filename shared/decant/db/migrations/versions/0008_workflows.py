"""Create the tables of `decant.workflows`: the recorded steps of a run, and the signals that were sent to it."""

from alembic import op

revision = "decant_0008"
down_revision = "decant_0007"

TASK = """
ALTER TABLE decant.task
    ADD COLUMN signalled integer NOT NULL DEFAULT 0,        -- signals and ends of children so far
    ADD COLUMN suspended boolean NOT NULL DEFAULT false,    -- the next signal makes it due
    ADD COLUMN awaited_by uuid,                             -- the run to wake when it is finished
    ADD COLUMN forked_from uuid
"""

STEP = """
CREATE TABLE decant.step (
    task_id uuid NOT NULL REFERENCES decant.task ON DELETE CASCADE,
    name text NOT NULL,
    n integer NOT NULL,        -- earlier steps of this name
    seq integer NOT NULL,      -- order of the calls, for display
    attempt integer NOT NULL,  -- the claim in which it was recorded
    kind text NOT NULL CHECK (kind IN ('step', 'begun', 'sleep', 'signal', 'patch', 'child')),
    result json,
    error json,
    due_at timestamptz,        -- end of a sleep or of a wait, or the next try
    date_started timestamptz,
    date_done timestamptz NOT NULL,
    PRIMARY KEY (task_id, name, n)
) WITH (fillfactor = 100)
"""

SIGNAL = """
CREATE TABLE decant.signal (
    id uuid PRIMARY KEY,
    task_id uuid NOT NULL REFERENCES decant.task ON DELETE CASCADE,
    topic text NOT NULL,
    payload json,
    taken boolean NOT NULL DEFAULT false,
    date_created timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""


def upgrade() -> None:
    """Add the columns and create the tables; older code leaves the defaults."""
    op.execute(TASK)
    op.execute(STEP)
    op.execute(SIGNAL)
    op.execute("CREATE INDEX signal_waiting ON decant.signal (task_id, topic, taken, date_created)")
