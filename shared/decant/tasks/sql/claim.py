"""Claim tasks, with and without messages, within the limits of tasks.

A lane is the waiting tasks of one queue, limit key and priority. All lanes are found with a look-up in the index for
each of them, however many tasks they have.
"""

from decant.tasks.records import Claimed, Limit
from decant.tasks.sql.columns import parameters, selected
from decant.tasks.sql.queues import PAUSED

__all__ = ["CLAIM", "CLAIM_DUE", "CLAIM_DUE_LIMITED", "CLAIM_LIMITED", "NEXT_DUE", "NEXT_DUE_LIMITED"]

_CLAIM = f"""
    UPDATE decant.task AS t
    SET state = 'STARTED', attempt = t.attempt + 1, wake_at = NULL, date_started = statement_timestamp(),
        lease_expires_at = statement_timestamp() + make_interval(secs => :lease_s)
    FROM due
    WHERE t.id = due.id
    RETURNING {selected(Claimed)}
"""  # noqa: S608  # composed of constants

_GIVEN = f"""
    id = ANY(CAST(:ids AS uuid[]))
    AND state IN ('PENDING', 'RETRY') AND waits_for = 0 AND eta <= statement_timestamp()
    AND name = ANY(CAST(:names AS text[]))
    AND (losses = 0 OR CAST(:alone AS boolean)) AND queue <> ALL ({PAUSED})
"""  # composed of constants

CLAIM = f"""
    WITH due AS MATERIALIZED (SELECT id FROM decant.task WHERE {_GIVEN} ORDER BY id FOR UPDATE)
    {_CLAIM}
"""  # noqa: S608  # composed of constants
"""Claim the due tasks of a batch of messages, as far as this worker can run them.

A task whose last worker was lost is only claimed `alone`, so that a poison task cannot take others down twice.
"""

_HEAD = "SELECT queue, limit_key, priority, wake_at FROM decant.task WHERE wake_at IS NOT NULL"
_ORDER = "ORDER BY queue, limit_key, priority DESC, wake_at LIMIT 1"

_LANES = f"""
    RECURSIVE lane AS (
        ({_HEAD} {_ORDER})
        UNION ALL
        SELECT next.* FROM lane, LATERAL (
            (
                {_HEAD} AND task.queue = lane.queue AND task.limit_key = lane.limit_key
                    AND task.priority < lane.priority {_ORDER}
            )
            UNION ALL
            ({_HEAD} AND task.queue = lane.queue AND task.limit_key > lane.limit_key {_ORDER})
            UNION ALL
            ({_HEAD} AND task.queue > lane.queue {_ORDER})
            LIMIT 1
        ) AS next
    ),
    served AS (
        SELECT queue, limit_key, priority, wake_at FROM lane
        WHERE (CAST(:queues AS text[]) IS NULL OR queue = ANY(CAST(:queues AS text[]))) AND queue <> ALL ({PAUSED})
    )
"""  # noqa: S608  # composed of constants
"""Lanes of the queues that are served, with the first time of each."""

_IN_LANE = """
    task.queue = lane.queue AND task.limit_key = lane.limit_key AND task.priority = lane.priority
    AND name = ANY(CAST(:names AS text[]))
"""

CLAIM_DUE = f"""
    WITH {_LANES},
    due AS MATERIALIZED (
        SELECT first.id
        FROM (SELECT * FROM served WHERE wake_at <= statement_timestamp() ORDER BY priority DESC, wake_at) AS lane,
            LATERAL (
                SELECT id FROM decant.task
                WHERE {_IN_LANE} AND wake_at <= statement_timestamp() AND eta <= statement_timestamp()
                ORDER BY wake_at LIMIT :count FOR UPDATE SKIP LOCKED
            ) AS first
        LIMIT :count
    )
    {_CLAIM}
"""  # noqa: S608  # composed of constants
"""Claim due tasks that have no message, for a worker without SQS.

It reads the index in the order of the claim, and of each lane only the due tasks, so that the tasks that are left,
those that are due later, and those of other or paused queues cost nothing. Among lanes of one priority, that with the
oldest task is first. Rows are locked one by one, until there are enough.
"""

_NEXT_DUE = f"""
    SELECT CAST(extract(epoch FROM min(first.due) - statement_timestamp()) AS float8) AS due_in_s
    FROM served AS lane, LATERAL (
        SELECT greatest(wake_at, eta) AS due FROM decant.task
        WHERE {_IN_LANE} AND wake_at > statement_timestamp()
            AND wake_at <= statement_timestamp() + make_interval(secs => :within_s)
        ORDER BY wake_at LIMIT 1
    ) AS first
"""  # noqa: S608  # composed of constants

NEXT_DUE = f"WITH {_LANES} {_NEXT_DUE}"
"""Time until CLAIM_DUE finds the next task, so that a worker without SQS starts it on time."""

_LIMITS = f"""
    limits AS MATERIALIZED (
        SELECT * FROM json_to_recordset(CAST(CAST(:limits AS text) AS json)) AS given ({parameters(Limit)})
    )
"""  # noqa: S608  # composed of constants

