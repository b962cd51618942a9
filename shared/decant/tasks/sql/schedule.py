"""How far the ticks of each schedule have been made into rows."""

from sqlalchemy import text

__all__ = ["OPEN", "TICKED"]

OPEN = text("""
    WITH new AS (
        INSERT INTO decant.schedule (name) SELECT unnest(CAST(:names AS text[])) ON CONFLICT DO NOTHING
    )
    SELECT name, ticked_at, statement_timestamp() AS now
    FROM decant.schedule WHERE name = ANY(CAST(:names AS text[])) ORDER BY name FOR UPDATE SKIP LOCKED
""")
"""Take schedules in hand until the transaction ends; one that is seen for the first time begins now."""

TICKED = text("""
    UPDATE decant.schedule AS s SET ticked_at = given.ticked_at
    FROM unnest(CAST(:names AS text[]), CAST(:ticked_at AS timestamptz[])) AS given (name, ticked_at)
    WHERE s.name = given.name
""")
