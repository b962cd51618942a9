"""Statements of a run: check for cancellation, store progress, complete."""

from decant.tasks.records import Outcome, Unclaimed
from decant.tasks.sql.columns import HAS_DEPENDENTS, lock_with_runs, parameters, selected, with_attempt
from decant.tasks.sql.queues import PAUSED

__all__ = ["CANCELLED", "COMPLETE", "COMPLETE_WITH_DEPENDENTS", "LOOK_UP", "PROGRESS", "RENEW"]

_BACKLOG = """
    CAST((
        SELECT count(*) FROM (
            SELECT FROM decant.task AS other
            WHERE other.queue = t.queue AND other.limit_key = t.limit_key AND t.limit_key <> ''
                AND other.wake_at IS NOT NULL
            LIMIT 1000
        ) AS part
    ) AS integer)
"""

LOOK_UP = f"""
    SELECT {selected(Unclaimed, paused=f"t.queue = ANY({PAUSED})", backlog=_BACKLOG)}
    FROM decant.task AS t WHERE t.id = ANY(CAST(:ids AS uuid[]))
"""  # noqa: S608  # composed of constants
"""Tasks that were not claimed."""

_COMPLETE = f"""
    ended AS MATERIALIZED (
        SELECT
            t.id, o.result, o.failure, o.publish, o.max_retries, o.args, o.kwargs, o.details,
            coalesce(o.has_steps, true) AS has_steps,
            o.state = 'RETRY' AS ran,
            o.signalled = t.signalled AS waits_for_signal,
            CASE WHEN o.signalled <> t.signalled THEN 0 ELSE coalesce(o.delay_s, 0) END AS delay_s,
            CASE
                WHEN o.state NOT IN ('PENDING', 'RETRY') THEN o.state
                WHEN t.revoked_at IS NOT NULL THEN 'REVOKED'
                WHEN o.state = 'PENDING' AND t.retries = 0 THEN 'PENDING'
                ELSE 'RETRY'
            END AS state
        FROM json_to_recordset(CAST(CAST(:outcomes AS text) AS json)) AS o (
                {parameters(Outcome, without=("has_dependents",))}
            ),
            LATERAL (
                SELECT id, retries, revoked_at, signalled FROM decant.task
                WHERE id = o.id AND attempt = o.attempt AND state = 'STARTED' %s FOR UPDATE
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
        args = coalesce(CAST(ended.args AS json), t.args), kwargs = coalesce(CAST(ended.kwargs AS json), t.kwargs),
        details = CAST(ended.details AS json),
        attempts = CASE
            WHEN ended.ran
            THEN {with_attempt("ended.failure ->> 'type'", "ended.failure ->> 'message'")} ELSE t.attempts
        END,
        eta = CASE WHEN again THEN next_eta ELSE t.eta END,
        wake_at = CASE
            WHEN again AND ended.publish THEN next_eta + make_interval(secs => :republish_after_s)
            WHEN again THEN next_eta
        END,
        wakeups = CASE WHEN again THEN 0 ELSE t.wakeups END,
        has_steps = ended.has_steps,
        suspended = again AND coalesce(ended.waits_for_signal, false),
        date_done = CASE WHEN NOT again THEN statement_timestamp() END
    FROM ended,
        LATERAL (
            SELECT ended.state IN ('PENDING', 'RETRY') AS again,
                statement_timestamp() + make_interval(secs => ended.delay_s) AS next_eta
        ) AS next
    WHERE t.id = ended.id AND t.id = ANY (ARRAY(SELECT id FROM ended))
    RETURNING t.id, t.state, NOT ended.waits_for_signal AS signalled %s
"""  # noqa: S608  # composed of constants

COMPLETE = "WITH" + _COMPLETE % ("", "")
"""Write the outcomes of runs whose lease is still held; they are given in the order of their ids.

The lateral join reads a row at a time: PostgreSQL would plan another join by its estimate of the number of running
tasks, which is always wrong. The array of ids keeps it from
reading the whole table for each batch before it has statistics of a table's first 20,000 rows.

PENDING releases a task that was not run, or suspends the run of a workflow. A task that was revoked during its run is
not run again. A run that has received a signal which it has not seen is due at once.
"""

_FINISHING = """
    SELECT id, state <> 'SUCCESS'
    FROM json_to_recordset(CAST(CAST(:outcomes AS text) AS json)) AS o (id uuid, state text)
"""

_DEPENDENTS = f", NOT again AND ({HAS_DEPENDENTS}) AS has_dependents, t.awaited_by"

COMPLETE_WITH_DEPENDENTS = (
    f"{lock_with_runs(_FINISHING)}, {_COMPLETE % ('AND (SELECT * FROM locked) > 0', _DEPENDENTS)}"  # noqa: S608
)
"""COMPLETE for runs of which some may have dependents; the runs of workflows that wait for them are locked as well.

A task that is to be retried counts as failing, since it may have been revoked.
"""

_CANCELLED = """
    SELECT r.id, t.id IS NULL AS lost
    FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS integer[])) AS r (id, attempt)
    LEFT JOIN decant.task AS t ON t.id = r.id AND t.attempt = r.attempt AND t.state = 'STARTED'
    WHERE t.id IS NULL OR t.terminate
"""

CANCELLED = _CANCELLED
"""Runs that must be cancelled: those revoked with `terminate`, and those whose lease was lost."""

RENEW = f"""
    WITH held AS MATERIALIZED (
        SELECT t.id
        FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS integer[])) AS r (id, attempt)
        JOIN decant.task AS t ON t.id = r.id AND t.attempt = r.attempt AND t.state = 'STARTED'
        WHERE t.lease_expires_at < statement_timestamp() + make_interval(secs => :lease_s / 2)
        ORDER BY t.id FOR UPDATE OF t SKIP LOCKED
    ),
    renewed AS (
        UPDATE decant.task AS t SET lease_expires_at = statement_timestamp() + make_interval(secs => :lease_s)
        FROM held WHERE t.id = held.id
    )
    {_CANCELLED}
"""  # noqa: S608  # composed of constants
"""Renew leases of which half has passed; selects the same runs as CANCELLED. A locked row is being completed."""

PROGRESS = """
    UPDATE decant.task SET progress = CAST(CAST(:progress AS text) AS json)
    WHERE id = :id AND attempt = :attempt AND state = 'STARTED'
    RETURNING id
"""
