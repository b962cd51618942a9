"""All statements of the console. Each reads a bounded number of rows by an index.

The rules are those of `decant.tasks.sql`.
"""

from decant.tasks.lists import Summary
from decant.tasks.records import Enqueued
from decant.tasks.sql.columns import selected
from decant.tasks.sql.notify import CLAIMABLE, notifying
from decant.tasks.sql.statistics import COUNTED

__all__ = [
    "COUNTS",
    "FAILING",
    "NODES",
    "PAGES",
    "PERIODS",
    "RELATIVES",
    "RUNNING",
    "RUNS",
    "RUN_NOW",
    "SCHEDULES",
    "SCHEDULE_EXISTS",
    "SWEEPER",
    "TASK",
    "UNKNOWN",
    "WORKERS",
    "WORKFLOWS",
]

_INDEXES = {"all": "true", "open": "date_done IS NULL", "dead": "state IN ('FAILURE', 'REVOKED')"}

_SCANNED = """
    scanned AS MATERIALIZED (
        SELECT id, (CAST(:states AS text[]) IS NULL OR state = ANY(CAST(:states AS text[])))
            AND (CAST(:name AS text) IS NULL OR name = CAST(:name AS text))
            AND (CAST(:queue AS text) IS NULL OR queue = CAST(:queue AS text))
            AND (CAST(:correlation_id AS text) IS NULL OR correlation_id = CAST(:correlation_id AS text))
            AND (
                CAST(:error AS text) IS NULL
                OR position(lower(CAST(:error AS text)) IN lower(concat_ws(': ', error_type, error))) > 0
            ) AS matches
        FROM decant.task
        WHERE (%s) AND id < CAST(:before AS uuid) AND id >= CAST(:after AS uuid)
        ORDER BY id DESC LIMIT :scan_limit
    ),
    edge AS (
        SELECT count(*) AS scanned, (SELECT id FROM scanned ORDER BY id LIMIT 1) AS last FROM scanned
    )
"""

_PAGE = f"""
    WITH {_SCANNED}
    SELECT edge.scanned, edge.last, matching.*
    FROM edge LEFT JOIN LATERAL (
        SELECT {selected(Summary)}
        FROM (SELECT id FROM scanned WHERE matches ORDER BY id DESC LIMIT :count) AS page
        JOIN decant.task AS t USING (id)
    ) AS matching ON true
    ORDER BY matching.id DESC
"""  # noqa: S608  # composed of constants

PAGES = {name: _PAGE % condition for name, condition in _INDEXES.items()}
"""A page of tasks, newest first; the keys are the indexes that are read. See `decant.tasks.sql.lists` for `last`."""

_COUNT = f"""
    WITH {_SCANNED}
    SELECT edge.scanned, edge.last, (SELECT count(*) FROM scanned WHERE matches) AS matching FROM edge
"""  # noqa: S608  # composed of constants

COUNTS = {name: _COUNT % condition for name, condition in _INDEXES.items()}

TASK = """
    SELECT id, name, queue, state, priority, attempt, retries, max_retries, losses, eta, expires, date_created,
        date_started, date_done, lease_expires_at, revoked_at, correlation_id, group_key, unique_key, idempotency_key,
        root_id, error_type, error, traceback, CAST(args AS text) AS args, CAST(kwargs AS text) AS kwargs,
        CAST(result AS text) AS result, CAST(progress AS text) AS progress,
        coalesce(CAST(attempts AS text), '[]') AS attempts, parents[1\\:100] AS parents, children[1\\:100] AS children,
        CAST(options AS text) AS options
    FROM decant.task WHERE id = :id
"""

RELATIVES = """
    SELECT given.id, t.name, t.state
    FROM unnest(CAST(:ids AS uuid[])) WITH ORDINALITY AS given (id, place) JOIN decant.task AS t USING (id)
    ORDER BY place
"""

NODES = """
    SELECT id, name, queue, state, coalesce(parents, '{}') AS parents, retries, error_type AS error, date_started,
        date_done
    FROM decant.task WHERE root_id = :root_id ORDER BY id LIMIT :count
"""

_NEWEST = """
    WITH RECURSIVE newest (id, place) AS (
        (SELECT {column}, 1 FROM {table} WHERE {column} < CAST(:before AS uuid) ORDER BY {column} DESC LIMIT 1)
        UNION ALL
        SELECT (SELECT {column} FROM {table} WHERE {column} < newest.id ORDER BY {column} DESC LIMIT 1), place + 1
        FROM newest WHERE newest.id IS NOT NULL AND place < :count
    )
"""
"""The newest ids of a column that has many rows for each: one look-up in the index for each id."""

WORKFLOWS = f"""
    {_NEWEST.format(column="root_id", table="decant.task")}
    SELECT root.id, root.id AS root_id, summary.*
    FROM newest AS root, LATERAL (
        SELECT (array_agg(name ORDER BY has_children, id DESC))[1] AS name, min(date_created) AS date_created,
            count(*) FILTER (WHERE state = 'PENDING') AS "PENDING",
            count(*) FILTER (WHERE state = 'STARTED') AS "STARTED",
            count(*) FILTER (WHERE state = 'RETRY') AS "RETRY",
            count(*) FILTER (WHERE state = 'SUCCESS') AS "SUCCESS",
            count(*) FILTER (WHERE state = 'FAILURE') AS "FAILURE",
            count(*) FILTER (WHERE state = 'REVOKED') AS "REVOKED"
        FROM (
            SELECT id, name, state, date_created, children IS NOT NULL AS has_children
            FROM decant.task WHERE root_id = root.id LIMIT 2000
        ) AS part
    ) AS summary
    WHERE root.id IS NOT NULL
    ORDER BY root.id DESC
"""  # noqa: S608  # composed of constants
"""Workflows, newest first: one look-up in the index for each, and at most 2,000 of its tasks."""

