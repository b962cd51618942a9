"""What others do with a row: ask how it stands, and revoke it."""

from sqlalchemy import text

__all__ = ["REVOKE", "REVOKE_WORKFLOW", "STATUS"]

STATUS = text("""
    SELECT id, name, queue, state, CAST(result AS text) AS result, error_type, error, traceback, retries,
        CAST(progress AS text) AS progress, eta, date_created, date_started, date_done
    FROM decant.task WHERE id = ANY(CAST(:ids AS uuid[]))
""")

_REVOKE = """
    UPDATE decant.task AS t
    SET revoked_at = coalesce(revoked_at, statement_timestamp()),
        terminate = terminate OR CAST(:terminate AS boolean),
        state = CASE WHEN state = 'STARTED' THEN state ELSE 'REVOKED' END,
        date_done = CASE WHEN state = 'STARTED' THEN NULL ELSE statement_timestamp() END,
        error_type = CASE WHEN state = 'STARTED' THEN NULL ELSE 'TaskRevoked' END,
        error = CASE WHEN state = 'STARTED' THEN NULL ELSE 'It was revoked before it was started.' END,
        traceback = CASE WHEN state = 'STARTED' THEN NULL ELSE '' END,
        wake_at = NULL
    FROM open
    WHERE t.id = open.id
    RETURNING t.id, t.state, t.date_done IS NOT NULL AND (t.children IS NOT NULL OR t.on_error IS NOT NULL) AS leads_on
"""

REVOKE = text(f"""
    WITH open AS MATERIALIZED (
        SELECT id FROM decant.task WHERE id = :id AND date_done IS NULL FOR UPDATE
    )
    {_REVOKE}
""")  # noqa: S608  # put together from constants alone
"""Let a row not be started any more: one that waits is done with at once, one that runs is not run again."""

REVOKE_WORKFLOW = text(f"""
    WITH open AS MATERIALIZED (
        SELECT id FROM decant.task WHERE root_id = :id AND date_done IS NULL ORDER BY id FOR UPDATE
    )
    {_REVOKE}
""")  # noqa: S608  # likewise
"""The same for every row of a workflow."""
