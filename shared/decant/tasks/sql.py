"""Every statement on the table, in one place.

Rules that they keep:

- Times are the database's own: a worker's or a caller's clock decides nothing. `statement_timestamp()` moves on inside
  a transaction, as `now()` does not, and may be compared with an index, as `clock_timestamp()` may not.
- Whoever changes a row that runs names its `attempt`: an owner that lost its lease changes nothing.
- Rows are locked in the order of their ids, so that two statements never wait for each other.
- Lists go in as arrays, one parameter each, whatever their length: one statement a batch, and one plan.
- JSON goes in and comes out as text, so that every driver gives the same.
"""

from sqlalchemy import text

__all__ = [
    "CLAIM",
    "CLAIM_DUE",
    "INSERT",
    "LOOK_UP",
    "PROGRESS",
    "REVOKE",
    "SETTLE",
    "STANDING_FOR",
    "STATUS",
    "STOPPED",
    "UNANNOUNCE",
]

INSERT = text("""
    INSERT INTO decant.task (
        id, name, queue, priority, args, kwargs, max_retries, eta, expires, wake_at,
        correlation_id, group_key, unique_key, idempotency_key
    )
    SELECT
        id, name, queue, priority, CAST(args AS json), CAST(kwargs AS json), max_retries, due,
        coalesce(expires, statement_timestamp() + make_interval(secs => expires_in_s)),
        CASE
            WHEN announced AND due <= statement_timestamp() + make_interval(secs => :reach_s)
            THEN due + make_interval(secs => :patience_s)
            ELSE due
        END,
        correlation_id, group_key, unique_key, idempotency_key
    FROM (
        SELECT *, coalesce(eta, statement_timestamp() + make_interval(secs => countdown_s)) AS due
        FROM unnest(
            CAST(:id AS uuid[]), CAST(:name AS text[]), CAST(:queue AS text[]), CAST(:priority AS smallint[]),
            CAST(:args AS text[]), CAST(:kwargs AS text[]), CAST(:max_retries AS integer[]),
            CAST(:eta AS timestamptz[]), CAST(:countdown_s AS float8[]),
            CAST(:expires AS timestamptz[]), CAST(:expires_in_s AS float8[]), CAST(:announced AS boolean[]),
            CAST(:correlation_id AS text[]), CAST(:group_key AS text[]),
            CAST(:unique_key AS text[]), CAST(:idempotency_key AS text[])
        ) AS given (
            id, name, queue, priority, args, kwargs, max_retries, eta, countdown_s, expires, expires_in_s, announced,
            correlation_id, group_key, unique_key, idempotency_key
        )
    ) AS new
    ON CONFLICT DO NOTHING
    RETURNING id, queue, group_key, wake_at > eta AS announce,
        CAST(extract(epoch FROM eta - statement_timestamp()) AS float8) AS due_in_s
""")
"""Write new rows; a row whose id, unique key or idempotency key is taken is left out.

`wake_at` of a row that is announced at once lies past its due time: by then a worker has taken it, or its message was
lost and the sweeper announces it again. Any other row waits for the sweeper from the start.
"""

STANDING_FOR = text("""
    SELECT task.id
    FROM decant.task
    WHERE task.id = :id
        OR (name = :name AND idempotency_key = CAST(:idempotency_key AS text))
        OR (name = :name AND unique_key = CAST(:unique_key AS text) AND date_done IS NULL)
    ORDER BY task.id = :id DESC, idempotency_key IS NOT DISTINCT FROM CAST(:idempotency_key AS text) DESC
    LIMIT 1
""")
"""The row because of which a new one was left out."""

UNANNOUNCE = text("""
    UPDATE decant.task SET wake_at = eta
    WHERE id IN (
        SELECT id FROM decant.task WHERE id = ANY(CAST(:ids AS uuid[])) AND wake_at IS NOT NULL ORDER BY id FOR UPDATE
    )
""")
"""Give rows whose message could not be sent to the sweeper."""

_CLAIMED = """
    t.id, t.name, t.queue, t.attempt, t.retries, t.max_retries, CAST(t.args AS text) AS args,
    CAST(t.kwargs AS text) AS kwargs, t.priority, t.eta, t.expires, t.group_key, t.correlation_id,
    coalesce(t.expires <= statement_timestamp(), false) AS expired
"""

_TAKE = """
    UPDATE decant.task AS t
    SET state = 'STARTED', attempt = t.attempt + 1, wake_at = NULL, date_started = statement_timestamp(),
        lease_expires_at = statement_timestamp() + make_interval(secs => :lease_s)
    FROM due
    WHERE t.id = due.id
    RETURNING
"""

CLAIM = text(f"""
    WITH due AS MATERIALIZED (
        SELECT id FROM decant.task
        WHERE id = ANY(CAST(:ids AS uuid[]))
            AND state IN ('PENDING', 'RETRY') AND waits_for = 0 AND eta <= statement_timestamp()
            AND name = ANY(CAST(:names AS text[]))
            AND (losses = 0 OR CAST(:alone AS boolean))
        ORDER BY id FOR UPDATE
    )
    {_TAKE} {_CLAIMED}
""")  # noqa: S608  # put together from constants alone
"""Take the rows of a batch of messages that are due, and whose tasks this worker knows.

Rows whose worker was lost before are only taken `alone`: what kills its worker takes no neighbour with it twice.
"""

