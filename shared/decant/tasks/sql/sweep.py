"""Statements of the sweeper: they read a bounded batch of due rows by an index, and skip locked rows."""

from decant.tasks.records import Enqueued
from decant.tasks.sql.columns import HAS_DEPENDENTS, HAS_STEPS, selected, with_attempt
from decant.tasks.sql.queues import PAUSED

__all__ = ["DELETE", "DELETE_LIMITS", "DELETE_RESPONSES", "EXPIRE_LEASES", "UNPUBLISHED"]

UNPUBLISHED = f"""
    WITH due AS MATERIALIZED (
        SELECT first.id
        FROM unnest(CAST(:queues AS text[])) AS served (queue),
            LATERAL (
                SELECT id FROM decant.task
                WHERE task.queue = served.queue
                    AND wake_at <= statement_timestamp() + make_interval(secs => :ahead_s)
                ORDER BY wake_at LIMIT :count FOR UPDATE SKIP LOCKED
            ) AS first
        WHERE served.queue <> ALL ({PAUSED})
    )
    UPDATE decant.task AS t
    SET wake_at = greatest(t.eta, statement_timestamp())
            + make_interval(secs => :republish_after_s * power(2, least(t.wakeups, 10))),
        wakeups = t.wakeups + 1
    FROM due
    WHERE t.id = due.id
    RETURNING {selected(Enqueued, publish="true")}
"""  # noqa: S608  # composed of constants
"""Select tasks to publish: those that are due, or will be before the next sweep.

The delay before a task is published again doubles every time, so that a task in a long queue gets a few more messages
and not a message per minute.
"""

_LOST = "format('The worker of run %s was lost: it was killed, or its time ran out.', t.attempt)"

EXPIRE_LEASES = f"""
    WITH RECURSIVE lost AS MATERIALIZED (
        SELECT task.id,
            CASE
                WHEN revoked_at IS NOT NULL THEN 'REVOKED'
                WHEN progressed IS NOT NULL THEN CASE WHEN retries = 0 THEN 'PENDING' ELSE 'RETRY' END
                WHEN retries >= max_retries THEN 'FAILURE'
                ELSE 'RETRY'
            END AS state,
            CAST(progressed IS NULL AS integer) AS counted
        FROM decant.task LEFT JOIN LATERAL (
            SELECT true AS progressed FROM decant.step
            WHERE task_id = task.id AND attempt = task.attempt AND kind <> 'begun' LIMIT 1
        ) AS recorded ON true
        WHERE lease_expires_at <= statement_timestamp()
        ORDER BY lease_expires_at LIMIT :count FOR UPDATE OF task SKIP LOCKED
    ),
    reached (origin, id) AS (
        SELECT id, id FROM lost WHERE state IN ('FAILURE', 'REVOKED')
        UNION
        SELECT reached.origin, child
        FROM reached,
            LATERAL (SELECT children FROM decant.task WHERE task.id = reached.id LIMIT 1) AS parent,
            unnest(children) AS child
    ),
    member AS MATERIALIZED (
        SELECT origin, id FROM reached WHERE id <> origin
        UNION
        SELECT origin, awaited_by FROM reached,
            LATERAL (SELECT awaited_by FROM decant.task WHERE task.id = reached.id LIMIT 1) AS child
    ),
    locked AS MATERIALIZED (
        SELECT row.id
        FROM (SELECT DISTINCT id FROM member) AS each,
            LATERAL (SELECT id FROM decant.task WHERE task.id = each.id FOR UPDATE SKIP LOCKED) AS row
    ),
    held AS MATERIALIZED (
        SELECT origin FROM member, LATERAL (SELECT id FROM decant.task WHERE task.id = member.id LIMIT 1) AS existing
        WHERE existing.id NOT IN (SELECT id FROM locked)
    )
    UPDATE decant.task AS t
    SET state = lost.state,
        retries = t.retries + CASE WHEN again THEN counted ELSE 0 END,
        losses = t.losses + counted,
        lease_expires_at = NULL,
        eta = CASE WHEN again THEN statement_timestamp() ELSE t.eta END,
        wake_at = CASE WHEN again THEN statement_timestamp() END,
        wakeups = 0,
        date_done = CASE WHEN NOT again THEN statement_timestamp() END,
        error_type = CASE lost.state WHEN 'REVOKED' THEN 'TaskRevoked' ELSE 'WorkerLost' END,
        error = {_LOST},
        attempts = CASE WHEN again THEN {with_attempt("'WorkerLost'", _LOST)} ELSE t.attempts END,
        traceback = ''
    FROM lost, LATERAL (SELECT lost.state IN ('PENDING', 'RETRY') AS again) AS next
    WHERE t.id = lost.id AND t.id NOT IN (SELECT origin FROM held)
    RETURNING t.id, t.state, NOT again AND ({HAS_DEPENDENTS}) AS has_dependents, t.awaited_by
"""  # noqa: S608  # composed of constants
"""Retry tasks whose worker was lost, or move them to FAILURE when no retries are left.

A run of a workflow that has recorded a step since its last claim has made progress, and the loss is not counted.

A task that ends is left to the next sweep when a row is locked that FAIL_DEPENDENTS or WAKE would change: a task that
depends on it, or a run that waits for one of them. The sweep therefore never waits for a lock, and cannot deadlock.
"""

