"""Lists and counts for administrators. All of them read a bounded number of rows."""

from decant.tasks.lists import Summary
from decant.tasks.sql.columns import selected

__all__ = ["LISTS", "STATISTICS"]

_LIST = f"""
    WITH scanned AS MATERIALIZED (
        SELECT {selected(Summary)}
        FROM decant.task AS t
        WHERE (%s) AND id < coalesce(CAST(:before AS uuid), 'ffffffff-ffff-ffff-ffff-ffffffffffff')
        ORDER BY id DESC LIMIT :scan_limit
    )
    SELECT matching.*, edge.scanned, edge.last
    FROM (
        SELECT (SELECT count(*) FROM scanned) AS scanned, (SELECT id FROM scanned ORDER BY id LIMIT 1) AS last
    ) AS edge
    LEFT JOIN LATERAL (
        SELECT * FROM scanned
        WHERE (CAST(:state AS text) IS NULL OR state = CAST(:state AS text))
            AND (CAST(:name AS text) IS NULL OR name = CAST(:name AS text))
            AND (CAST(:queue AS text) IS NULL OR queue = CAST(:queue AS text))
        ORDER BY id DESC LIMIT :count
    ) AS matching ON true
    ORDER BY matching.id DESC
"""  # noqa: S608  # composed of constants

LISTS = {
    "all": _LIST % "true",
    "open": _LIST % "date_done IS NULL",
    "dead": _LIST % "state IN ('FAILURE', 'REVOKED')",
}
"""A page of tasks, newest first; the keys are the indexes that are read.

A page reads at most `scan_limit` rows. When fewer of them match than were requested, the page is short, and `last` is
the id before which the next page starts.
"""

STATISTICS = """
    WITH RECURSIVE names (queue) AS (
        (SELECT min(queue) FROM decant.task WHERE wake_at IS NOT NULL)
        UNION ALL
        SELECT (SELECT min(queue) FROM decant.task WHERE wake_at IS NOT NULL AND queue > names.queue)
        FROM names WHERE names.queue IS NOT NULL
    ),
    running AS MATERIALIZED (
        SELECT queue, count(*) AS running
        FROM (SELECT queue FROM decant.task WHERE lease_expires_at IS NOT NULL LIMIT :most) AS part GROUP BY queue
    ),
    done AS MATERIALIZED (
        SELECT queue, count(*) FILTER (WHERE state = 'SUCCESS') AS succeeded,
            count(*) FILTER (WHERE state <> 'SUCCESS') AS failed
        FROM (
            SELECT queue, state FROM decant.task
            WHERE date_done >= statement_timestamp() - interval '1 hour' AND idempotency_key IS NULL LIMIT :most
        ) AS part
        GROUP BY queue
    ),
    every AS (
        SELECT queue FROM names WHERE queue IS NOT NULL
        UNION SELECT queue FROM running
        UNION SELECT queue FROM done
        UNION SELECT unnest(CAST(:queues AS text[]))
    )
    SELECT every.queue, waiting.due, waiting.later, CAST(waiting.oldest_s AS float8) AS oldest_s,
        coalesce(running.running, 0) AS running,
        coalesce(done.succeeded, 0) AS succeeded, coalesce(done.failed, 0) AS failed
    FROM every
    LEFT JOIN running USING (queue)
    LEFT JOIN done USING (queue),
        LATERAL (
            SELECT count(*) FILTER (WHERE eta <= statement_timestamp()) AS due,
                count(*) FILTER (WHERE eta > statement_timestamp()) AS later,
                greatest(0, extract(epoch FROM statement_timestamp() - min(eta))) AS oldest_s
            FROM (
                SELECT eta FROM decant.task
                WHERE task.queue = every.queue AND wake_at IS NOT NULL ORDER BY wake_at LIMIT :most
            ) AS part
        ) AS waiting
    ORDER BY every.queue
"""
"""Waiting and running tasks of every queue, and those finished within the last hour; no count exceeds `most`."""
