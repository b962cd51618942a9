"""Insert tasks, and record which of them have no message."""

from decant.tasks.records import NewTask
from decant.tasks.sql.columns import inserted, parameters
from decant.tasks.sql.notify import CHANNEL, CLAIMABLE

__all__ = ["FIND_EXISTING", "INSERT", "INSERT_CALLS", "INSERT_NEW_CALLS", "MARK_UNPUBLISHED", "OF_CALL"]

_COLUMNS, _VALUES = inserted(
    NewTask,
    {
        "id": "CAST(id AS uuid)",
        "priority": "coalesce(priority, 0)",
        "limit_key": "coalesce(limit_key, '')",
        "args": "CAST(args AS json)",
        "kwargs": "CAST(kwargs AS json)",
        "expires": """CASE
            WHEN parents IS NULL THEN coalesce(expires, statement_timestamp() + make_interval(secs => expires_in_s))
            ELSE expires
        END""",
        "eta": "due",
        "wake_at": """CASE
            WHEN parents IS NOT NULL THEN NULL
            WHEN publish AND due <= statement_timestamp() + make_interval(secs => :max_delay_s)
            THEN due + make_interval(secs => :republish_after_s)
            ELSE due
        END""",
        "waits_for": "coalesce(cardinality(parents), 0)",
    },
    without={"publish"},
)

_DEFAULT_DUE = "statement_timestamp() + make_interval(secs => coalesce(countdown_s, 0))"


def _insert(source: str, on_conflict: str) -> str:
    return f"""
    WITH written AS (
        INSERT INTO decant.task AS t ({_COLUMNS})
        SELECT {_VALUES}
        FROM (SELECT *, coalesce(eta, {_DEFAULT_DUE}) AS due FROM {source}) AS new
        {on_conflict}
        RETURNING t.id, {CLAIMABLE}
    ),
    total AS (
        SELECT count(*) AS inserted, bool_or(claimable) AS claimable,
            CASE WHEN count(*) < :expected THEN array_agg(id) END AS ids
        FROM written
    ),
    notified AS (SELECT pg_notify('{CHANNEL}', '') FROM total WHERE claimable)
    SELECT total.inserted, total.ids, statement_timestamp() AS now FROM total LEFT JOIN notified ON true
    """  # noqa: S608  # composed of constants


def _json(parameter: str) -> str:
    return f"CAST(CAST(:{parameter} AS text) AS json)"


_LEFT_OUT = "ON CONFLICT DO NOTHING"

INSERT = _insert(f"json_to_recordset({_json('tasks')}) AS given ({parameters(NewTask)})", _LEFT_OUT)
"""Insert tasks; a task whose id, unique key or idempotency key exists is left out.

Returns a row: the number of inserted tasks, their ids if they are fewer than `expected`, and the time. A row for each
task would take a fifth of the time of inserting many.

`wake_at` of a task that is published after the commit lies after its due time. When it is reached, either a worker has
claimed the task, or its message was lost and the sweeper publishes it again. The sweeper publishes all other tasks
when they are due; a task with parents has no `wake_at` until they have succeeded.
"""

OF_CALL = ("id", "args", "kwargs", "unique_key", "limit_key")
"""Fields in which calls of a task differ that are enqueued together."""

_CALLS = f"""
    json_to_record({_json("shared")}) AS shared ({parameters(NewTask, without=OF_CALL)}),
    ROWS FROM ({", ".join(f"json_array_elements_text({_json(name)})" for name in OF_CALL)})
        AS call ({", ".join(OF_CALL)})
"""

INSERT_CALLS = _insert(_CALLS, _LEFT_OUT)
"""INSERT for calls that differ only in the fields OF_CALL. Arrays of values take a third of the time of objects."""

INSERT_NEW_CALLS = _insert(_CALLS, "")
"""INSERT_CALLS for tasks with new ids and without keys. ON CONFLICT would take a fifth of the time."""

FIND_EXISTING = """
    SELECT task.id
    FROM decant.task
    WHERE task.id = :id
        OR (name = :name AND idempotency_key = CAST(:idempotency_key AS text))
        OR (name = :name AND unique_key = CAST(:unique_key AS text) AND date_done IS NULL)
    ORDER BY task.id = :id DESC, idempotency_key IS NOT DISTINCT FROM CAST(:idempotency_key AS text) DESC
    LIMIT 1
"""
"""The existing task because of which a new task was left out."""

MARK_UNPUBLISHED = """
    UPDATE decant.task SET wake_at = eta
    WHERE id IN (
        SELECT id FROM decant.task WHERE id = ANY(CAST(:ids AS uuid[])) AND wake_at IS NOT NULL ORDER BY id FOR UPDATE
    )
"""
"""Let the sweeper publish tasks whose message could not be sent."""
