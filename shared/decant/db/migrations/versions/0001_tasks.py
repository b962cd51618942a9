"""Create the tables of `decant.tasks` and `decant.worker`: durable tasks, and the last tick of their schedules.

A row is in one of three conditions, and a timestamp contains the time at which it is due next:

    waiting   PENDING, RETRY             wake_at: when to publish it on its queue; null while parents run
    running   STARTED                    lease_expires_at: when its worker counts as lost
    done      SUCCESS, FAILURE, REVOKED  date_done: its age, for expiry

Each has a partial index, so that the cost of a sweep grows with the number of due rows and not with the table.
"""

from alembic import op

revision = "decant_0001"
down_revision = None
branch_labels = ("decant",)

TABLE = """
CREATE TABLE decant.task (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    queue text NOT NULL,
    priority smallint NOT NULL DEFAULT 0,
    state text NOT NULL DEFAULT 'PENDING'
        CHECK (state IN ('PENDING', 'STARTED', 'RETRY', 'SUCCESS', 'FAILURE', 'REVOKED')),
    -- json keeps the text as it was written: order of keys, digits of numbers, escaped NULs
    args json NOT NULL,
    kwargs json NOT NULL,

    retries integer NOT NULL DEFAULT 0,  -- runs that ended in another run
    max_retries integer,                 -- null: no bound
    losses integer NOT NULL DEFAULT 0,   -- runs whose worker was lost; such a row runs alone
    attempt integer NOT NULL DEFAULT 0,  -- claims so far: the fence between an owner and those before it
    eta timestamptz NOT NULL DEFAULT statement_timestamp(),
    expires timestamptz,
    wake_at timestamptz DEFAULT statement_timestamp(),
    wakeups integer NOT NULL DEFAULT 0,  -- messages that the sweeper sent for it: each waits twice as long
    lease_expires_at timestamptz,
    revoked_at timestamptz,
    terminate boolean NOT NULL DEFAULT false,

    progress json,
    result json,
    error_type text,
    error text,
    traceback text,

    correlation_id text,
    group_key text,
    unique_key text,
    idempotency_key text,

    root_id uuid,                          -- the workflow that it belongs to
    waits_for integer NOT NULL DEFAULT 0,  -- parents that have not succeeded yet
    parents uuid[],                        -- in the order of their results
    takes text CHECK (takes IN ('result', 'results')),  -- what of its parents becomes its first argument
    children uuid[],                       -- rows that wait for it
    countdown_s double precision,          -- seconds that it waits after its parents
    on_error json,                         -- tasks to start when it fails

    date_created timestamptz NOT NULL DEFAULT clock_timestamp(),
    date_started timestamptz,
    date_done timestamptz,

    CHECK ((state = 'STARTED') = (lease_expires_at IS NOT NULL)),
    CHECK ((state IN ('SUCCESS', 'FAILURE', 'REVOKED')) = (date_done IS NOT NULL)),
    CHECK ((state IN ('PENDING', 'RETRY') AND waits_for = 0) = (wake_at IS NOT NULL))
) WITH (
    fillfactor = 85,                        -- room for a row's next version beside it
    autovacuum_vacuum_scale_factor = 0.02,  -- every run leaves dead versions: clear them away often
    autovacuum_analyze_scale_factor = 0.02
)
"""

SCHEDULE = """
CREATE TABLE decant.schedule (
    name text PRIMARY KEY,
    ticked_at timestamptz NOT NULL DEFAULT statement_timestamp()  -- the last tick that was made into a row
)
"""

INDEXES = (
    "CREATE INDEX task_waiting ON decant.task (queue, wake_at) WHERE wake_at IS NOT NULL",
    "CREATE INDEX task_running ON decant.task (lease_expires_at) WHERE lease_expires_at IS NOT NULL",
    # A row with an idempotency key is kept for good: it is the memory of the key.
    "CREATE INDEX task_done ON decant.task (date_done) WHERE date_done IS NOT NULL AND idempotency_key IS NULL",
    """
    CREATE UNIQUE INDEX task_unique ON decant.task (name, unique_key)
        WHERE unique_key IS NOT NULL AND date_done IS NULL
    """,
    "CREATE UNIQUE INDEX task_idempotency ON decant.task (name, idempotency_key) WHERE idempotency_key IS NOT NULL",
    "CREATE INDEX task_workflow ON decant.task (root_id) WHERE root_id IS NOT NULL",
)


def upgrade() -> None:
    """Create the tables and their indexes."""
    op.execute(TABLE)
    op.execute(SCHEDULE)
    for index in INDEXES:
        op.execute(index)
