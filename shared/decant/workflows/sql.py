"""All statements on the tables of steps and signals; the rules are those of `decant.tasks.sql`.

A step is written by the run that holds the lease: the statements join the task's row at this attempt. The primary key
resolves the conflict of two claims that record the same step. Only a step with a transaction of its own locks the
row, because its effects must not be committed after the lease was lost. LIMIT 1 makes PostgreSQL look up the rows one
by one: it would plan a join by its estimate of the number of steps in the JSON, which is always wrong.
"""

from decant.tasks.records import Enqueued
from decant.tasks.sql.columns import parameters, selected
from decant.tasks.sql.notify import CLAIMABLE, notifying
from decant.tasks.sql.workflow import SIGNALLED
from decant.workflows.records import NewStep, Wait

__all__ = [
    "ARGUMENTS",
    "AWAIT_CHILD",
    "FIND",
    "FORK",
    "LOAD",
    "LOOK_UP_SIGNAL",
    "NOT_RECORDED",
    "OPEN_RUNS",
    "RECORD",
    "RECORD_IN_TRANSACTION",
    "RESTART",
    "REWIND",
    "SEND",
    "STEPS",
    "TAKE",
    "record_last",
]

_UPDATED = ("seq", "attempt", "kind", "result", "error", "due_at", "date_started", "date_done")
_COLUMNS = f"task_id, name, n, {', '.join(_UPDATED)}"
_REPLACE_BEGUN = f"""
    ON CONFLICT (task_id, name, n) DO UPDATE
    SET {", ".join(f"{column} = excluded.{column}" for column in _UPDATED)}
    WHERE s.kind = 'begun'
"""  # noqa: S608  # composed of constants

_RECORD = f"""
    INSERT INTO decant.step AS s ({_COLUMNS})
    SELECT given.task_id, given.name, given.n, given.seq, given.attempt, given.kind, given.result, given.error,
        statement_timestamp() + make_interval(secs => given.delay_s),
        statement_timestamp() - make_interval(secs => given.seconds),
        statement_timestamp()
    FROM json_to_recordset(CAST(CAST(:steps AS text) AS json)) AS given ({parameters(NewStep)}),
        LATERAL (
            SELECT FROM decant.task WHERE id = given.task_id AND attempt = given.attempt AND state = 'STARTED'
            LIMIT 1 %s
        ) AS held
    {_REPLACE_BEGUN}
    RETURNING s.task_id, s.name, s.n
"""  # noqa: S608  # composed of constants

RECORD = f"""
    WITH recorded AS ({_RECORD % ""})
    SELECT CASE
        WHEN count(*) < :expected
        THEN coalesce(CAST(json_agg(json_build_array(task_id, name, n)) AS text), '[]')
    END AS keys
    FROM recorded
"""  # noqa: S608  # composed of constants
"""Record steps of any number of runs, and return the keys of those that were recorded, or NULL for all of them.

A row for each step would take 8 % of the processor time of a step.
"""

RECORD_IN_TRANSACTION = _RECORD % "FOR SHARE"
"""Record a step in the transaction of its effects. The lock keeps the lease until the commit."""

NOT_RECORDED = "decant.step"
"""Part of the message of the error that `record_last` raises for a step that it has not recorded."""

_RECORD_LAST = f"""
    WITH held AS (
        SELECT FROM decant.task WHERE id = '{{task_id}}' AND attempt = {{attempt}} AND state = 'STARTED' FOR SHARE
    ),
    recorded AS (
        INSERT INTO decant.step AS s ({_COLUMNS})
        SELECT '{{task_id}}', {{name}}, {{n}}, {{seq}}, {{attempt}}, '{{kind}}', {{result}}, NULL, NULL,
            statement_timestamp() - make_interval(secs => {{seconds}}), statement_timestamp()
        FROM held
        {_REPLACE_BEGUN}
        RETURNING s.n
    )
    SELECT CAST(CASE WHEN count(*) = 0 THEN '{NOT_RECORDED}' ELSE '1' END AS integer) FROM recorded
"""  # noqa: S608  # composed of constants


def record_last(new: NewStep) -> str:
    """RECORD_IN_TRANSACTION of the result of a step, without parameters, which can be sent together with COMMIT.

    It fails when the step is not recorded.
    """
    result = "NULL" if new.result is None else _literal(bytes(new.result).decode())
    return _RECORD_LAST.format(
        task_id=new.task_id,
        name=_literal(new.name),
        n=new.n,
        seq=new.seq,
        attempt=new.attempt,
        kind=new.kind,
        result=result,
        seconds=float(new.seconds or 0),
    )


