"""What statements read: by their index, and about as much from a million rows as from a thousand."""

from collections.abc import Iterator
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import text

from decant.console import sql as console
from decant.tasks.admin import pause_queue, resume_queue
from decant.tasks.records import Limit, Outcome, Runnable, State
from decant.tasks.sql import claim as claims
from decant.tasks.sql import dead_letters, enqueue, lists, run, sweep, watch, workflow
from decant.tasks.store import store
from decant_cloud.local.postgres import Postgres
from tests.plans import database_with, plan_of
from tests.worlds import execute

FEW, SOME, MANY = 10, 100_000, 1_000_000
WAITING_EVERY, RUNNING_EVERY, FAILED_EVERY = 50, 5_000, 1_000
"""Of the rows, one in so many waits, runs, or has failed; all others have succeeded.

After each that has failed comes a child of it and of the next, which has succeeded.
"""

ID = "CAST(lpad(to_hex(n{0}), 12, '0') || '70008' || lpad(to_hex(n{0}), 15, '0') AS uuid)"

FILL = f"""
    INSERT INTO decant.task (
        id, name, queue, limit_key, args, kwargs, state, attempt, waits_for, children,
        eta, wake_at, lease_expires_at, date_created, date_done, result
    )
    SELECT
        {ID.format("")},
        'task.' || n % 7, 'queue' || n % 3, CASE WHEN state IN ('PENDING', 'STARTED') THEN 'task.' || n % 7 ELSE '' END,
        '[1, 2]', '{{}}', state, 1,
        CAST(place = 3 AS integer),
        CASE place WHEN 2 THEN ARRAY[{ID.format(" + 1")}] WHEN 4 THEN ARRAY[{ID.format(" - 1")}] END,
        at,
        CASE WHEN state = 'PENDING' AND place <> 3 THEN at END,
        CASE state WHEN 'STARTED' THEN at END,
        at,
        CASE WHEN state IN ('SUCCESS', 'FAILURE') THEN at END,
        CASE state WHEN 'SUCCESS' THEN CAST('"done"' AS json) END
    FROM (
        SELECT n, n % {FAILED_EVERY} AS place,
            now() - make_interval(secs => CAST(:count AS integer) - n) + interval '10 minutes' AS at,
            CASE
                WHEN n % {WAITING_EVERY} = 0 OR n % {FAILED_EVERY} = 3 THEN 'PENDING'
                WHEN n % {RUNNING_EVERY} = 1 THEN 'STARTED'
                WHEN n % {FAILED_EVERY} = 2 THEN 'FAILURE'
                ELSE 'SUCCESS'
            END AS state
        FROM generate_series(1, CAST(:count AS integer)) AS n
    ) AS rows
"""  # noqa: S608  # our own constants

QUEUE = f"""
    INSERT INTO decant.task (id, name, queue, priority, args, kwargs, eta, wake_at)
    SELECT {ID.format("")}, 'task.' || n % 7, 'default', n / 2 % 3, '[]', '{{}}', at, at
    FROM generate_series(1, 2 * CAST(:count AS integer)) AS n,
        LATERAL (SELECT now() + interval '1 day' * (n % 2) - interval '1 second' AS at) AS times
"""  # noqa: S608  # our own constants

LIMITS = [Limit(name=f"task.{n}", concurrency=100) for n in range(7)]

FILL_STEPS = """
    INSERT INTO decant.step (task_id, name, n, seq, attempt, kind, date_done)
    SELECT id, 'step', n, n, 1, 'step', now() FROM decant.task, generate_series(0, 4) AS n
    WHERE state = 'STARTED' OR random() < 0.01
"""


@pytest.fixture(scope="module", params=[FEW, SOME, pytest.param(MANY, marks=pytest.mark.long)])
def count(migrated: Postgres, request: pytest.FixtureRequest) -> Iterator[int]:
    """A table of so many rows."""
    with database_with(migrated, f"plans_{request.param}", [FILL, FILL_STEPS], request.param):
        yield request.param


@pytest.fixture(scope="module", params=[100, 30_000, pytest.param(MANY, marks=pytest.mark.long)])
def depth(migrated: Postgres, request: pytest.FixtureRequest) -> Iterator[int]:
    """A queue of so many due tasks and as many that are due tomorrow, of three priorities."""
    with database_with(migrated, f"queue_{request.param}", [QUEUE], request.param):
        yield request.param


