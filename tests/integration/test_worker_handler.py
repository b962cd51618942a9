"""The handler of a queue's function: what it does with messages, and which of them must come again."""

import asyncio
import json
import logging
from uuid import UUID, uuid4

import pytest

from decant.tasks import AsyncResult, State, chain
from decant.tasks.records import Outcome, Runnable
from decant.tasks.store.postgres import PostgresStore
from decant.worker.completions import Completions
from decant.worker.execution import Deadline, Execution
from decant.worker.sqs_handler import handle
from tests import work
from tests.loading import Context
from tests.sample.bundle import load_function, sample_bundle
from tests.worlds import as_records, execute

pytestmark = pytest.mark.usefixtures("database_url")

DONE: dict[str, list[dict[str, str]]] = {"batchItemFailures": []}


async def has_started(job: AsyncResult) -> None:
    """Wait until a task runs."""
    while await job.state is not State.STARTED:  # noqa: ASYNC110  # a row has no event
        await asyncio.sleep(0.01)


async def make_unknown(*task_ids: str) -> None:
    """Let rows belong to a task that is not registered in this process."""
    ids = [UUID(task_id) for task_id in task_ids]
    await execute("UPDATE decant.task SET name = 'tomorrow.task' WHERE id = ANY(:ids)", ids=ids)


async def effects() -> list[str]:
    """What transactional tasks have written."""
    return [row["name"] for row in await execute("SELECT name FROM effect ORDER BY name")]


async def make_effect_table() -> None:
    """Where transactional tasks write; an effect cannot happen twice by accident, only be seen twice."""
    await execute("CREATE TABLE effect (name text NOT NULL)")


def test_event_goes_through_the_functions_handler() -> None:
    """The event in `events/` names no row: it is dropped, and nothing comes again."""
    event = json.loads((sample_bundle() / "events/task_worker.json").read_text())

    assert load_function("task_worker").handler(event, Context()) == DONE


async def test_batch_is_run() -> None:
    """Each message's task ends, and none comes again."""
    jobs = await work.add.delay_many([(n, n) for n in range(30)])

    report = await handle(as_records([job.id for job in jobs]), Deadline(30))

    assert report == DONE
    assert [await job.result for job in jobs] == [2 * n for n in range(30)]


async def test_message_that_came_ten_times_runs_once() -> None:
    """In one batch and in ten at once, a row has one run."""
    await make_effect_table()
    job = await work.record.delay("once")

    await asyncio.gather(*(handle(as_records([job.id] * 10), Deadline(30)) for _ in range(10)))

    assert await effects() == ["once"]
    assert [row["attempt"] for row in await execute("SELECT attempt FROM decant.task")] == [1]


@pytest.mark.parametrize(
    "body",
    [
        *("no JSON", "[]", '{"id": "42"}', '{"other": 1}', "", None, 5, {"id": 1}, "\ud800", "\x00"),
        pytest.param("[" * 100_000, id="deep"),
        pytest.param('{"other":' * 100_000, id="deep object"),
        pytest.param('{"id": "' + "x" * 2**20 + '"}', id="1 MiB"),
    ],
)
async def test_message_that_is_not_ours_is_dropped(body: object, caplog: pytest.LogCaptureFixture) -> None:
    """With a warning, and without harm to its neighbours."""
    job = await work.add.delay(1)
    records = [{"messageId": "stranger", "body": body}, *as_records([job.id])]

    report = await handle(records, Deadline(30))

    assert (report, await job.state) == (DONE, State.SUCCESS)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        "Unknown message dropped"
    ]


async def test_message_of_no_row_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    """Its row may have been deleted long ago."""
    report = await handle(as_records([uuid4()]), Deadline(30))

    assert report == DONE
    assert "does not exist" in caplog.text


async def test_unknown_task_comes_again() -> None:
    """A deployment that is under way may register it in a minute; the row contains the reason for the wait."""
    job, known = await work.add.delay(1), await work.add.delay(2)
    await make_unknown(job.id)

    report = await handle(as_records([known.id, job.id]), Deadline(30))
    status = await job.status()

    assert report == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}
    assert status.failure is not None
    assert (status.state, status.failure.type) == (State.PENDING, "UnknownTask")
    assert await known.state is State.SUCCESS


async def test_message_that_comes_too_early_is_dropped() -> None:
    """The row keeps its time."""
    job = await work.add.apply_async((1,), countdown=3600)

    report = await handle(as_records([job.id]), Deadline(30))

    assert (report, await job.state) == (DONE, State.PENDING)