_FREE = """
    free AS MATERIALIZED (
        SELECT limited.limit_key, limits.interval_s, coalesce(known.version, 0) AS version, known.next_at,
            least(
                limits.concurrency - CASE WHEN limits.concurrency IS NOT NULL THEN (
                    SELECT count(*) FROM (
                        SELECT id FROM decant.task
                        WHERE limit_key = limited.limit_key AND limit_key <> '' AND lease_expires_at IS NOT NULL
                        ORDER BY id LIMIT limits.concurrency
                    ) AS running
                ) END,
                CAST(
                    limits.burst - CASE WHEN known.next_at > statement_timestamp()
                        THEN ceil(extract(epoch FROM known.next_at - statement_timestamp()) / limits.interval_s)
                        ELSE 0
                    END AS bigint
                )
            ) AS places
        FROM limited
        JOIN limits ON limits.name = split_part(limited.limit_key, E'\n', 1)
        LEFT JOIN decant.task_limit AS known ON known.key = limited.limit_key
    )
"""
"""How many tasks of each limit key may be started now, with the version of its row on which the number is based."""

_TAKEN = f"""
    granted AS MATERIALIZED (SELECT * FROM picked WHERE places IS NULL OR place <= places),
    taken AS (
        INSERT INTO decant.task_limit AS l (key, version, next_at)
        SELECT limit_key, version + 1,
            greatest(next_at, statement_timestamp()) + make_interval(secs => coalesce(interval_s, 0) * starts)
        FROM (
            SELECT limit_key, count(*) AS starts FROM granted WHERE places IS NOT NULL GROUP BY limit_key
        ) AS started JOIN free USING (limit_key)
        ORDER BY limit_key
        ON CONFLICT (key) DO UPDATE SET version = EXCLUDED.version, next_at = EXCLUDED.next_at
        WHERE l.version = EXCLUDED.version - 1
        RETURNING key
    ),
    due AS MATERIALIZED (SELECT id FROM granted WHERE places IS NULL OR limit_key IN (SELECT key FROM taken))
    {_CLAIM}
"""  # noqa: S608  # composed of constants
"""Claim what was picked, unless another claim has used the limit since this statement's snapshot.

The snapshot does not show what that claim has started. Rows of limits are locked in the order of their keys and after
those of tasks, which are skipped when they are locked, so that claims do not deadlock.
"""

CLAIM_DUE_LIMITED = f"""
    WITH {_LANES},
    {_LIMITS},
    limited AS (SELECT DISTINCT limit_key FROM served WHERE limit_key <> '' AND wake_at <= statement_timestamp()),
    {_FREE},
    candidate AS MATERIALIZED (
        SELECT first.id, first.wake_at, lane.priority, lane.limit_key, lane.places
        FROM (
            SELECT served.*, free.places FROM served LEFT JOIN free USING (limit_key)
            WHERE wake_at <= statement_timestamp() AND (places IS NULL OR places > 0) ORDER BY priority DESC, wake_at
        ) AS lane,
            LATERAL (
                SELECT id, wake_at FROM decant.task
                WHERE {_IN_LANE} AND wake_at <= statement_timestamp() AND eta <= statement_timestamp()
                ORDER BY wake_at LIMIT least(lane.places, :count) FOR UPDATE SKIP LOCKED
            ) AS first
        LIMIT :count
    ),
    picked AS (
        SELECT id, limit_key, places,
            row_number() OVER (PARTITION BY limit_key ORDER BY priority DESC, wake_at) AS place
        FROM candidate
    ),
    {_TAKEN}
"""  # noqa: S608  # composed of constants
"""As CLAIM_DUE, for a worker with tasks that have limits."""

CLAIM_LIMITED = f"""
    WITH {_LIMITS},
    candidate AS MATERIALIZED (
        SELECT id, limit_key, priority FROM decant.task WHERE {_GIVEN} ORDER BY id FOR UPDATE SKIP LOCKED
    ),
    limited AS (SELECT DISTINCT limit_key FROM candidate WHERE limit_key <> ''),
    {_FREE},
    picked AS (
        SELECT candidate.id, limit_key, places,
            row_number() OVER (PARTITION BY limit_key ORDER BY priority DESC, candidate.id) AS place
        FROM candidate LEFT JOIN free USING (limit_key)
    ),
    {_TAKEN}
"""  # noqa: S608  # composed of constants
"""As CLAIM, for a worker with tasks that have limits."""

NEXT_DUE_LIMITED = f"""
    WITH {_LANES},
    {_LIMITS},
    next AS ({_NEXT_DUE}),
    allowed AS (
        SELECT CAST(extract(epoch FROM min(known.next_at - make_interval(secs => interval_s * (burst - 1)))
            - statement_timestamp()) AS float8) AS due_in_s
        FROM served
        JOIN limits ON limits.name = split_part(served.limit_key, E'\n', 1)
        JOIN decant.task_limit AS known ON known.key = served.limit_key
        WHERE served.wake_at <= statement_timestamp()
            AND known.next_at - make_interval(secs => interval_s * (burst - 1)) > statement_timestamp()
    )
    SELECT least(next.due_in_s, allowed.due_in_s) AS due_in_s FROM next, allowed
"""  # noqa: S608  # composed of constants
"""As NEXT_DUE, or the time until a rate limit allows the next start."""
