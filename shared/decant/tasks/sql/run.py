"""The life of a run: claimed, watched, and settled by the owner of its attempt."""

from sqlalchemy import text

__all__ = ["CLAIM", "CLAIM_DUE", "LOOK_UP", "PROGRESS", "SETTLE", "STOPPED"]

_CLAIMED = """
    t.id, t.name, t.queue, t.attempt, t.retries, t.max_retries, CAST(t.args AS text) AS args,
    CAST(t.kwargs AS text) AS kwargs, t.priority, t.eta, t.expires, t.group_key, t.correlation_id,
    coalesce(t.expires <= statement_timestamp(), false) AS expired,
    t.children IS NOT NULL OR t.on_error IS NOT NULL AS leads_on
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
        ORDER BY priority DESC, wake_at LIMIT :count FOR UPDATE SKIP LOCKED
    )
    {_TAKE} {_CLAIMED}
""")  # noqa: S608  # put together from constants alone
"""Take rows that are due and that no queue announces; for a process that serves alone, with few rows waiting."""

LOOK_UP = text("""
    SELECT id, name, queue, group_key, state,
        CAST(extract(epoch FROM eta - statement_timestamp()) AS float8) AS due_in_s
    FROM decant.task WHERE id = ANY(CAST(:ids AS uuid[]))
""")
"""Why rows were not claimed."""

SETTLE = text("""
    WITH ended AS MATERIALIZED (
        SELECT
            t.id, o.result, o.failure, o.delay_s, o.announced, o.max_retries,
            o.state = 'RETRY' AS ran,
            CASE
                WHEN o.state NOT IN ('PENDING', 'RETRY') THEN o.state
                WHEN t.revoked_at IS NOT NULL THEN 'REVOKED'
                WHEN o.state = 'PENDING' AND t.retries = 0 THEN 'PENDING'
                ELSE 'RETRY'
            END AS state
        FROM json_to_recordset(CAST(CAST(:outcomes AS text) AS json)) AS o (
                id uuid, attempt integer, state text, result text, failure json,
                delay_s float8, announced boolean, max_retries integer
            ),
            LATERAL (
                SELECT id, retries, revoked_at FROM decant.task
                WHERE id = o.id AND attempt = o.attempt AND state = 'STARTED' FOR UPDATE
            ) AS t
    )
    UPDATE decant.task AS t
    SET state = ended.state,
        result = CAST(ended.result AS json),
        error_type = ended.failure ->> 'type', error = ended.failure ->> 'message',
        traceback = ended.failure ->> 'traceback',
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
    RETURNING t.id, t.state, NOT again AND (t.children IS NOT NULL OR t.on_error IS NOT NULL) AS leads_on
""")
"""Write how runs ended, as far as their workers still own them; they are given in the order of their ids.

Each row is looked up by itself: a join would be planned by how many rows are thought to be running, which is never
right.

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
