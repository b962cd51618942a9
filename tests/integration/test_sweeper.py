"""The sweeper: publishing, lost workers, schedules, deletion, and concurrent sweepers."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import pairwise
from uuid import UUID

import pytest

from decant.tasks import State, task
from decant.tasks.records import Runnable
from decant.tasks.registry import registry
from decant.tasks.schedule import Missed, Schedule, every
from decant.tasks.store.postgres import PostgresStore
from decant.worker import sweeper
from decant.worker.execution import Deadline
from decant.worker.sqs_handler import handle
from decant.worker.sweeper import run_probe, sweep
from tests import work
from tests.queues import SqsQueue
from tests.worlds import PostgresWorld, execute

pytestmark = pytest.mark.usefixtures("database_url")


async def lose_worker(task_id: str, *, max_retries: int = 3) -> None:
    """Claim a task, and let its lease expire."""
    await PostgresStore().claim([UUID(task_id)], Runnable(list(registry)), 1, alone=True)
    await execute("UPDATE decant.task SET max_retries = :n WHERE id = :id", n=max_retries, id=UUID(task_id))
    await PostgresWorld().advance(2)


@contextmanager
def ticking(name: str, seconds: int | Schedule, missed: Missed = "latest") -> Iterator[None]:
    """A periodic task that is registered inside the block."""

    async def beat() -> None:
        """Nothing."""

    schedule = every(seconds, missed=missed) if isinstance(seconds, int) else seconds
    task(name=name, schedule=schedule)(beat)
    try:
        yield
    finally:
        del registry[name]


async def test_unpublished_task_is_published(queue: SqsQueue) -> None:
    """A task without a message is published."""
    job = await work.add.delay(1)
    queue.receive()
    await execute("UPDATE decant.task SET wake_at = eta")

    swept = await sweep(Deadline(30))

    assert (swept.published, [job.id in record["body"] for record in queue.receive()]) == (1, [True])


async def test_sweepers_at_once_share_the_work(queue: SqsQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every task is published by one sweeper."""
    monkeypatch.setattr(sweeper, "_BATCH", 20)
    jobs = await work.add.delay_many([(n,) for n in range(120)])
    queue.receive()
    await execute("UPDATE decant.task SET wake_at = eta")

    swept = await asyncio.gather(*(sweep(Deadline(30)) for _ in range(4)))

    assert sum(each.published for each in swept) == 120
    assert sorted(record["body"][7:-2] for record in queue.receive()) == sorted(job.id for job in jobs)


async def test_published_task_is_not_published_again(queue: SqsQueue) -> None:
    """A task whose message was just sent is not published again."""
    await work.add.delay(1)

    swept = await sweep(Deadline(30))

    assert (swept.published, queue.waiting()["now"]) == (0, 1)


async def test_unclaimed_task_is_published_with_growing_intervals(queue: SqsQueue) -> None:
    """Its message may be lost; but a task in a long queue is not published every minute."""
    await work.add.delay(1)
    queue.receive()
    gaps = []
    for _ in range(3):
        waited_s = 0
        while not (await sweep(Deadline(30))).published:
            await PostgresWorld().advance(60)
            waited_s += 60
        gaps.append(waited_s)

    assert gaps == sorted(gaps)
    assert gaps[0] >= 240
    assert gaps[2] >= 1.8 * gaps[1]


async def test_task_due_before_the_next_sweep_is_published_with_a_delay(queue: SqsQueue) -> None:
    """The message is delayed, so that the task starts on time."""
    await work.add.apply_async((1,), countdown=950)
    await PostgresWorld().advance(910)

    await sweep(Deadline(30))

    assert queue.waiting() == {"now": 0, "later": 1}


@pytest.mark.usefixtures("queue")
async def test_unreachable_queue_leaves_tasks_for_the_next_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks that could not be published are due again at once."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    await work.add.delay(1)

    await sweep(Deadline(30))

    rows = await execute("SELECT wake_at <= now() AS due, wakeups FROM decant.task")
    assert [(row["due"], row["wakeups"]) for row in rows] == [(True, 1)]


async def test_row_of_a_lost_worker_is_run_again() -> None:
    """The lease has expired, and the run counts as a retry."""
    job = await work.add.delay(1)
    await lose_worker(job.id)

    await sweep(Deadline(30))
    status = await job.status()

    assert status.failure is not None
    assert (status.state, status.retries, status.failure.type) == (State.RETRY, 1, "WorkerLost")


async def test_row_of_a_living_worker_is_left_alone() -> None:
    """A valid lease is kept."""
    job = await work.add.delay(1)
    await PostgresStore().claim([UUID(job.id)], Runnable(list(registry)), 60, alone=True)

    swept = await sweep(Deadline(30))

    assert (swept.lost, await job.state) == (0, State.STARTED)


async def test_row_past_its_attempts_fails() -> None:
    """A task whose workers are all lost ends in FAILURE."""
    job = await work.add.delay(1)
    await lose_worker(job.id, max_retries=0)

    await sweep(Deadline(30))
    status = await job.status()

    assert status.failure is not None
    assert (status.state, status.failure.type) == (State.FAILURE, "WorkerLost")


