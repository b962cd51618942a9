"""Release the children of tasks that succeeded, and close the children of tasks that failed.

The statements run in the transaction that completes the parents, so that a child is released exactly once.
"""

from decant.tasks.records import EXPIRED, Enqueued
from decant.tasks.sql.columns import selected
from decant.tasks.sql.notify import CLAIMABLE, notifying

__all__ = ["CONTINUE_AS", "COUNT_DOWN", "FAIL_DEPENDENTS", "RELEASE", "SIGNALLED", "WAKE"]

COUNT_DOWN = """
    WITH steps AS (
        SELECT child AS id, count(*) AS steps
        FROM decant.task, unnest(children) AS child
        WHERE task.id = ANY(CAST(:ids AS uuid[])) AND state = 'SUCCESS'
        GROUP BY child
    ),
    waiting AS MATERIALIZED (
        SELECT t.id, steps FROM decant.task AS t JOIN steps USING (id)
        WHERE t.waits_for > 0 AND t.date_done IS NULL
        ORDER BY t.id FOR UPDATE OF t
    )
    UPDATE decant.task AS t
    SET waits_for = t.waits_for - waiting.steps,
        -- due from now on; RELEASE sets its times
        wake_at = CASE WHEN t.waits_for = waiting.steps THEN statement_timestamp() END
    FROM waiting
    WHERE t.id = waiting.id
    RETURNING t.id, t.waits_for AS pending_parents
"""
"""Subtract the parents that succeeded from their children's counters."""

_RELEASE = f"""
    UPDATE decant.task AS t
    SET args = CASE
            WHEN given.value IS NULL THEN t.args
            WHEN CAST(t.args AS text) = '[]' THEN CAST('[' || given.value || ']' AS json)
            ELSE CAST('[' || given.value || ',' || substr(CAST(t.args AS text), 2) AS json)
        END,
        eta = given.due,
        expires = coalesce(t.expires, statement_timestamp() + make_interval(secs => t.expires_in_s)),
        wake_at = given.due + make_interval(secs => CASE WHEN given.publish THEN :republish_after_s ELSE 0 END)
    FROM (
        SELECT c.id, due,
            c.queue = ANY(CAST(:queues AS text[]))
                AND due <= statement_timestamp() + make_interval(secs => :max_delay_s) AS publish,
            CASE c.takes
                WHEN 'result' THEN results.first
                WHEN 'results' THEN '[' || results.all_ || ']'
            END AS value
        FROM decant.task AS c,
            LATERAL (
                SELECT greatest(c.eta, statement_timestamp() + make_interval(secs => coalesce(c.countdown_s, 0))) AS due
            ) AS times,
            LATERAL (
                SELECT min(coalesce(CAST(p.result AS text), 'null')) AS first,
                    coalesce(string_agg(coalesce(CAST(p.result AS text), 'null'), ',' ORDER BY place), '') AS all_
                FROM unnest(c.parents) WITH ORDINALITY AS parent (id, place) JOIN decant.task AS p USING (id)
            ) AS results
        WHERE c.id = ANY(CAST(:ids AS uuid[]))
    ) AS given
    WHERE t.id = given.id
    RETURNING {selected(Enqueued, publish="given.publish")}, {CLAIMABLE}
"""  # noqa: S608  # composed of constants

RELEASE = notifying(_RELEASE)
"""Insert the parents' results as arguments of tasks that have no pending parents.

This is a separate statement after COUNT_DOWN, because only its snapshot is sure to hold the results of all parents.
"""

CONTINUE_AS = """
    UPDATE decant.task
    SET state = CASE WHEN retries = 0 THEN 'PENDING' ELSE 'RETRY' END,
        name = :name, args = '[]', kwargs = '{}',
        root_id = coalesce(root_id, id), parents = ARRAY[CAST(:parent AS uuid)], waits_for = 1, takes = 'result',
        lease_expires_at = NULL, wake_at = NULL, countdown_s = NULL, expires = NULL, expires_in_s = NULL
    WHERE id = :id AND attempt = :attempt AND state = 'STARTED' AND revoked_at IS NULL
    RETURNING root_id
"""
"""Let a running task wait for another, and run again under another name with its result."""