RUNS = f"""
    {_NEWEST.format(column="task_id", table="decant.step")}
    SELECT t.id, t.name, t.state, t.date_created
    FROM newest JOIN decant.task AS t USING (id)
    ORDER BY t.id DESC
"""  # noqa: S608  # composed of constants
"""Runs of workflow functions that have recorded steps, newest first."""

SCHEDULES = "SELECT name AS key, ticked_at, paused, absent FROM decant.schedule ORDER BY name LIMIT 1000"

SCHEDULE_EXISTS = "SELECT name FROM decant.schedule WHERE name = :key"

SWEEPER = """
    SELECT statement_timestamp() AS now, (SELECT swept_at FROM decant.sweeper) AS swept_at
"""

RUNNING = """
    SELECT id, name, queue, attempt, date_started, lease_expires_at,
        lease_expires_at < statement_timestamp() AS overdue
    FROM decant.task WHERE lease_expires_at IS NOT NULL ORDER BY lease_expires_at LIMIT :count
"""
"""Running tasks whose lease ends first."""

WORKERS = """
    SELECT name, is_function, queues, concurrency, count(*) AS processes, count(*) FILTER (WHERE active) AS active,
        coalesce(sum(running) FILTER (WHERE active), 0) AS running, min(started_at) AS started_at,
        max(seen_at) AS seen_at
    FROM (
        SELECT *, seen_at >= statement_timestamp() - interval '1 minute' AS active
        FROM decant.worker WHERE seen_at >= statement_timestamp() - interval '15 minutes'
        ORDER BY seen_at DESC LIMIT :most
    ) AS part
    GROUP BY name, is_function, queues, concurrency
    ORDER BY max(seen_at) DESC LIMIT :count
"""
"""Workers that have reported last; the environments of a function are one worker."""

UNKNOWN = """
    SELECT name, count(*) AS count, min(error) AS error
    FROM (
        SELECT name, error, error_type FROM decant.task WHERE wake_at IS NOT NULL ORDER BY queue, wake_at LIMIT :most
    ) AS waiting
    WHERE error_type = 'UnknownTask' GROUP BY name ORDER BY name LIMIT 20
"""
"""Waiting tasks that no worker has the code of."""

FAILING = """
    SELECT name, count(*) FILTER (WHERE state = 'FAILURE') AS failed, count(*) AS finished,
        (array_agg(concat_ws(': ', error_type, left(error, 300)) ORDER BY date_done DESC)
            FILTER (WHERE state = 'FAILURE'))[1] AS error
    FROM (
        SELECT name, state, error_type, error, date_done FROM decant.task
        WHERE date_done >= statement_timestamp() - interval '15 minutes' AND idempotency_key IS NULL
        ORDER BY date_done DESC LIMIT :most
    ) AS part
    GROUP BY name HAVING count(*) FILTER (WHERE state = 'FAILURE') > 0
    ORDER BY failed DESC LIMIT 20
"""
"""Names of tasks that have failed within the last 15 minutes, as far as the last `most` tasks show."""

_LIVE = """
    (
        SELECT queue, state, eta, date_started, date_done FROM decant.task
        WHERE date_done >= greatest(
                date_bin(make_interval(secs => :seconds), CAST(:since AS timestamptz), '2000-01-01Z'),
                (SELECT max(since) + interval '1 minute' FROM decant.task_statistic WHERE seconds = 60)
            )
            AND idempotency_key IS NULL
        ORDER BY date_done LIMIT :most
    )
"""

PERIODS = f"""
    SELECT since, queue, kind, bucket, count FROM decant.task_statistic
    WHERE seconds = :seconds AND since >= date_bin(
        make_interval(secs => :seconds), CAST(:since AS timestamptz), '2000-01-01Z'
    )
    UNION ALL
    {COUNTED.format(period="date_bin(make_interval(secs => :seconds), date_done, '2000-01-01Z')", done=_LIVE)}
"""  # noqa: S608  # composed of constants
"""Counts by period, and those of at most `most` tasks that the sweeper has not added to the statistics yet."""

_RUN_NOW = f"""
    UPDATE decant.task AS t
    SET eta = statement_timestamp(),
        wake_at = statement_timestamp() + make_interval(
            secs => CASE WHEN t.queue = ANY(CAST(:queues AS text[])) THEN :republish_after_s ELSE 0 END
        )
    FROM (
        SELECT id FROM decant.task
        WHERE id = ANY(CAST(:ids AS uuid[])) AND wake_at IS NOT NULL AND eta > statement_timestamp() AND NOT suspended
        ORDER BY id FOR UPDATE
    ) AS waiting
    WHERE t.id = waiting.id
    RETURNING {selected(Enqueued)}, {CLAIMABLE}
"""  # noqa: S608  # composed of constants

RUN_NOW = notifying(_RUN_NOW)
"""Let tasks be due that wait for their time or for their next attempt."""