async def test_revoked_row_of_a_lost_worker_is_revoked() -> None:
    """A revoked task is not retried."""
    job = await work.add.delay(1)
    await lose_worker(job.id)
    await job.revoke()

    await sweep(Deadline(30))

    assert await job.state is State.REVOKED


async def test_tick_is_one_row_however_many_sweepers_look() -> None:
    """Five concurrent sweepers insert every tick once."""
    with ticking("beat", 20):
        await sweep(Deadline(30))
        await execute("TRUNCATE decant.task CASCADE")
        await PostgresWorld().advance(60)
        await asyncio.gather(*(sweep(Deadline(30)) for _ in range(5)))
        await execute("UPDATE decant.schedule SET ticked_at = ticked_at - interval '1 minute'")
        await asyncio.gather(*(sweep(Deadline(30)) for _ in range(5)))

    rows = await execute("SELECT eta, count(*) FROM decant.task GROUP BY eta")
    assert {row["count"] for row in rows} == {1}
    assert len(rows) >= 3


@pytest.mark.parametrize(
    ("missed", "made_up"),
    [
        ("all", range(57, 62)),  # each minute of the hour
        ("latest", range(1, 2)),
        ("skip", range(3)),  # those of the last two minutes are not missed yet
    ],
)
async def test_sweeper_that_was_down_catches_up(missed: Missed, made_up: range) -> None:
    """`missed` selects the ticks."""
    with ticking("beat", 60, missed):
        await sweep(Deadline(30))
        await execute("TRUNCATE decant.task CASCADE")
        await PostgresWorld().advance(3600)
        await sweep(Deadline(30))

    (row,) = await execute("SELECT count(*) FROM decant.task WHERE eta <= date_created")
    assert row["count"] in made_up


class Broken(Schedule):
    """A schedule of the application that raises an error."""

    def ticks(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """No ticks."""
        raise ZeroDivisionError(f"{after} {until}")


async def ticks(name: str) -> list[datetime]:
    """Times of the inserted ticks of a periodic task."""
    rows = await execute("SELECT eta FROM decant.task WHERE name = :name ORDER BY eta", name=name)
    return [row["eta"] for row in rows]


async def test_first_sweep_inserts_the_ticks_of_the_next_minute() -> None:
    """A new schedule starts at the first sweep that has it."""
    with ticking("beat", 10):
        await sweep(Deadline(30))

    assert len(await ticks("beat")) in {6, 7}


async def test_schedule_that_raises_stops_neither_other_schedules_nor_the_sweep() -> None:
    """The sweep reports the error after all other work is done."""
    job = await work.add.delay(1)
    await lose_worker(job.id)

    with ticking("broken", Broken("latest")), ticking("beat", 10), pytest.raises(ExceptionGroup) as caught:
        await sweep(Deadline(30))

    assert caught.group_contains(ZeroDivisionError)
    assert (len(await ticks("beat")) >= 6, await job.state) == (True, State.RETRY)


async def test_versions_that_sweep_in_turn_lose_no_tick() -> None:
    """A sweep without the schedule, as of another version during a deployment, leaves no gap."""
    with ticking("beat", 10):
        await sweep(Deadline(30))
    await execute("TRUNCATE decant.task CASCADE")
    await execute("UPDATE decant.schedule SET ticked_at = ticked_at - interval '90 seconds'")
    (last,) = await execute("SELECT ticked_at FROM decant.schedule")

    await sweep(Deadline(30))  # of the other version
    with ticking("beat", 10):
        await sweep(Deadline(30))

    found = await ticks("beat")
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise([last["ticked_at"], *found])]
    assert len(gaps) >= 9
    assert set(gaps) == {10}


async def test_old_rows_go_in_batches_and_keys_stay() -> None:
    """Tasks finished a week ago are deleted, unless they have an idempotency key."""
    await work.add.delay_many([(n,) for n in range(1200)])
    await work.add.apply_async((1,), idempotency_key="k")
    await execute("UPDATE decant.task SET state = 'SUCCESS', wake_at = NULL, date_done = now() - interval '8 days'")

    swept = await sweep(Deadline(30))

    assert swept.deleted == 1200
    assert [row["idempotency_key"] for row in await execute("SELECT idempotency_key FROM decant.task")] == ["k"]


async def test_sweep_stops_in_time() -> None:
    """Work beyond the deadline is left to the next sweep."""
    await execute(
        "INSERT INTO decant.task (id, name, queue, args, kwargs, state, wake_at, date_done) "
        "VALUES (gen_random_uuid(), 'x', 'default', '[]', '{}', 'SUCCESS', NULL, now() - interval '8 days')"
    )

    swept = await sweep(Deadline(1))

    assert swept.deleted == 0


async def test_probe_ends_in_success_when_a_worker_runs_it(queue: SqsQueue) -> None:
    """The smoke test of a stage sees that the message reached a worker."""
    running = asyncio.create_task(run_probe(Deadline(60)))
    while not (records := queue.receive()):
        await asyncio.wait({running}, timeout=0.05)
    await handle(records, Deadline(30))

    assert (await running)["state"] == "SUCCESS"


@pytest.mark.usefixtures("queue")
async def test_probe_without_a_worker_stays_pending() -> None:
    """The state that the task has reached when the time is up is returned."""
    assert (await run_probe(Deadline(0)))["state"] == "PENDING"
