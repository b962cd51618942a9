"""Dead letters: tasks that are closed, and redriven."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, uuid4

import pytest

from decant import loop
from decant.cli import main
from decant.tasks import AsyncResult, State, chain, chord
from decant.tasks.admin import redrive
from decant.tasks.records import Runnable
from decant.tasks.registry import registry
from decant.tasks.store.postgres import PostgresStore
from decant.worker.dead_letters import close_dead_lettered
from tests import work
from tests.worlds import PostgresWorld, as_records, execute

pytestmark = pytest.mark.usefixtures("database_url")


async def test_row_of_a_dead_letter_fails_with_the_reason() -> None:
    """The failure names the number of deliveries, and the error that the worker recorded."""
    job = await work.add.delay(1)
    await PostgresStore().record_unknown([UUID(job.id)], "The worker has no task of this name.")
    (record,) = as_records([job.id])

    await close_dead_lettered([record | {"attributes": {"ApproximateReceiveCount": "5"}}])
    status = await job.status()

    assert status.failure is not None
    assert (status.state, status.failure.type) == (State.FAILURE, "DeadLettered")
    assert "received 5 times" in status.failure.message
    assert "has no task of this name" in status.failure.message


async def test_dead_letter_of_a_row_that_runs_is_dropped() -> None:
    """A running task is not closed."""
    job = await work.add.delay(1)
    await PostgresStore().claim([UUID(job.id)], Runnable(list(registry)), 60, alone=True)

    await close_dead_lettered(as_records([job.id]))

    assert await job.state is State.STARTED


async def test_dead_letter_of_an_outage_is_dropped() -> None:
    """A task that no worker has claimed is not at fault: the sweeper publishes it again."""
    job = await work.add.delay(1)

    await close_dead_lettered(as_records([job.id]))
    await PostgresWorld().run()

    assert await job.state is State.SUCCESS


async def test_dead_letter_of_a_row_that_is_not_due_is_dropped() -> None:
    """A task that is not due is not closed."""
    job = await work.add.apply_async((1,), countdown=60)

    await close_dead_lettered(as_records([job.id]))

    assert await job.state is State.PENDING


async def test_dead_letters_that_lead_nowhere_are_dropped() -> None:
    """Unknown messages and those of deleted tasks are dropped."""
    job = await work.add.delay(1)
    await PostgresStore().record_unknown([UUID(job.id)], "The worker has no task of this name.")

    await close_dead_lettered([{"messageId": "stranger", "body": "no JSON"}, *as_records([uuid4(), job.id])])

    assert await job.state is State.FAILURE


async def test_dead_letter_in_a_workflow_closes_what_waits_for_it() -> None:
    """The dependents of the task fail with it."""
    job = await chain(work.add.s(1, 2), work.add.s(1)).delay()
    (first,) = [task_id for task_id in await _ids() if task_id != job.id]
    await PostgresStore().record_unknown([UUID(first)], "The worker has no task of this name.")

    await close_dead_lettered(as_records([first]))

    assert await job.failed()


async def test_failed_tasks_come_back_by_name_and_error() -> None:
    """Other failed tasks are not changed."""
    job, other = await work.fail.delay(), await work.too_slow.delay()
    await PostgresWorld().run()

    back = await redrive(name="tests.work.fail", error="Flaky")

    assert (back, await job.state, await other.state) == ([job], State.PENDING, State.FAILURE)


async def test_failed_task_comes_back_by_id_with_all_its_retries() -> None:
    """The task is reset, but its attempt is kept."""
    job = await work.flaky.delay(99)
    for _ in range(4):
        await PostgresWorld().run()
        await PostgresWorld().advance(11)

    await redrive([job.id])
    status = await job.status()
    (claimed,) = await PostgresStore().claim([UUID(job.id)], Runnable(list(registry)), 60, alone=True)

    assert (status.state, status.retries, status.failure) == (State.PENDING, 0, None)
    assert claimed.attempt == 5


async def test_failed_tasks_come_back_by_time() -> None:
    """Tasks are selected by the time of their failure."""
    old, new = await work.fail.delay(), await work.fail.delay()
    await PostgresWorld().run()
    await execute("UPDATE decant.task SET date_done = now() - interval '2 hours' WHERE id = :id", id=UUID(old.id))
    hour_ago = datetime.now(UTC) - timedelta(hours=1)

    assert await redrive(name="tests.work.fail", until=hour_ago) == [old]
    assert await redrive(name="tests.work.fail", since=hour_ago) == [new]


async def test_redrive_accepts_the_first_and_the_last_times_of_any_zone() -> None:
    """Conversion to UTC takes such times out of the range of Python's datetime."""
    job = await work.fail.delay()
    await PostgresWorld().run()
    first = datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))
    last = datetime.max.replace(tzinfo=timezone(-timedelta(hours=14)))

    assert await redrive(until=first) == await redrive(since=last) == []
    assert await redrive(since=first, until=last) == [job]


def test_command_prints_what_comes_back(capsys: pytest.CaptureFixture[str]) -> None:
    """The command prints the ids of the redriven tasks."""
    job = work.fail.delay()
    loop.run(PostgresWorld().run())
    capsys.readouterr()  # what the worker logged

    status = main(["redrive", "--error", "Flaky"])

    assert (status, capsys.readouterr().out) == (0, f"{job.id}\n")
    assert loop.run(job.status()).state is State.PENDING


async def test_task_that_succeeded_does_not_come_back() -> None:
    """A task that succeeded is not redriven."""
    job = await work.add.delay(1)
    await PostgresWorld().run()

    assert await redrive([job.id]) == []


async def test_equal_unique_calls_do_not_come_back_together() -> None:
    """Of two failed tasks with the same unique key one is redriven, and none while a third waits."""
    for _ in range(2):
        await (await work.alone.delay(1)).revoke()

    first = await redrive(name="tests.work.alone")
    second = await redrive(name="tests.work.alone")

    assert (len(first), second) == (1, [])


async def test_chord_with_deleted_members_is_not_redriven() -> None:
    """The body would run without their results; it fails with the reason, and the other members stay as they are."""
    job = await chord([work.add.s(1, 1), work.fail.s(), work.too_slow.si()], work.total.s()).delay()
    await PostgresWorld().run()
    await execute("DELETE FROM decant.task WHERE name IN ('tests.work.fail', 'tests.work.add')")
    assert isinstance(job, AsyncResult)

    redriven = [*await redrive([job.id]), *await redrive(name="tests.work.too_slow")]
    failure = (await job.status()).failure

    assert redriven == []
    assert failure is not None
    assert failure.message == "It cannot be redriven: 2 of the 3 tasks that it waits for have been deleted."


async def test_chord_body_that_has_its_results_is_redriven_without_its_members() -> None:
    """The results were inserted as its argument before its first run."""
    job = await chord([work.add.s(1, 1)], work.fail_after.s()).delay()
    await PostgresWorld().run()
    await execute("DELETE FROM decant.task WHERE name = 'tests.work.add'")
    assert isinstance(job, AsyncResult)

    redriven = await redrive([job.id])
    await PostgresWorld().run()
    failure = (await job.status()).failure

    assert redriven == [job]
    assert failure is not None
    assert failure.type == "Flaky"


async def test_redrive_of_everything_is_refused() -> None:
    """At least one condition is required."""
    with pytest.raises(ValueError, match="at least one condition"):
        await redrive()


async def _ids() -> list[str]:
    return [str(row["id"]) for row in await execute("SELECT id FROM decant.task")]
