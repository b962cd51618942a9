"""The last tick of every schedule for which a task was inserted."""

from sqlalchemy import text

__all__ = ["LOCK", "TICKED"]

LOCK = text("""
    WITH new AS (
        INSERT INTO decant.schedule (name) SELECT unnest(CAST(:names AS text[])) ON CONFLICT DO NOTHING
    )
    SELECT name, ticked_at, statement_timestamp() AS now
    FROM decant.schedule WHERE name = ANY(CAST(:names AS text[])) ORDER BY name FOR UPDATE SKIP LOCKED
""")
"""Lock schedules until the transaction ends; a new schedule starts now. Locked schedules are skipped."""

TICKED = text("""
    UPDATE decant.schedule AS s SET ticked_at = given.ticked_at
    FROM unnest(CAST(:names AS text[]), CAST(:ticked_at AS timestamptz[])) AS given (name, ticked_at)
    WHERE s.name = given.name
""")
