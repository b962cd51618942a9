"""Pause and resume queues."""

from decant.tasks.lists import PausedQueue
from decant.tasks.sql.notify import CHANNEL

__all__ = ["LIST_PAUSED", "PAUSE", "PAUSED", "RESUME"]

PAUSED = "ARRAY(SELECT name FROM decant.paused_queue)"
"""Names of paused queues; PostgreSQL reads them once in a statement."""

PAUSE = "INSERT INTO decant.paused_queue (name) VALUES (:name) ON CONFLICT DO NOTHING"

RESUME = f"""
    WITH resumed AS (DELETE FROM decant.paused_queue WHERE name = :name RETURNING name)
    SELECT name, pg_notify('{CHANNEL}', '') FROM resumed
"""  # noqa: S608  # composed of constants

LIST_PAUSED = f"SELECT {', '.join(PausedQueue.__struct_fields__)} FROM decant.paused_queue ORDER BY name"  # noqa: S608  # composed of constants
