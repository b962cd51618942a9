"""The last tick of every schedule for which a task was inserted.

A row's `name` is the key of a schedule: the name of its task and its definition, so that a schedule that changes has
another row.
"""

__all__ = ["ADD", "LOCK", "MARK_ABSENT", "PAUSE", "TICKED"]

ADD = """
    INSERT INTO decant.schedule (name)
    SELECT key FROM unnest(CAST(:keys AS text[])) AS key ORDER BY key
    ON CONFLICT DO NOTHING
"""
"""Start new schedules now."""

LOCK = """
    SELECT name AS key,
        CASE
            -- of a schedule that was absent, the ticks since the last sweep but not those of its absence
            WHEN absent THEN greatest(ticked_at, statement_timestamp() - interval '1 minute')
            ELSE ticked_at
        END AS ticked_at,
        statement_timestamp() AS now
    FROM decant.schedule WHERE name = ANY(CAST(:keys AS text[])) AND NOT paused ORDER BY name FOR UPDATE SKIP LOCKED
"""
"""Lock schedules until the transaction ends. Locked and paused schedules are skipped."""

TICKED = """
    UPDATE decant.schedule AS s SET ticked_at = given.ticked_at, absent = false
    FROM unnest(CAST(:keys AS text[]), CAST(:ticked_at AS timestamptz[])) AS given (key, ticked_at)
    WHERE s.name = given.key
"""

MARK_ABSENT = """
    UPDATE decant.schedule AS s SET absent = true
    FROM (
        SELECT name FROM decant.schedule
        WHERE NOT absent AND name <> ALL(CAST(:keys AS text[])) ORDER BY name FOR UPDATE SKIP LOCKED
    ) AS other
    WHERE s.name = other.name
"""
"""Record that a sweep took place whose code does not have these schedules.

Two versions of the code may sweep in turn during a deployment. A schedule that is locked belongs to another sweeper.
"""

PAUSE = """
    UPDATE decant.schedule SET paused = CAST(:paused AS boolean), absent = absent OR CAST(:paused AS boolean)
    WHERE name = :key RETURNING name
"""
"""Pause or resume a schedule. The ticks of a pause are left out, as those of an absence."""
