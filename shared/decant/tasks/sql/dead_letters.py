"""Close dead-lettered tasks, and redrive tasks that failed."""

from decant.tasks.records import EXPIRED, Enqueued
from decant.tasks.sql.columns import HAS_DEPENDENTS, lock_with_runs, selected

__all__ = ["CLOSE", "RECORD_UNKNOWN", "REDRIVE"]

RECORD_UNKNOWN = """
    UPDATE decant.task AS t SET error_type = 'UnknownTask', error = :error, traceback = ''
    FROM (
        SELECT id FROM decant.task WHERE id = ANY(CAST(:ids AS uuid[])) AND wake_at IS NOT NULL ORDER BY id FOR UPDATE
    ) AS open
    WHERE t.id = open.id
"""
"""Record why waiting tasks are not run; `AsyncResult.status()` shows it."""

CLOSE = f"""
    {lock_with_runs("SELECT unnest(CAST(:ids AS uuid[])), true")},
    dead AS MATERIALIZED (
        SELECT t.id, given.reason
        FROM unnest(CAST(:ids AS uuid[]), CAST(:reasons AS text[])) AS given (id, reason)
        JOIN decant.task AS t ON t.id = given.id AND t.wake_at IS NOT NULL AND t.eta <= statement_timestamp()
            AND t.error_type = 'UnknownTask' AND (SELECT * FROM locked) > 0
        ORDER BY t.id FOR UPDATE OF t
    )
    UPDATE decant.task AS t
    SET state = 'FAILURE', date_done = statement_timestamp(), wake_at = NULL,
        error_type = 'DeadLettered', error = concat_ws(' ', dead.reason, t.error), traceback = coalesce(t.traceback, '')
    FROM dead
    WHERE t.id = dead.id
    RETURNING t.id, t.state, {HAS_DEPENDENTS} AS has_dependents, t.awaited_by
"""  # noqa: S608  # composed of constants
"""Move tasks that were not registered in the worker to FAILURE. Other messages were dead-lettered during an outage."""

REDRIVE = f"""
    WITH found AS (
        SELECT id, root_id FROM decant.task
        WHERE state IN ('FAILURE', 'REVOKED')
            AND (CAST(:ids AS uuid[]) IS NULL OR id = ANY(CAST(:ids AS uuid[])))
            AND (CAST(:name AS text) IS NULL OR name = CAST(:name AS text))
            AND (CAST(:error AS text) IS NULL OR error_type = CAST(:error AS text))
            AND (CAST(:since AS text) IS NULL OR date_done >= CAST(CAST(:since AS text) AS timestamptz))
            AND (CAST(:until AS text) IS NULL OR date_done < CAST(CAST(:until AS text) AS timestamptz))
        ORDER BY id LIMIT :count
    ),
    dead AS MATERIALIZED (
        SELECT t.id, t.root_id, t.name, t.unique_key, known.waits_for,
            -- results are inserted when the last parent succeeds: a task that waited for that needs them all
            CASE WHEN t.waits_for > 0 THEN cardinality(t.parents) - known.parents ELSE 0 END AS deleted
        FROM decant.task AS t,
            LATERAL (
                SELECT count(*) AS parents, count(*) FILTER (WHERE p.state <> 'SUCCESS') AS waits_for
                FROM unnest(t.parents) AS parent JOIN decant.task AS p ON p.id = parent
            ) AS known
        WHERE t.state IN ('FAILURE', 'REVOKED')
            AND (t.id IN (SELECT id FROM found) OR t.root_id IN (SELECT root_id FROM found))
        ORDER BY t.id FOR UPDATE OF t
    ),
    refused AS (
        UPDATE decant.task AS t
        SET error = format(
            'It cannot be redriven: %s of the %s tasks that it waits for have been deleted.',
            dead.deleted, cardinality(t.parents)
        )
        FROM dead WHERE t.id = dead.id AND dead.deleted > 0
        RETURNING t.root_id
    ),
    first AS (
        SELECT DISTINCT ON (name, coalesce(unique_key, CAST(id AS text))) id, waits_for
        FROM dead
        WHERE NOT EXISTS (SELECT FROM refused WHERE refused.root_id = dead.root_id)
            AND NOT EXISTS (
                SELECT FROM decant.task AS other
                WHERE other.name = dead.name AND other.unique_key = dead.unique_key AND other.date_done IS NULL
            )
    ),
    forgotten AS (
        DELETE FROM decant.step AS s USING first
        WHERE s.task_id = first.id AND s.error IS NOT NULL AND s.kind IN ('step', 'child')
            AND NOT EXISTS (
                SELECT FROM decant.step AS later
                WHERE later.task_id = s.task_id AND later.seq > s.seq AND later.error IS NULL
            )
    )
    UPDATE decant.task AS t
    SET state = 'PENDING', date_done = NULL, retries = 0, losses = 0, wakeups = 0, revoked_at = NULL,
        terminate = false, error_type = NULL, error = NULL, traceback = NULL, expires = NULL,
        on_error = CASE WHEN t.state = 'FAILURE' OR t.error_type = '{EXPIRED}' THEN NULL ELSE t.on_error END,
        waits_for = first.waits_for,
        eta = statement_timestamp(),
        wake_at = CASE
            WHEN first.waits_for > 0 THEN NULL
            WHEN t.queue = ANY(CAST(:queues AS text[]))
            THEN statement_timestamp() + make_interval(secs => :republish_after_s)
            ELSE statement_timestamp()
        END
    FROM first
    WHERE t.id = first.id
    RETURNING {selected(Enqueued, due_in_s="CAST(0 AS float8)")}
"""  # noqa: S608  # composed of constants
"""Reset tasks that failed or were revoked to PENDING, with all their retries; a workflow is redriven as a whole.

A workflow is left as it is when results that it needs have been deleted. Error callbacks are not enqueued again.

The errors of steps after which a run of a workflow has recorded nothing else are deleted: these steps run again.

`attempt` is not reset, because it is the fencing token. Of tasks with the same unique key, a single task is redriven.
"""