FAIL_DEPENDENTS = f"""
    WITH RECURSIVE failed AS (
        SELECT id, id AS origin, state, name, children,
            CASE WHEN state = 'FAILURE' THEN 'failed' WHEN error_type = '{EXPIRED}' THEN 'has expired' END AS failure
        FROM decant.task
        WHERE id = ANY(CAST(:ids AS uuid[])) AND state IN ('FAILURE', 'REVOKED')
        UNION
        SELECT c.id, failed.origin, failed.state, failed.name, c.children, failed.failure
        FROM failed, unnest(failed.children) AS child JOIN decant.task AS c ON c.id = child
        WHERE c.waits_for > 0 AND c.date_done IS NULL
    ),
    once AS (
        SELECT DISTINCT ON (id) id, origin, state, name, failure FROM failed ORDER BY id, origin
    ),
    waiting AS MATERIALIZED (
        SELECT t.id, once.origin, once.state, once.name, once.failure
        FROM decant.task AS t JOIN once USING (id)
        WHERE t.waits_for > 0 AND t.date_done IS NULL
        ORDER BY t.id FOR UPDATE OF t
    ),
    closed AS (
        UPDATE decant.task AS t
        SET state = waiting.state,
            date_done = statement_timestamp(),
            error_type = CASE waiting.state WHEN 'FAILURE' THEN 'ParentFailed' ELSE 'TaskRevoked' END,
            error = format(
                'Task %s (%s), whose result it needs, %s.', waiting.origin, waiting.name,
                coalesce(waiting.failure, 'was revoked')
            ),
            traceback = '',
            details = json_build_object('origin', waiting.origin, 'gathered', coalesce(t.takes = 'results', false))
        FROM waiting
        WHERE t.id = waiting.id
        RETURNING t.id
    )
    SELECT once.origin, t.awaited_by,
        coalesce(CASE WHEN once.failure IS NOT NULL THEN CAST(t.on_error AS text) END, '[]') AS on_error
    FROM once JOIN decant.task AS t USING (id)
    WHERE (t.on_error IS NOT NULL OR t.awaited_by IS NOT NULL)
        AND (once.id = once.origin OR once.id IN (SELECT id FROM closed))
    ORDER BY once.id
"""  # noqa: S608  # composed of constants
"""Close all tasks that wait for tasks that did not succeed, directly or not, with the same state.

Returns the error callbacks to enqueue with the task that failed or expired first, and the runs that wait for the tasks.
"""

SIGNALLED = """
    signalled = t.signalled + 1,
    suspended = false,
    eta = CASE WHEN t.suspended AND t.wake_at IS NOT NULL THEN statement_timestamp() ELSE t.eta END,
    wake_at = CASE
        WHEN NOT t.suspended OR t.wake_at IS NULL THEN t.wake_at
        WHEN t.queue = ANY(CAST(:queues AS text[]))
        THEN statement_timestamp() + make_interval(secs => :republish_after_s)
        ELSE statement_timestamp()
    END
"""
"""The columns of a run of a workflow that receives a signal: a suspended run is due at once.

A run that is being suspended compares `signalled` with the value that it has seen; see COMPLETE.
"""

_WAKE = f"""
    UPDATE decant.task AS t SET {SIGNALLED}
    FROM (
        SELECT id, suspended AND wake_at IS NOT NULL AS resumes FROM decant.task
        WHERE id = ANY(CAST(:ids AS uuid[])) AND date_done IS NULL ORDER BY id FOR UPDATE
    ) AS waiting
    WHERE t.id = waiting.id
    RETURNING {selected(Enqueued)}, {CLAIMABLE}, waiting.resumes
"""  # noqa: S608  # composed of constants

WAKE = notifying(_WAKE, "resumes")
"""Signal the runs of workflows that wait for tasks which are finished."""
