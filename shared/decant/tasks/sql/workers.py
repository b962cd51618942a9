"""Statements of the table of workers."""

__all__ = ["REMOVE", "REPORT"]

REPORT = """
    WITH old AS (
        DELETE FROM decant.worker WHERE id IN (
            SELECT id FROM decant.worker
            WHERE seen_at < statement_timestamp() - interval '15 minutes'
            ORDER BY seen_at LIMIT 100 FOR UPDATE SKIP LOCKED
        ) AND id <> :id
    )
    INSERT INTO decant.worker (id, name, is_function, queues, concurrency, running, started_at, seen_at)
    VALUES (
        :id, :name, :is_function, CAST(:queues AS text[]), :concurrency, :running, statement_timestamp(),
        statement_timestamp()
    )
    ON CONFLICT (id) DO UPDATE SET running = excluded.running, seen_at = excluded.seen_at
"""
"""Report a worker, and delete those that have not reported for 15 minutes."""

REMOVE = "DELETE FROM decant.worker WHERE id = :id"