async def some_ids(state: str) -> list[UUID]:
    """Ten rows in a state, from all over the table."""
    rows = await execute(
        "SELECT id FROM decant.task WHERE state = :state AND waits_for = 0 ORDER BY md5(CAST(id AS text)) LIMIT 10",
        state=state,
    )
    return [row["id"] for row in rows]


async def test_claim_reads_by_the_primary_key(count: int) -> None:
    """Ten messages cost ten look-ups."""
    ids = await some_ids("PENDING")

    plan = await plan_of(claims.CLAIM, ids=ids, names=[f"task.{n}" for n in range(7)], lease_s=60, alone=False)

    assert plan.buffers <= 500
    assert count == FEW or (plan.indexes == {"task_pkey"} and not plan.scans)


async def test_claim_without_messages_reads_what_it_claims(depth: int) -> None:
    """A hundred tasks, and the time of the next, are found in order, however many others are due now or tomorrow."""
    names = [f"task.{n}" for n in range(7)]

    claim = await plan_of(claims.CLAIM_DUE, names=names, lease_s=30, count=100, queues=None)
    next_due = await plan_of(claims.NEXT_DUE, names=names, within_s=100_000, queues=None)

    assert claim.buffers <= 3_000
    assert next_due.buffers <= 50
    assert depth == 100 or (claim.indexes == {"task_lane", "task_pkey"} and not claim.scans)
    assert depth == 100 or (next_due.indexes == {"task_lane"} and not next_due.scans)


async def test_claim_with_limits_counts_running_tasks_by_their_index(count: int) -> None:
    """Only the running tasks of a limit are counted, and of those no more than the limit."""
    names, limits = [limit.name for limit in LIMITS], msgspec.json.encode(LIMITS).decode()
    given = {"names": names, "limits": limits, "lease_s": 30}

    plan = await plan_of(claims.CLAIM_DUE_LIMITED, **given, count=10, queues=None)

    assert plan.buffers <= 2_000
    assert count == FEW or (plan.indexes >= {"task_lane", "task_limited", "task_pkey"} and not plan.scans)


async def test_claim_skips_paused_and_other_queues(depth: int) -> None:
    """A queue in which nothing can be claimed costs a look-up for each of its priorities, however long it is."""
    given = {"names": [f"task.{n}" for n in range(7)], "lease_s": 30, "count": 100}
    other = await plan_of(claims.CLAIM_DUE, **given, queues=["other"])
    await pause_queue("default")

    paused = await plan_of(claims.CLAIM_DUE, **given, queues=None)

    await resume_queue("default")
    assert max(other.buffers, paused.buffers) <= 50
    assert depth == 100 or not paused.scans


@pytest.mark.parametrize("state", [State.SUCCESS, State.FAILURE])
@pytest.mark.parametrize("statement", [run.COMPLETE, run.COMPLETE_WITH_DEPENDENTS])
async def test_settling_reads_by_the_primary_key(count: int, statement: str, state: State) -> None:
    """Ten ends cost ten look-ups."""
    ids = await some_ids("STARTED")
    outcomes = [Outcome(id=task_id, attempt=1, state=state, result='"x"') for task_id in ids]

    plan = await plan_of(statement, outcomes=msgspec.json.encode(outcomes).decode(), republish_after_s=300)

    assert plan.buffers <= 500
    assert count == FEW or (plan.indexes == {"task_pkey"} and not plan.scans)


@pytest.fixture(scope="module")
def _new_queue(migrated: Postgres) -> Iterator[None]:
    """A queue for which reading all of its 20,000 rows looks as cheap as a hundred look-ups."""
    with database_with(migrated, "new_queue", [QUEUE], 10_000, analyzed=False):
        yield


@pytest.mark.usefixtures("_new_queue")
@pytest.mark.parametrize("statement", [run.COMPLETE, run.COMPLETE_WITH_DEPENDENTS])
async def test_settling_reads_no_new_table_from_end_to_end(statement: str) -> None:
    """A hundred claims and ends cost a hundred look-ups also before PostgreSQL has statistics of the rows."""
    given: dict[str, object] = {"names": [f"task.{n}" for n in range(7)], "lease_s": 30, "count": 100, "queues": None}
    claim = await plan_of(claims.CLAIM_DUE, **given)
    claimed = await store().claim_due(Runnable([f"task.{n}" for n in range(7)]), 30, 100)
    outcomes = [Outcome(id=task.id, attempt=task.attempt, state=State.SUCCESS) for task in claimed]

    plan = await plan_of(statement, outcomes=msgspec.json.encode(outcomes).decode(), republish_after_s=300)

    assert len(outcomes) == 100
    assert not claim.scans
    assert not plan.scans


