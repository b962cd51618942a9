"""Counts and times of finished tasks by period, which the sweeper adds up and the console shows.

A row counts the tasks of a queue that finished in a period: by their state, by the bucket of their waiting time (from
`eta` to the start of the last run), and by the bucket of their run time. Periods are kept in three lengths, so that a
plot of any span reads about a hundred of them.
"""

__all__ = ["BOUNDS_S", "COUNTED", "FORGET_STATISTICS", "LOCK_STATISTICS", "PERIODS_S", "SUMMARIZE", "SWEPT"]

BOUNDS_S = [0.001 * 2 ** (step / 2) for step in range(48)]
"""Lower bounds of the buckets from 1 on, seconds: from a millisecond to three hours."""

PERIODS_S = {60: 2 * 3600, 900: 2 * 86_400, 7200: 8 * 86_400}
"""Lengths of periods, and for how long they are kept, seconds."""

_BOUNDS = ", ".join(f"{bound:.6f}" for bound in BOUNDS_S)

COUNTED = f"""
    SELECT {{period}} AS since, queue, kind, bucket, CAST(count(*) AS integer) AS count
    FROM ({{done}}) AS done, LATERAL (
        VALUES (state, 0),
            ('wait', width_bucket(extract(epoch FROM date_started - eta), ARRAY[{_BOUNDS}])),
            ('run', width_bucket(extract(epoch FROM date_done - date_started), ARRAY[{_BOUNDS}]))
    ) AS measured (kind, bucket)
    WHERE bucket IS NOT NULL
    GROUP BY 1, 2, 3, 4
"""  # noqa: S608  # composed of constants
"""Counts of the finished tasks that `done` selects; a task that never started has no times."""

LOCK_STATISTICS = "SELECT pg_try_advisory_xact_lock(hashtext('decant.statistics')) AS locked"
"""Held until the transaction ends: each minute is added by a single sweeper."""

_DONE = """
    SELECT queue, state, eta, date_started, date_done FROM decant.task, range
    WHERE date_done >= since AND date_done < until AND idempotency_key IS {0}
"""

_FIRST = "(SELECT min(date_done) FROM decant.task WHERE date_done >= edge.since AND idempotency_key IS {0})"

_SUMMARIZE_DONE = " UNION ALL ".join(_DONE.format(keyed) for keyed in ("NULL", "NOT NULL"))

SUMMARIZE = f"""
    WITH edge AS MATERIALIZED (
        SELECT coalesce(max(since) + interval '1 minute', '-infinity') AS since
        FROM decant.task_statistic WHERE seconds = 60
    ),
    range AS MATERIALIZED (
        SELECT first.since, least(
            first.since + interval '10 minutes', date_trunc('minute', statement_timestamp() - interval '10 seconds')
        ) AS until
        FROM edge, LATERAL (
            SELECT date_trunc('minute', least({_FIRST.format("NULL")}, {_FIRST.format("NOT NULL")})) AS since
        ) AS first
    ),
    minutes AS ({COUNTED.format(period="date_trunc('minute', date_done)", done=_SUMMARIZE_DONE)})
    INSERT INTO decant.task_statistic AS t (seconds, since, queue, kind, bucket, count)
    SELECT seconds, date_bin(make_interval(secs => seconds), since, '2000-01-01Z'), queue, kind, bucket, sum(count)
    FROM minutes, unnest(CAST(:periods AS integer[])) AS seconds
    GROUP BY 1, 2, 3, 4, 5
    ON CONFLICT (seconds, since, queue, kind, bucket) DO UPDATE SET count = t.count + excluded.count
    RETURNING 1 AS row
"""  # noqa: S608  # composed of constants
"""Add the next ten minutes in which tasks finished, up to the last full minute.

The last ten seconds are left out: a task whose transaction commits later than its minute is not counted.
"""

FORGET_STATISTICS = """
    DELETE FROM decant.task_statistic AS t
    USING unnest(CAST(:periods AS integer[]), CAST(:kept_s AS integer[])) AS old (seconds, kept_s)
    WHERE t.seconds = old.seconds AND t.since < statement_timestamp() - make_interval(secs => old.kept_s)
        AND (t.seconds > 60 OR t.since < (SELECT max(since) FROM decant.task_statistic WHERE seconds = 60))
"""
"""Delete old periods, but not the last minute, from which SUMMARIZE continues."""

SWEPT = """
    INSERT INTO decant.sweeper (swept_at) VALUES (statement_timestamp())
    ON CONFLICT (single) DO UPDATE SET swept_at = excluded.swept_at
"""
"""Record the time of a sweep."""