def _literal(value: str) -> str:
    """A text as a literal. The escapes hold for all settings of the server; psycopg would replace `%`.

    Source: PostgreSQL, "String Constants with C-Style Escapes".
    """
    escaped = value.replace("\\", r"\\").replace("'", "''").replace("%", r"\x25")
    return f"E'{escaped}'"


LOAD = """
    SELECT task_id, name, n, seq, kind, CAST(result AS text) AS result, CAST(error AS text) AS error,
        CAST(extract(epoch FROM due_at - statement_timestamp()) AS float8) AS left_s
    FROM decant.step WHERE task_id = ANY(CAST(:ids AS uuid[])) ORDER BY task_id, seq
"""
"""The recorded steps of resumed runs."""

TAKE = f"""
    WITH wanted AS MATERIALIZED (
        SELECT given.*, held.signalled,
            row_number() OVER (PARTITION BY given.task_id, given.topic ORDER BY given.seq) AS place
        FROM json_to_recordset(CAST(CAST(:waits AS text) AS json)) AS given ({parameters(Wait)}),
            LATERAL (
                SELECT signalled FROM decant.task
                WHERE id = given.task_id AND attempt = given.attempt AND state = 'STARTED'
                LIMIT 1
            ) AS held
    ),
    available AS MATERIALIZED (
        SELECT topics.task_id, topics.topic, signal.*
        FROM (
            SELECT task_id, topic, count(*) AS waits FROM wanted GROUP BY task_id, topic ORDER BY task_id, topic
        ) AS topics,
            LATERAL (
                SELECT id, payload, date_created FROM decant.signal
                WHERE task_id = topics.task_id AND topic = topics.topic AND NOT taken
                ORDER BY date_created LIMIT topics.waits FOR UPDATE
            ) AS signal
    ),
    paired AS MATERIALIZED (
        SELECT wanted.*, first.id, first.payload
        FROM wanted JOIN (
            SELECT *, row_number() OVER (PARTITION BY task_id, topic ORDER BY date_created, id) AS place FROM available
        ) AS first USING (task_id, topic, place)
    ),
    delivered AS (
        INSERT INTO decant.step AS s ({_COLUMNS})
        SELECT task_id, name, n, seq, attempt, 'signal', payload, NULL, NULL, NULL, statement_timestamp()
        FROM paired ORDER BY task_id, name, n
        {_REPLACE_BEGUN}
        RETURNING s.task_id, s.name, s.n, CAST(s.result AS text) AS result
    ),
    taken AS (
        UPDATE decant.signal SET taken = true
        WHERE id IN (SELECT id FROM paired JOIN delivered USING (task_id, name, n))
    )
    SELECT wanted.task_id, wanted.name, wanted.n, wanted.signalled,
        coalesce(delivered.task_id, earlier.task_id) IS NOT NULL AS delivered,
        coalesce(delivered.result, CAST(earlier.result AS text)) AS result
    FROM wanted LEFT JOIN delivered USING (task_id, name, n)
    LEFT JOIN decant.step AS earlier
        ON earlier.task_id = wanted.task_id AND earlier.name = wanted.name AND earlier.n = wanted.n
            AND earlier.kind = 'signal'
"""  # noqa: S608  # composed of constants
"""Deliver signals: take the oldest of each topic, and record the step that received it, in one transaction.

`signalled` comes from the same snapshot as the signals: a run that is suspended with this value is due at once when
another signal has been sent since. A signal that this wait has received before is returned again.
"""

_RECEIVER = """
    receiver AS MATERIALIZED (
        SELECT id, suspended AND wake_at IS NOT NULL AS resumes
        FROM decant.task WHERE id = :task_id AND date_done IS NULL FOR NO KEY UPDATE
    ),
    sent AS (
        INSERT INTO decant.signal (id, task_id, topic, payload)
        SELECT :id, id, :topic, CAST(CAST(:payload AS text) AS json) FROM receiver
        ON CONFLICT (id) DO NOTHING
        RETURNING task_id
    ),
"""

_SEND = f"""
    UPDATE decant.task AS t SET {SIGNALLED}
    FROM receiver JOIN sent ON sent.task_id = receiver.id
    WHERE t.id = receiver.id
    RETURNING {selected(Enqueued)}, {CLAIMABLE}, receiver.resumes
"""  # noqa: S608  # composed of constants

SEND = notifying(_SEND, "resumes", before=_RECEIVER)
"""Store a signal and let a suspended run be due; a signal that exists is left out.

The row is locked first, so that signals of one run are stored in the order in which they are committed.
"""