DELETE = f"""
    WITH old AS MATERIALIZED (
        SELECT id, date_done, {HAS_STEPS} AS has_steps FROM decant.task AS t
        WHERE date_done <= statement_timestamp() - make_interval(secs => :age_s) AND idempotency_key IS NULL
            -- a child that still waits may need its result
            AND (t.children IS NULL OR NOT EXISTS (
                SELECT FROM decant.task AS c
                WHERE c.id = ANY(t.children) AND c.waits_for > 0 AND c.date_done IS NULL
            ))
        ORDER BY date_done LIMIT :count FOR UPDATE SKIP LOCKED
    ),
    own AS MATERIALIZED (
        SELECT task_id AS id, CAST(count(*) AS integer) AS steps
        FROM decant.step WHERE task_id = ANY (ARRAY(SELECT id FROM old WHERE has_steps)) GROUP BY task_id
    ),
    rest AS MATERIALIZED (
        SELECT date_done, id
        FROM (SELECT *, sum(steps) OVER (ORDER BY date_done, id) - steps AS steps_before FROM own JOIN old USING (id))
        WHERE steps_before >= :step_count ORDER BY date_done, id LIMIT 1
    ),
    deleted AS (
        DELETE FROM decant.task AS t USING old
        WHERE t.id = old.id
            AND ((SELECT id FROM rest) IS NULL OR (old.date_done, old.id) < (SELECT date_done, id FROM rest))
        RETURNING t.id
    )
    SELECT CAST((SELECT count(*) FROM deleted) + coalesce(sum(steps), 0) AS integer) AS rows
    FROM own WHERE id IN (SELECT id FROM deleted)
"""  # noqa: S608  # composed of constants
"""Delete tasks that finished long ago; a task with an idempotency key is kept, because it records the key.

A trigger deletes the steps of their runs, by the same condition. The batch is limited by the number of tasks and by
that of their steps: it ends before the task from which on there are more, which is found by reading only the tasks that
may have steps.
"""

DELETE_LIMITS = """
    DELETE FROM decant.task_limit AS l
    WHERE key IN (
        SELECT key FROM decant.task_limit AS idle
        WHERE next_at <= statement_timestamp() - interval '1 day' ORDER BY key LIMIT :count FOR UPDATE SKIP LOCKED
    )
"""
"""Delete the state of limits that no claim has used for a day. The next claim inserts it again."""

DELETE_RESPONSES = """
    DELETE FROM decant.idempotent_response
    WHERE key IN (
        SELECT key FROM decant.idempotent_response
        WHERE created_at <= statement_timestamp() - interval '24 hours'
        ORDER BY created_at LIMIT :count FOR UPDATE SKIP LOCKED
    )
"""
"""Delete stored responses whose keys can be used again; see `decant.web.idempotency`."""
