"""Limits of tasks: rates, and running tasks of a key."""

import asyncio
import math
import random
from collections import Counter
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from decant.tasks import task
from decant.tasks.records import Claimed, Outcome, Runnable, State
from decant.tasks.registry import registry, runnable
from decant.tasks.store import store
from decant.tasks.store.postgres import PostgresStore
from decant.worker.execution import Deadline
from decant.worker.runner import Runner
from tests.queues import SqsQueue
from tests.worlds import World, deliver, execute

pytestmark = pytest.mark.usefixtures("new_tasks")

without_sqs = pytest.mark.parametrize("world", ["memory", "postgres"], indirect=True)


async def claim(count: int = 100) -> list[Claimed]:
    """Claim due tasks, within the limits of all tasks."""
    return await store().claim_due(runnable(), 60, count)


async def complete(*claimed: Claimed) -> None:
    """Record success."""
    await store().complete([Outcome(id=one.id, attempt=one.attempt, state=State.SUCCESS) for one in claimed], None)


@pytest.mark.usefixtures("world")
@without_sqs
async def test_no_more_than_the_limit_run_at_once() -> None:
    """A claim leaves tasks beyond the limit, and takes the next when one is finished."""

    @task(concurrency=2)
    async def limited() -> None: ...

    await limited.delay_many([()] * 5)

    first, second = await claim(), await claim()
    await complete(first[0])
    third = await claim()

    assert (len(first), len(second), len(third)) == (2, 0, 1)


@pytest.mark.usefixtures("world")
@without_sqs
async def test_limit_counts_for_each_key() -> None:
    """Tasks of other keys, and those without a key, are claimed."""

    @task(concurrency=1, concurrency_key=lambda tenant: tenant)
    async def limited(tenant: str | None) -> None: ...

    await limited.delay_many([("a",), ("a",), ("b",), (None,), (None,)])

    claimed = await claim()

    assert sorted(one.args for one in claimed) == ['["a"]', '["b"]', "[null]", "[null]"]


@without_sqs
async def test_rate_is_that_of_all_claims(world: World) -> None:
    """One start in half a minute."""

    @task(rate_limit="2/m")
    async def limited() -> None: ...

    jobs = await limited.delay_many([()] * 3)
    done = []
    for _ in range(3):
        await world.run()
        done.append(sum([await job.ready() for job in jobs]))
        await world.advance(30)

    assert done == [1, 2, 3]


@pytest.mark.usefixtures("world")
@without_sqs
async def test_greater_priority_is_first_among_limited_and_other_tasks() -> None:
    """A claim takes the tasks of all lanes in their order, and not those that must wait."""

    @task(concurrency=1)
    async def limited(number: int) -> None: ...

    @task
    async def plain(number: int) -> None: ...

    for priority in (0, 2):
        await limited.apply_async((priority,), priority=priority)
        await plain.apply_async((priority + 1,), priority=priority + 1)

    claimed = await claim(3)

    assert sorted(one.args for one in claimed) == ["[1]", "[2]", "[3]"]


@pytest.mark.usefixtures("world")
@without_sqs
async def test_tasks_whose_limit_was_removed_are_claimed() -> None:
    """The worker's code decides."""

    @task(concurrency=1)
    async def limited() -> None: ...

    await limited.delay_many([()] * 3)

    assert len(await store().claim_due(Runnable(list(registry)), 60, 10)) == 3


@pytest.mark.usefixtures("world")
@without_sqs
async def test_worker_waits_for_the_next_allowed_start() -> None:
    """It need not poll for it."""

    @task(rate_limit="6/m")
    async def limited() -> None: ...

    await limited.delay_many([()] * 2)
    await claim()

    due_in_s = await store().next_due_in_s(runnable(), 60)

    assert due_in_s is not None
    assert 0 < due_in_s <= 10


