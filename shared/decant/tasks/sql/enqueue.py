"""Writing rows, and noting which of them are announced."""

from sqlalchemy import text

__all__ = ["INSERT", "STANDING_FOR", "UNANNOUNCE"]

INSERT = text("""
    INSERT INTO decant.task (
        id, name, queue, priority, args, kwargs, max_retries, expires, eta, wake_at,
        correlation_id, group_key, unique_key, idempotency_key,
        root_id, waits_for, parents, takes, children, countdown_s, on_error
    )
    SELECT
        id, name, queue, coalesce(priority, 0), CAST(args AS json), CAST(kwargs AS json), max_retries,
        coalesce(expires, statement_timestamp() + make_interval(secs => expires_in_s)),
        due,
        CASE
            WHEN parents IS NOT NULL THEN NULL
            WHEN announced AND due <= statement_timestamp() + make_interval(secs => :reach_s)
            THEN due + make_interval(secs => :patience_s)
            ELSE due
        END,
        correlation_id, group_key, unique_key, idempotency_key,
        root_id, coalesce(cardinality(parents), 0), parents, takes, children, countdown_s, on_error
    FROM (
        SELECT *, coalesce(eta, statement_timestamp() + make_interval(secs => coalesce(countdown_s, 0))) AS due
        FROM json_to_recordset(CAST(CAST(:tasks AS text) AS json)) AS given (
            id uuid, name text, queue text, priority smallint, args text, kwargs text, max_retries integer,
            eta timestamptz, countdown_s float8, expires timestamptz, expires_in_s float8, announced boolean,
            correlation_id text, group_key text, unique_key text, idempotency_key text,
            root_id uuid, parents uuid[], takes text, children uuid[], on_error json
        )
    ) AS new
    ON CONFLICT DO NOTHING
    RETURNING id, queue, group_key, coalesce(wake_at > eta, false) AS announce,
        CAST(extract(epoch FROM eta - statement_timestamp()) AS float8) AS due_in_s
""")
"""Write new rows; a row whose id, unique key or idempotency key is taken is left out.

`wake_at` of a row that is announced at once lies past its due time: by then a worker has taken it, or its message was
lost and the sweeper announces it again. Any other row waits for the sweeper from the start, or for its parents.
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