async def test_message_that_comes_a_moment_early_waits() -> None:
    """Clocks differ a little; a task must not wait minutes for that."""
    job = await work.add.apply_async((1,), countdown=0.3)

    await handle(as_records([job.id]), Deadline(30))

    assert await job.state is State.SUCCESS


async def test_greater_priority_starts_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the tasks of a batch, in any order of the messages."""
    monkeypatch.setenv("TASK_CONCURRENCY", "1")
    jobs = [await work.notify.apply_async((name,), priority=n) for name, n in [("low", 1), ("high", 5), ("middle", 3)]]
    received: list[str] = []

    with work.listening(received):
        await handle(as_records([job.id for job in jobs]), Deadline(30))

    assert received == ["high", "middle", "low"]


async def test_concurrency_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten tasks of 50 ms, five at a time, take twice as long as one."""
    monkeypatch.setenv("TASK_CONCURRENCY", "5")
    jobs = await work.sleeps.delay_many([(0.05,)] * 10)
    started = asyncio.get_running_loop().time()

    await handle(as_records([job.id for job in jobs]), Deadline(30))

    assert asyncio.get_running_loop().time() - started >= 0.1


async def test_run_that_outlives_the_invocation_is_repeated() -> None:
    """It is cancelled in time to record it, and counts as a run."""
    job = await work.sleeps.delay(30)

    await handle(as_records([job.id]), Deadline(2.3))
    status = await job.status()

    assert status.failure is not None
    assert (status.state, status.retries, status.failure.type) == (State.RETRY, 1, "TimeLimitExceeded")


async def test_row_that_there_is_no_time_for_is_given_back() -> None:
    """It counts no run: it never had one."""
    job = await work.add.delay(1)

    await handle(as_records([job.id]), Deadline(1))
    status = await job.status()

    assert (status.state, status.retries) == (State.PENDING, 0)


async def test_terminated_run_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """At its next heartbeat."""
    monkeypatch.setenv("TASK_HEARTBEAT_S", "0.05")
    job = await work.sleeps.delay(30)
    running = asyncio.create_task(handle(as_records([job.id]), Deadline(60)))
    await has_started(job)

    await job.revoke(terminate=True)
    await asyncio.wait_for(running, 5)

    assert await job.state is State.REVOKED


async def test_terminated_workflow_cancels_the_part_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what waits for it is never started."""
    monkeypatch.setenv("TASK_HEARTBEAT_S", "0.05")
    job = await chain(work.sleeps.s(30), work.echo.s()).delay()
    rows = await execute("SELECT id FROM decant.task WHERE wake_at IS NOT NULL")
    running = asyncio.create_task(handle(as_records([row["id"] for row in rows]), Deadline(60)))
    await has_started(AsyncResult(rows[0]["id"]))

    await job.revoke(terminate=True)
    await asyncio.wait_for(running, 5)

    assert {row["state"] for row in await execute("SELECT state FROM decant.task")} == {"REVOKED"}


async def test_revoked_run_goes_on_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `terminate` what runs is let run."""
    monkeypatch.setenv("TASK_HEARTBEAT_S", "0.02")
    job = await work.sleeps.delay(0.3)
    running = asyncio.create_task(handle(as_records([job.id]), Deadline(60)))
    await has_started(job)

    await job.revoke()
    await running

    assert await job.result == "slept"