@pytest.mark.parametrize("statement", [workflow.FAIL_DEPENDENTS, workflow.COUNT_DOWN])
async def test_workflow_reads_by_the_primary_key(count: int, statement: str) -> None:
    """What ten ends bring about is found by ids, however many others wait."""
    parents = await execute("SELECT id FROM decant.task WHERE children IS NOT NULL ORDER BY id LIMIT 10")

    plan = await plan_of(statement, ids=[row["id"] for row in parents])

    assert plan.buffers <= 500, (plan.buffers, plan.indexes, plan.scans)
    assert count == FEW or (plan.indexes <= {"task_pkey", "task_open", "task_dead"} and not plan.scans)


async def test_sweep_reads_what_is_due(count: int) -> None:
    """Publishing a hundred tasks reads a hundred rows, at any size of the table."""
    plan = await plan_of(sweep.UNPUBLISHED, queues=["queue0", "queue1"], ahead_s=60, count=50, republish_after_s=300)

    assert plan.buffers <= 3_000
    assert count == FEW or (plan.indexes == {"task_waiting", "task_pkey"} and not plan.scans)


async def test_lost_workers_are_found_by_their_leases(count: int) -> None:
    """The rows that run are few."""
    plan = await plan_of(sweep.EXPIRE_LEASES, count=50)

    assert plan.buffers <= 3_000
    assert count == FEW or (plan.indexes == {"task_running", "task_pkey", "step_pkey"} and not plan.scans)


async def test_old_rows_are_found_by_their_end(count: int) -> None:
    """A batch to delete costs a batch."""
    plan = await plan_of(sweep.DELETE, age_s=600, count=50, step_count=1_000)

    assert plan.buffers <= 3_000
    assert count == FEW or ({"task_done", "task_pkey"} <= plan.indexes and not plan.scans)


async def test_status_is_one_look_up(count: int) -> None:
    """By the primary key."""
    plan = await plan_of(watch.STATUS, ids=(await some_ids("SUCCESS"))[:1])

    assert plan.buffers <= 20
    assert count == FEW or (plan.indexes == {"task_pkey"} and not plan.scans)


@pytest.mark.parametrize(
    ("which", "state", "index"),
    [
        ("all", None, "task_pkey"),
        ("all", "SUCCESS", "task_pkey"),
        ("open", "STARTED", "task_open"),
        ("dead", "FAILURE", "task_dead"),
    ],
)
async def test_list_reads_a_bounded_part(count: int, which: str, state: str | None, index: str) -> None:
    """A page costs no more than the rows that it may look at, also when nothing matches."""
    given = {"before": None, "scan_limit": 2_000, "count": 50}

    plan = await plan_of(lists.LISTS[which], state=state, name="no.such", queue=None, **given)

    assert plan.buffers <= 2_500
    assert count == FEW or (plan.indexes == {index} and not plan.scans)


async def test_statistics_read_a_bounded_part(count: int) -> None:
    """No count goes beyond its limit."""
    plan = await plan_of(lists.STATISTICS, queues=["queue0"], most=1_000)

    assert plan.buffers <= 8_000
    assert count == FEW or not plan.scans


async def test_unique_and_idempotent_calls_are_found_by_their_keys(count: int) -> None:
    """Who stands for a call is looked up, not searched for."""
    given = {"id": (await some_ids("SUCCESS"))[0], "name": "task.1", "unique_key": "x", "idempotency_key": "y"}

    plan = await plan_of(enqueue.FIND_EXISTING, **given)

    assert plan.buffers <= 50
    assert count == FEW or not plan.scans


async def test_burying_reads_by_the_primary_key(count: int) -> None:
    """Ten dead letters cost ten look-ups."""
    ids = await some_ids("PENDING")

    plan = await plan_of(dead_letters.CLOSE, ids=ids, reasons=["why"] * len(ids))

    assert plan.buffers <= 500
    assert count == FEW or not plan.scans