@pytest.mark.usefixtures("world")
@without_sqs
@pytest.mark.parametrize(
    ("options", "waits"),
    [
        ({}, False),
        ({"rate_limit": 1_000}, False),
        ({"concurrency": 3}, False),
        ({"concurrency": 2}, True),
        ({"concurrency": 1, "concurrency_key": lambda number: number}, True),
        ({"concurrency": 2, "concurrency_key": lambda number: number}, False),
    ],
)
async def test_worker_claims_when_places_of_used_up_limits_are_free(options: dict[str, Any], *, waits: bool) -> None:
    """A place is free when the outcome of its run is recorded; until then a claim would find nothing."""

    @task(**options)
    async def limited(number: int) -> None: ...

    await limited.delay_many([(1,), (2,)])
    async with Runner(Deadline(math.inf), 60) as runner:
        claimed = await runner.claim_due(10)
        before = runner.awaits_places
        runs = asyncio.create_task(runner.run(claimed))
        await asyncio.sleep(0)
        ended = runner.awaits_places
        await runs
        recorded = runner.awaits_places

    assert len(claimed) == 2
    assert (before, ended, recorded) == (False, waits, False)


@pytest.mark.usefixtures("database_url")
async def test_message_of_a_task_beyond_its_limit_returns_later(queue: SqsQueue) -> None:
    """Nothing sleeps in the worker."""

    @task(rate_limit="1/m")
    async def limited() -> None: ...

    jobs = await limited.delay_many([()] * 3)
    queue.receive()

    failures = await deliver(jobs)

    assert failures == []
    assert sum([await job.ready() for job in jobs]) == 1
    assert queue.waiting() == {"now": 0, "later": 2}


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"rate_limit": "fast"}, ValueError),
        ({"rate_limit": "0/s"}, ValueError),
        ({"rate_limit": "1/d"}, ValueError),
        ({"concurrency": 0}, ValueError),
        ({"concurrency": 1.5}, TypeError),
        ({"concurrency_key": str}, TypeError),
        ({"concurrency_key": str, "concurrency": 1, "rate_limit": 1}, TypeError),
    ],
)
def test_limits_that_make_no_sense_are_refused(options: dict[str, Any], error: type[Exception]) -> None:
    """At the definition."""
    with pytest.raises(error):
        task(**options)(asyncio.sleep)


class Fleet:
    """Workers that claim concurrently, of which some are lost with their tasks."""

    def __init__(self, seed: int, tasks: Runnable, most_running: int) -> None:
        self._random = random.Random(seed)  # noqa: S311  # no secret
        self._tasks = tasks
        self._most_running = most_running

    async def work(self) -> None:
        """Claim, check the limits, and complete or lose what was claimed, until nothing is left."""
        while await execute("SELECT id FROM decant.task WHERE date_done IS NULL LIMIT 1"):
            claimed = await PostgresStore().claim_due(self._tasks, 60, self._random.randint(1, 8))
            running = await execute(
                "SELECT limit_key, count(*) AS n FROM decant.task WHERE lease_expires_at IS NOT NULL GROUP BY limit_key"
            )
            assert all(row["n"] <= self._most_running for row in running if "\n" in row["limit_key"])
            await asyncio.sleep(self._random.choice((0, 0, 0.002)))
            lost = [one for one in claimed if self._random.random() < 0.1]
            await complete(*(one for one in claimed if one not in lost))
            if lost:
                await execute(
                    "UPDATE decant.task SET lease_expires_at = now() WHERE id = ANY(:ids)", ids=[one.id for one in lost]
                )
                await PostgresStore().expire_leases(100)


@pytest.mark.usefixtures("database_url")
@pytest.mark.parametrize("seed", range(3))
async def test_limits_hold_with_concurrent_workers_that_are_lost(seed: int) -> None:
    """No limit is exceeded at any time, and all tasks are finished."""

    @task(concurrency=2, concurrency_key=lambda key: key, max_retries=None)
    async def keyed(key: int) -> None: ...

    @task(rate_limit="200/s", max_retries=None)
    async def rated() -> None: ...

    await keyed.delay_many([(number % 3,) for number in range(60)])
    await rated.delay_many([()] * 60)
    tasks = msgspec.structs.replace(runnable(), names=[keyed.name, rated.name])
    fleet = [Fleet(100 * seed + number, tasks, 2) for number in range(4)]

    await asyncio.gather(*(member.work() for member in fleet))

    states = Counter(row["state"] for row in await execute("SELECT state FROM decant.task"))
    starts = await execute(
        "SELECT date_started FROM decant.task WHERE name = :name ORDER BY date_started", name=rated.name
    )
    times = [row["date_started"] for row in starts]
    assert states == {"SUCCESS": 120}
    assert all(sum(start <= time < start + timedelta(seconds=0.1) for time in times) <= 30 for start in times)