async def test_run_that_lost_its_row_is_cancelled(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The worker that took the row runs it; this run writes nothing."""
    monkeypatch.setenv("TASK_HEARTBEAT_S", "0.05")
    job = await work.sleeps.delay(30)
    running = asyncio.create_task(handle(as_records([job.id]), Deadline(60)))
    await has_started(job)

    await execute("UPDATE decant.task SET attempt = attempt + 1")
    await asyncio.wait_for(running, 5)

    assert await job.state is State.STARTED
    assert "Lease lost; result discarded" in caplog.text


async def test_effects_and_end_commit_together() -> None:
    """A task with a session writes once and is done."""
    await make_effect_table()
    job = await work.record.delay("a")

    await handle(as_records([job.id]), Deadline(30))

    assert (await effects(), await job.state) == (["a"], State.SUCCESS)


async def test_effects_of_a_failed_run_are_rolled_back() -> None:
    """Nothing is left of a run that raised."""
    await make_effect_table()
    job = await work.record_and_fail.delay("a")

    await handle(as_records([job.id]), Deadline(30))

    assert (await effects(), await job.state) == ([], State.FAILURE)


async def test_effects_of_a_run_that_lost_its_row_are_rolled_back() -> None:
    """The fence holds inside the transaction."""
    await make_effect_table()
    job = await work.record_slowly.delay("a")
    running = asyncio.create_task(handle(as_records([job.id]), Deadline(60)))
    await has_started(job)

    await execute("UPDATE decant.task SET attempt = attempt + 1")
    await running

    assert (await effects(), await job.state) == ([], State.STARTED)


async def test_task_that_a_transaction_enqueues_goes_with_it() -> None:
    """What a transactional task starts is there when it is done."""
    await make_effect_table()
    job = await work.record_and_enqueue.delay("a")

    await handle(as_records([job.id]), Deadline(30))
    child = await execute("SELECT state FROM decant.task WHERE id = :id", id=UUID(await job.result))

    assert [row["state"] for row in child] == ["PENDING"]


async def test_more_transactions_than_connections_all_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take turns, and leave a connection to write down the others' ends."""
    monkeypatch.setenv("DATABASE_POOL_SIZE", "2")
    await make_effect_table()
    jobs = await work.record.delay_many([(f"{n:02}",) for n in range(20)])
    others = await work.add.delay_many([(n,) for n in range(20)])

    await handle(as_records([job.id for job in [*jobs, *others]]), Deadline(30))

    assert await effects() == [f"{n:02}" for n in range(20)]
    assert {await job.state for job in others} == {State.SUCCESS}


async def test_row_that_lost_its_worker_runs_alone() -> None:
    """What kills its worker takes no neighbour with it twice."""
    suspect, neighbour = await work.echo.delay("s"), await work.sleeps.delay(0.1)
    await execute("UPDATE decant.task SET losses = 1 WHERE id = :id", id=UUID(suspect.id))

    await handle(as_records([suspect.id, neighbour.id]), Deadline(30))
    first, second = await neighbour.status(), await suspect.status()

    assert first.date_done is not None
    assert second.date_started is not None
    assert first.date_done <= second.date_started


async def test_error_that_cannot_be_stored_as_text_is_made_storable() -> None:
    """A NUL or a lone surrogate in a message loses no outcome."""
    job = await work.fail.delay("a\x00b\\ud800")

    await handle(as_records([job.id]), Deadline(30))
    status = await job.status()

    assert status.failure is not None
    assert status.failure.message.startswith("a\\x00b")


async def test_result_that_is_no_json_fails_its_task_alone() -> None:
    """The caller gets the error."""
    bad, good = await work.returns_no_json.delay(), await work.add.delay(1)

    await handle(as_records([bad.id, good.id]), Deadline(30))
    status = await bad.status()

    assert status.failure is not None
    assert (status.state, status.failure.type) == (State.FAILURE, "TypeError")
    assert await good.state is State.SUCCESS


async def test_log_lines_of_a_run_carry_its_correlation_id(caplog: pytest.LogCaptureFixture) -> None:
    """One id from the request to the worker's lines."""
    caplog.set_level(logging.INFO)
    job = await work.correlation.delay()
    await execute("UPDATE decant.task SET correlation_id = 'request-1'")

    await handle(as_records([job.id]), Deadline(30))

    assert await job.result == "request-1"


async def test_rejected_result_does_not_affect_its_batch() -> None:
    """PostgreSQL rejects an outcome: its task fails with the error, and the other outcomes are recorded."""
    jobs = [await work.add.delay(number) for number in range(3)]
    claimed = await PostgresStore().claim([UUID(job.id) for job in jobs], Runnable(["tests.work.add"]), 60, alone=False)
    deadline = Deadline(30)
    runs = [Execution(task, work.add, deadline) for task in claimed]
    completions = Completions(deadline, leased := set(runs), asyncio.Event())
    outcomes = [Outcome(id=task.id, attempt=task.attempt, state=State.SUCCESS, result="1") for task in claimed]
    outcomes[1] = Outcome(id=claimed[1].id, attempt=1, state=State.RETRY, delay_s=1e13)

    await asyncio.gather(*map(completions.add, runs, outcomes))

    assert not leased
    failed = await AsyncResult(claimed[1].id).status()
    assert failed.failure is not None
    assert "could not be stored" in failed.failure.message
    assert [await AsyncResult(claimed[n].id).state for n in (0, 1, 2)] == ["SUCCESS", "FAILURE", "SUCCESS"]
