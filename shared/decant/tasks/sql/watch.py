"""Read and revoke tasks."""

from decant.tasks.sql.columns import HAS_DEPENDENTS, lock_with_runs, selected
from decant.tasks.status import Status

__all__ = ["FORGET", "REVOKE", "REVOKE_WORKFLOW", "STATUS"]

STATUS = f"""
    SELECT {selected(Status)} FROM decant.task AS t WHERE t.id = ANY(CAST(:ids AS uuid[]))
"""  # noqa: S608  # composed of constants

FORGET = """
    DELETE FROM decant.task AS t
    WHERE id = :id AND date_done IS NOT NULL AND NOT EXISTS (
        SELECT FROM decant.task AS c WHERE c.id = ANY(t.children) AND c.waits_for > 0 AND c.date_done IS NULL
    )
"""
"""Delete a finished task whose result no waiting task needs."""

_REVOKE = f"""
    UPDATE decant.task AS t
    SET revoked_at = coalesce(revoked_at, statement_timestamp()),
        terminate = terminate OR CAST(:terminate AS boolean),
        state = CASE WHEN state = 'STARTED' THEN state ELSE 'REVOKED' END,
        date_done = CASE WHEN state = 'STARTED' THEN NULL ELSE statement_timestamp() END,
        error_type = CASE WHEN state = 'STARTED' THEN NULL ELSE 'TaskRevoked' END,
        error = CASE WHEN state = 'STARTED' THEN NULL ELSE 'It was revoked while it was not running.' END,
        traceback = CASE WHEN state = 'STARTED' THEN NULL ELSE '' END,
        wake_at = NULL
    FROM open
    WHERE t.id = open.id
    RETURNING t.id, t.state, t.date_done IS NOT NULL AND ({HAS_DEPENDENTS}) AS has_dependents, t.awaited_by
"""  # noqa: S608  # composed of constants

_OPEN = """
    open AS MATERIALIZED (
        SELECT id FROM decant.task
        WHERE id IN (SELECT id FROM finishing) AND date_done IS NULL AND (SELECT * FROM locked) > 0
        ORDER BY id FOR UPDATE
    )
"""

REVOKE = f"{lock_with_runs('SELECT unnest(CAST(:ids AS uuid[])), true')}, {_OPEN} {_REVOKE}"
"""Revoke tasks: a waiting task is closed at once, a running task is not retried."""

_TASKS = "SELECT id, true FROM decant.task WHERE root_id = :id AND date_done IS NULL"

REVOKE_WORKFLOW = f"{lock_with_runs(_TASKS)}, {_OPEN} {_REVOKE}"
"""Revoke all tasks of a workflow."""