LOOK_UP_SIGNAL = """
    SELECT t.state, EXISTS (SELECT FROM decant.signal WHERE id = :id) AS sent
    FROM decant.task AS t WHERE t.id = :task_id
"""
"""Why SEND has stored nothing."""

AWAIT_CHILD = """
    SELECT (SELECT signalled FROM decant.task WHERE id = :parent_id) AS signalled,
        t.state, CAST(t.result AS text) AS result, t.error_type, t.error, t.traceback
    FROM (SELECT) AS always LEFT JOIN decant.task AS t ON t.id = :id
"""
"""State of a child, and the number of signals that its parent has received, from one snapshot."""

RESTART = """
    WITH held AS MATERIALIZED (
        UPDATE decant.task SET args = CAST(CAST(:args AS text) AS json), kwargs = CAST(CAST(:kwargs AS text) AS json)
        WHERE id = :id AND attempt = :attempt AND state = 'STARTED'
        RETURNING id
    )
    DELETE FROM decant.step USING held WHERE step.task_id = held.id
"""
"""Give a running run other arguments, and delete its steps."""

STEPS = """
    SELECT name, n, kind, CAST(result AS text) AS result, error ->> 'message' AS error, attempt, due_at, date_started,
        date_done
    FROM decant.step WHERE task_id = :id ORDER BY seq, name, n
"""

ARGUMENTS = """
    SELECT name, CAST(args AS text) AS args, CAST(kwargs AS text) AS kwargs FROM decant.task WHERE id = :id
"""

FIND = """
    SELECT id FROM decant.task WHERE name = :name AND idempotency_key = :key
"""

_EDGE = """
    SELECT min(seq) AS seq FROM decant.step
    WHERE task_id = :id AND name = CAST(:name AS text) AND n = coalesce(CAST(:n AS integer), n)
"""

_FORK = f"""
    INSERT INTO decant.task AS t (
        id, name, queue, priority, args, kwargs, max_retries, options, correlation_id, group_key, attempt, forked_from,
        wake_at
    )
    SELECT :new_id, o.name, o.queue, o.priority, coalesce(CAST(CAST(:args AS text) AS json), o.args),
        coalesce(CAST(CAST(:kwargs AS text) AS json), o.kwargs), o.max_retries, o.options, o.correlation_id,
        o.group_key, 1, o.id,
        CASE
            WHEN o.queue = ANY(CAST(:queues AS text[]))
            THEN statement_timestamp() + make_interval(secs => :republish_after_s)
            ELSE statement_timestamp()
        END
    FROM decant.task AS o, edge
    WHERE o.id = :id AND (CAST(:name AS text) IS NULL OR edge.seq IS NOT NULL)
    RETURNING {selected(Enqueued)}, {CLAIMABLE}
"""  # noqa: S608  # composed of constants

_COPIED = f"""
    copied AS (
        INSERT INTO decant.step ({_COLUMNS})
        SELECT CAST(:new_id AS uuid), s.name, s.n, s.seq, 1, s.kind, s.result, s.error, s.due_at, s.date_started,
            s.date_done
        FROM decant.step AS s, edge
        WHERE s.task_id = :id AND s.kind <> 'begun' AND (edge.seq IS NULL OR s.seq < edge.seq)
            AND (CAST(:name AS text) IS NULL OR edge.seq IS NOT NULL)
    ),
"""  # noqa: S608  # composed of constants

FORK = notifying(_FORK, before=f"edge AS ({_EDGE}), {_COPIED}")
"""Copy a run with its steps before the given one. `attempt` starts at 1, since only a claim after it loads steps."""

REWIND = f"""
    DELETE FROM decant.step AS s USING decant.task AS t, ({_EDGE}) AS edge
    WHERE t.id = :id AND t.state IN ('FAILURE', 'REVOKED') AND s.task_id = t.id AND s.seq >= edge.seq
    RETURNING s.seq
"""  # noqa: S608  # composed of constants
"""Delete the steps of a failed run from the given one on."""

OPEN_RUNS = """
    SELECT t.id, t.name, t.queue, t.state, CAST(t.args AS text) AS args, CAST(t.kwargs AS text) AS kwargs, t.suspended,
        t.eta, t.error, (SELECT count(*) FROM decant.step WHERE task_id = t.id) AS step_count
    FROM decant.task AS t
    WHERE t.date_done IS NULL AND (CAST(:name AS text) IS NULL OR t.name = CAST(:name AS text))
        AND EXISTS (SELECT FROM decant.step WHERE task_id = t.id)
    ORDER BY t.id DESC LIMIT :count
"""
"""Unfinished runs that have recorded steps, newest first."""