CLAIM_DUE = text(f"""
    WITH due AS MATERIALIZED (
        SELECT id FROM decant.task
        WHERE wake_at IS NOT NULL AND wake_at <= statement_timestamp() AND eta <= statement_timestamp()
            AND name = ANY(CAST(:names AS text[]))
        ORDER BY wake_at LIMIT :count FOR UPDATE SKIP LOCKED
    )
    {_TAKE} {_CLAIMED}
""")  # noqa: S608  # put together from constants alone
"""Take rows that are due and that no queue announces, the longest waiting first."""

LOOK_UP = text("""
    SELECT id, name, queue, group_key, state,
        CAST(extract(epoch FROM eta - statement_timestamp()) AS float8) AS due_in_s
    FROM decant.task WHERE id = ANY(CAST(:ids AS uuid[]))
""")
"""Why rows were not claimed."""

SETTLE = text("""
    WITH ended AS MATERIALIZED (
        SELECT
            t.id, o.result, o.error_type, o.error, o.traceback, o.delay_s, o.announced, o.max_retries,
            o.state = 'RETRY' AS ran,
            CASE
                WHEN o.state NOT IN ('PENDING', 'RETRY') THEN o.state
                WHEN t.revoked_at IS NOT NULL THEN 'REVOKED'
                WHEN o.state = 'PENDING' AND t.retries = 0 THEN 'PENDING'
                ELSE 'RETRY'
            END AS state
        FROM unnest(
            CAST(:ids AS uuid[]), CAST(:attempts AS integer[]), CAST(:states AS text[]), CAST(:results AS text[]),
            CAST(:error_types AS text[]), CAST(:errors AS text[]), CAST(:tracebacks AS text[]),
            CAST(:delays_s AS float8[]), CAST(:announced AS boolean[]), CAST(:max_retries AS integer[])
        ) AS o (id, attempt, state, result, error_type, error, traceback, delay_s, announced, max_retries)
        JOIN decant.task AS t ON t.id = o.id AND t.attempt = o.attempt AND t.state = 'STARTED'
        ORDER BY t.id FOR UPDATE OF t
    )
    UPDATE decant.task AS t
    SET state = ended.state,
        result = CAST(ended.result AS json),
        error_type = ended.error_type, error = ended.error, traceback = ended.traceback,
        lease_expires_at = NULL,
        retries = t.retries + CAST(ended.ran AND ended.state = 'RETRY' AS integer),
        max_retries = coalesce(ended.max_retries, t.max_retries),
        eta = CASE WHEN again THEN next_eta ELSE t.eta END,
        wake_at = CASE
            WHEN again AND ended.announced THEN next_eta + make_interval(secs => :patience_s)
            WHEN again THEN next_eta
        END,
        wakeups = CASE WHEN again THEN 0 ELSE t.wakeups END,
        date_done = CASE WHEN NOT again THEN statement_timestamp() END
    FROM ended,
        LATERAL (
            SELECT ended.state IN ('PENDING', 'RETRY') AS again,
                statement_timestamp() + make_interval(secs => ended.delay_s) AS next_eta
        ) AS verdict
    WHERE t.id = ended.id
    RETURNING t.id, t.state
""")
"""Write how runs ended, as far as their workers still own them.

PENDING gives a row back that was never run. A row that was revoked meanwhile is not run again.
"""

STOPPED = text("""
    SELECT r.id, t.id IS NULL AS lost
    FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS integer[])) AS r (id, attempt)
    LEFT JOIN decant.task AS t ON t.id = r.id AND t.attempt = r.attempt AND t.state = 'STARTED'
    WHERE t.id IS NULL OR t.terminate
""")
"""Which runs must stop: those revoked with `terminate`, and those whose lease was lost."""

PROGRESS = text("""
    UPDATE decant.task SET progress = CAST(CAST(:progress AS text) AS json)
    WHERE id = :id AND attempt = :attempt AND state = 'STARTED'
""")

REVOKE = text("""
    UPDATE decant.task
    SET revoked_at = coalesce(revoked_at, statement_timestamp()),
        terminate = terminate OR CAST(:terminate AS boolean),
        state = CASE WHEN state = 'STARTED' THEN state ELSE 'REVOKED' END,
        date_done = CASE WHEN state = 'STARTED' THEN NULL ELSE statement_timestamp() END,
        wake_at = NULL
    WHERE id = :id AND date_done IS NULL
""")
"""A row that waits is done with at once; one that runs is not run again."""

STATUS = text("""
    SELECT id, name, queue, state, CAST(result AS text) AS result, error_type, error, traceback, retries,
        CAST(progress AS text) AS progress, eta, date_created, date_started, date_done
    FROM decant.task WHERE id = :id
""")