CONSOLE = {
    "page": (console.PAGES["all"], 12_000, {"task_pkey"}),
    "open page": (console.PAGES["open"], 12_000, {"task_open", "task_pkey"}),
    "dead page": (console.PAGES["dead"], 12_000, {"task_dead", "task_pkey"}),
    "count": (console.COUNTS["all"], 12_000, {"task_pkey"}),
    "open count": (console.COUNTS["open"], 12_000, {"task_open"}),
    "dead count": (console.COUNTS["dead"], 12_000, {"task_dead"}),
    "running": (console.RUNNING, 100, {"task_running"}),
    "unknown": (console.UNKNOWN, 3_000, {"task_waiting", "task_claim"}),
    "failing": (console.FAILING, 12_000, {"task_done"}),
    "task": (console.TASK, 50, {"task_pkey"}),
    "relatives": (console.RELATIVES, 50, {"task_pkey"}),
    "workflows": (console.WORKFLOWS, 200, {"task_workflow"}),
    "nodes": (console.NODES, 200, {"task_workflow"}),
    "runs": (console.RUNS, 500, {"step_pkey", "task_pkey"}),
    "run now": (console.RUN_NOW, 500, {"task_pkey"}),
}
"""Statements of the console, the pages that they may read, and the indexes."""

BY_ID = {
    "claim with limits": (claims.CLAIM_LIMITED, 1_000, {"task_pkey", "task_limited", "task_limit_pkey"}),
    "look up": (run.LOOK_UP, 12_000, {"task_pkey", "task_lane", "task_waiting"}),
    "cancelled": (run.CANCELLED, 100, {"task_pkey"}),
    "renew": (run.RENEW, 500, {"task_pkey", "task_running"}),
    "progress": (run.PROGRESS, 50, {"task_pkey"}),
    "revoke": (watch.REVOKE, 500, {"task_pkey", "task_open"}),
    "revoke workflow": (watch.REVOKE_WORKFLOW, 200, {"task_pkey", "task_workflow", "task_open"}),
    "forget": (watch.FORGET, 50, {"task_pkey", "task_open"}),
    "release": (workflow.RELEASE, 500, {"task_pkey"}),
    "wake": (workflow.WAKE, 500, {"task_pkey", "task_open"}),
    "continue as": (workflow.CONTINUE_AS, 50, {"task_pkey", "step_pkey"}),
    "mark unpublished": (enqueue.MARK_UNPUBLISHED, 500, {"task_pkey"}),
    "record unknown": (dead_letters.RECORD_UNKNOWN, 500, {"task_pkey"}),
}
"""Statements about given tasks."""

CONDITIONS = {"states": ["STARTED"], "name": "no.such", "queue": None, "error": "none", "correlation_id": None}
EDGES = {"before": UUID(int=2**128 - 1), "after": UUID(int=0), "scan_limit": 10_000, "count": 50}


STATES = dict.fromkeys(CONSOLE, "SUCCESS") | dict.fromkeys(("cancelled", "renew", "progress", "continue as"), "STARTED")
RUN = {"attempt": 1, "attempts": [1] * 10, "lease_s": 60, "terminate": True, "progress": "1", "alone": False}
OTHER = {"max_delay_s": 900, "parent": UUID(int=1), "republish_after_s": 300.0}


@pytest.mark.parametrize("name", CONSOLE | BY_ID)
async def test_statement_reads_a_bounded_part(count: int, name: str) -> None:
    """A statement costs the same for any number of finished tasks, also when nothing matches."""
    statement, most, indexes = (CONSOLE | BY_ID)[name]
    ids = await some_ids(STATES.get(name, "PENDING")) or [UUID(int=1)]
    task_id = ids[0]
    given = CONDITIONS | EDGES | RUN | OTHER | {"id": task_id, "root_id": task_id, "ids": ids, "most": 2_000}
    given |= {"queues": ["queue0"], "names": [limit.name for limit in LIMITS]}
    given |= {"limits": msgspec.json.encode(LIMITS).decode()}
    if name == "failing":
        given["most"] = 10_000

    plan = await plan_of(statement, **{key: given[key] for key in text(statement).compile().params})

    assert plan.buffers <= most
    assert count == FEW or (plan.indexes <= indexes and not plan.scans), (plan.indexes, plan.scans)
