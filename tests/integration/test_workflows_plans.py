"""What runs that sleep cost: claims, sweeps and signals read as much as without them."""

import json
from collections.abc import Iterator

import pytest

from decant import loop
from decant.tasks.sql import claim, sweep
from decant.workflows import sql
from decant_cloud.local.postgres import Postgres
from tests.plans import Plan, database_with, plan_of
from tests.worlds import execute

MANY = 1_000_000
MANY_ROWS = ("claim of messages", "claim of the due", "sweep")
"""Statements that change many rows."""

ID = "CAST(lpad(to_hex(n), 12, '0') || '70008' || lpad(to_hex(n), 15, '0') AS uuid)"

DUE = f"""
    INSERT INTO decant.task (id, name, queue, args, kwargs)
    SELECT {ID}, 'flow', 'default', '[]', '{{}}' FROM generate_series(1, 1000) AS n
"""  # noqa: S608  # our own constants

ASLEEP = f"""
    WITH run AS (
        INSERT INTO decant.task (id, name, queue, args, kwargs, attempt, suspended, eta, wake_at)
        SELECT {ID}, 'flow', 'default', '[]', '{{}}', 1, n % 2 = 0, due, due
        FROM generate_series(10001, 10000 + CAST(:count AS integer)) AS n,
            LATERAL (SELECT now() + interval '1 day' + make_interval(secs => n) AS due) AS times
        RETURNING id, eta
    )
    INSERT INTO decant.step (task_id, name, n, seq, attempt, kind, due_at, date_done)
    SELECT id, kind, 0, seq, 1, kind, CASE kind WHEN 'sleep' THEN eta END, now()
    FROM run, (VALUES ('step', 0), ('sleep', 1)) AS recorded (kind, seq)
"""  # noqa: S608  # our own constants


async def plans() -> dict[str, Plan]:
    """The plans of the statements that a run needs, among so many that sleep."""
    [row] = await execute("SELECT array_agg(id) AS ids FROM (SELECT id FROM decant.task ORDER BY id LIMIT 10) AS t")
    ids, sleeper = row["ids"], (await execute("SELECT max(CAST(id AS text)) AS id FROM decant.task"))[0]["id"]
    wait = {"task_id": sleeper, "attempt": 1, "topic": "go", "name": "wait", "n": 0, "seq": 2}
    new = {"task_id": sleeper, "attempt": 1, "name": "step", "n": 1, "seq": 2, "kind": "step"}
    signal = {"id": ids[0], "task_id": sleeper, "topic": "go", "payload": "1"}
    queues = {"queues": ["default"], "republish_after_s": 300}
    claimed = {"names": ["flow"], "lease_s": 60}
    return {
        "claim of messages": await plan_of(claim.CLAIM, ids=ids, alone=False, **claimed),
        "claim of the due": await plan_of(claim.CLAIM_DUE, count=100, queues=None, **claimed),
        "next due": await plan_of(claim.NEXT_DUE, names=["flow"], within_s=3600, queues=None),
        "sweep": await plan_of(sweep.UNPUBLISHED, ahead_s=60, count=100, **queues),
        "steps of a resumed run": await plan_of(sql.LOAD, ids=[sleeper]),
        "step": await plan_of(sql.RECORD, steps=json.dumps([new]), expected=1),
        "wait": await plan_of(sql.TAKE, waits=json.dumps([wait])),
        "signal": await plan_of(sql.SEND, **signal, **queues),
    }


@pytest.fixture(
    scope="module", params=[100_000, pytest.param(MANY, marks=[pytest.mark.long, pytest.mark.timeout(900)])]
)
def asleep(migrated: Postgres, request: pytest.FixtureRequest) -> Iterator[dict[str, Plan]]:
    """The plans among so many runs that sleep."""
    with database_with(migrated, f"asleep_{request.param}", [DUE, ASLEEP], request.param):
        yield loop.run(plans())


@pytest.fixture(scope="module")
def awake(migrated: Postgres) -> Iterator[dict[str, Plan]]:
    """The plans with 100 runs that sleep."""
    with database_with(migrated, "asleep_100", [DUE, ASLEEP], 100):
        yield loop.run(plans())


def test_sleeping_runs_add_nothing_to_the_cost_of_others(asleep: dict[str, Plan], awake: dict[str, Plan]) -> None:
    """Claims and sweeps read at most 1.2 times the pages, single rows are looked up, and no table is scanned."""
    ratios = {name: asleep[name].buffers / awake[name].buffers for name in MANY_ROWS}
    look_ups = {name: plan.buffers for name, plan in asleep.items() if name not in MANY_ROWS}

    assert max(ratios.values()) <= 1.2, ratios
    assert max(look_ups.values()) <= 50, look_ups
    assert [name for name, plan in asleep.items() if plan.scans] == []
