"""Behaviour of tasks that all environments share."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from decant.errors import TaskFailed, TaskNotFound, TaskRevoked
from decant.tasks import AsyncResult, State, Task
from decant.tasks.admin import list_tasks, pause_queue, paused_queues, queue_statistics, resume_queue
from decant.tasks.options import CallOptions
from decant.tasks.status import ShownError
from tests import work
from tests.worlds import World


async def test_task_runs_and_its_result_is_kept(world: World) -> None:
    """The handle returns the function's result."""
    job = await work.add.delay(1, b=2)
    await world.run()

    assert await job.get(timeout=60) == 3


async def test_task_is_pending_before_it_is_started(world: World) -> None:
    """A waiting task is PENDING and has no result."""
    job = await work.add.delay(1)

    assert (await job.state, await job.result, await job.ready()) == (State.PENDING, None, False)
    await world.run()


async def test_plain_function_runs_too(world: World) -> None:
    """A plain function runs in a thread and returns its result."""
    job = await work.add_in_thread.delay(1, 2)
    await world.run()

    assert await job.result == 3


@pytest.mark.usefixtures("world")
async def test_unknown_id_is_not_found() -> None:
    """An unknown id is an error, not PENDING."""
    with pytest.raises(TaskNotFound):
        await AsyncResult(uuid4()).status()


@pytest.mark.usefixtures("world")
async def test_id_that_is_no_id_is_not_found() -> None:
    """Text that is not a UUID is an unknown id."""
    with pytest.raises(TaskNotFound):
        await AsyncResult("42").status()


async def test_error_is_raised_where_the_result_is_waited_for(world: World) -> None:
    """The error has the failure's type, message and traceback."""
    job = await work.fail.delay("broken")
    await world.run()

    with pytest.raises(TaskFailed) as caught:
        await job.get(timeout=60)

    assert (caught.value.type, caught.value.message) == ("Flaky", "broken")
    assert "raise Flaky(message)" in caught.value.traceback


async def test_error_is_not_raised_without_propagation(world: World) -> None:
    """With propagate=False the result is None."""
    job = await work.fail.delay()
    await world.run()

    assert await job.get(timeout=60, propagate=False) is None


async def test_wait_for_a_result_ends_in_time(world: World) -> None:
    """The task continues after the timeout."""
    job = await work.add.delay(1)

    with pytest.raises(TimeoutError):
        await job.get(timeout=0.05)

    await world.run()
    assert await job.successful()


async def test_arguments_arrive_with_their_types(world: World) -> None:
    """A Struct and a datetime arrive with their types."""
    job = await work.typed.delay(datetime.now(UTC), where=work.Address("Elm", 4))
    await world.run()

    assert await job.result == {"street": "Elm", "number": 5}


@pytest.mark.parametrize("value", [None, "\x00", "é\U0001f600", 2**80, [], {"a": [1.5, True]}, "x" * 300_000])
async def test_any_json_travels_unchanged(world: World, value: object) -> None:
    """Arguments and results may be any JSON, with NUL and large numbers."""
    job = await work.echo.delay(value)
    await world.run()

    assert await job.get(timeout=60) == value


async def test_countdown_is_waited_for(world: World) -> None:
    """A task starts after its eta."""
    job = await work.add.apply_async((1,), countdown=3600)
    await world.run()
    before = await job.state
    await world.advance(3601)
    await world.run()

    assert (before, await job.state) == (State.PENDING, State.SUCCESS)


async def test_eta_of_days_is_waited_for(world: World) -> None:
    """An eta may be far away."""
    job = await work.add.apply_async((1,), eta=datetime.now(UTC) + timedelta(days=40))
    await world.run()
    before = await job.state
    await world.advance(40 * 86400 + 1)
    await world.run()

    assert (before, await job.state) == (State.PENDING, State.SUCCESS)


async def test_retries_are_counted_and_waited_for(world: World) -> None:
    """An error of autoretry_for retries the task after its delay."""
    job = await work.flaky.delay(1)
    await world.run()
    waiting = await job.status()
    await world.advance(11)
    await world.run()

    assert (waiting.state, waiting.retries) == (State.RETRY, 1)
    assert (await job.result, await job.retries) == (1, 1)


async def test_retries_end(world: World) -> None:
    """Three retries are four runs; then the task fails with the error."""
    job = await work.flaky.delay(99)
    for _ in range(5):
        await world.run()
        await world.advance(11)
    status = await job.status()

    assert (status.state, status.retries) == (State.FAILURE, 3)
    assert status.failure is not None
    assert (status.failure.type, status.failure.message) == ("Flaky", "run 3")


async def test_retry_that_a_task_asks_for_is_made(world: World) -> None:
    """`self.retry` waits for its countdown, and the task fails with its error."""
    job = await work.retries_itself.delay(100)
    states = []
    for _ in range(3):
        await world.run()
        states.append(await job.state)
        await world.advance(101)

    assert states == [State.RETRY, State.RETRY, State.FAILURE]
    assert (await job.status()).shown().error == ShownError("Flaky", "inside")


async def test_retry_can_be_given_its_time_and_its_bound(world: World) -> None:
    """A task with max_retries=0 requests a retry at a time."""
    job = await work.retries_at.delay(datetime.now(UTC) + timedelta(hours=1), max_retries=1)
    await world.run()
    await world.advance(3500)
    await world.run()
    before = await job.state
    await world.advance(101)
    await world.run()

    assert (before, await job.state, await job.result) == (State.RETRY, State.SUCCESS, "later")


@pytest.mark.parametrize(("error", "state"), [("index", State.RETRY), ("key", State.FAILURE)])
async def test_error_that_is_excepted_is_not_retried(world: World, error: str, state: State) -> None:
    """An error of dont_autoretry_for is not retried."""
    job = await work.looks_up.delay(error)
    await world.run()

    assert await job.state is state


async def test_backoff_is_waited_for(world: World) -> None:
    """The delay doubles up to its maximum."""
    job = await work.backs_off.delay()
    retries = []
    for wait_s in (0, 99, 2, 148, 3):
        await world.advance(wait_s)
        await world.run()
        retries.append(await job.retries)

    assert retries == [1, 1, 2, 2, 3]


async def test_time_limit_ends_a_run(world: World) -> None:
    """A run beyond its time limit is cancelled and fails."""
    job = await work.too_slow.delay()
    await world.run()
    status = await job.status()

    assert status.failure is not None
    assert (status.state, status.failure.type) == (State.FAILURE, "TimeLimitExceeded")


@pytest.mark.parametrize("task", [work.tidies_up, work.tidies_up_in_thread])
async def test_soft_time_limit_is_seen_inside(world: World, task: Task[[], Any]) -> None:
    """A run beyond its soft time limit can catch the error, on the loop and in a thread."""
    job = await task.delay()
    await world.run()

    assert await job.result == "tidy"


async def test_revoked_task_is_not_started(world: World) -> None:
    """A waiting task is revoked at once."""
    job = await work.add.delay(1)
    await job.revoke()
    await world.run()

    assert await job.state is State.REVOKED
    with pytest.raises(TaskRevoked):
        await job.get(timeout=1)


async def test_revoking_what_has_ended_changes_nothing(world: World) -> None:
    """A finished task keeps its state and result."""
    job = await work.add.delay(1, 2)
    await world.run()
    await job.revoke(terminate=True)

    assert (await job.state, await job.result) == (State.SUCCESS, 3)


async def test_expired_task_is_not_started(world: World) -> None:
    """An expired task is revoked and not started."""
    job = await work.perishable.delay()
    await world.advance(61)
    await world.run()

    assert await job.state is State.REVOKED


async def test_options_without_a_value_are_the_tasks_own(world: World) -> None:
    """Every option of a call may be None: the task's default applies."""
    nothing: Any = dict.fromkeys(CallOptions.__annotations__)
    job, perishable = await work.add.apply_async((1,), **nothing), await work.perishable.apply_async(**nothing)
    limited = await work.too_slow.apply_async(**nothing)
    await world.advance(61)
    await world.run()

    assert (await job.state, await perishable.state) == (State.SUCCESS, State.REVOKED)
    assert (await limited.state, await job.result) == (State.FAILURE, 2)


@pytest.mark.parametrize("expires", [60, datetime.now(UTC) + timedelta(hours=1)])
async def test_call_with_a_term_is_not_started_after_it(world: World, expires: float | datetime) -> None:
    """A call may expire earlier than its task: after seconds, or at a time."""
    job, other = await work.add.apply_async((1,), expires=expires), await work.add.delay(1)
    await world.advance(3601)
    await world.run()

    assert (await job.state, await other.state) == (State.REVOKED, State.SUCCESS)


async def test_unique_call_stands_for_its_equals(world: World) -> None:
    """A call with the arguments of a waiting task returns that task."""
    first = await work.alone.delay(1, 1)
    second = await work.alone.delay(b=1, a=1)
    other = await work.alone.delay(2)

    assert first == second
    assert first != other
    await world.run()


async def test_unique_call_can_be_made_again_afterwards(world: World) -> None:
    """After the task is finished, an equal call is a new task."""
    first = await work.alone.delay(1)
    await world.run()
    second = await work.alone.delay(1)

    assert first != second
    await world.run()


async def test_unique_key_is_a_function_of_the_arguments(world: World) -> None:
    """A function of the arguments returns the key."""
    first, second = await work.alone_by_key.delay("a", "7"), await work.alone_by_key.delay("b", "7")

    assert first == second
    await world.run()


async def test_idempotency_key_is_for_good(world: World) -> None:
    """A used key returns the first task, also after the sweeper deleted old tasks."""
    first = await work.add.apply_async((1,), idempotency_key="order-1")
    await world.run()
    await world.advance(30 * 86400)
    await world.run()
    second = await work.add.apply_async((2,), idempotency_key="order-1")

    assert first == second
    assert await second.result == 2


async def test_id_can_be_chosen_once(world: World) -> None:
    """A second call with the same id returns the first task."""
    task_id = uuid4()
    first = await work.add.apply_async((1,), task_id=task_id)
    second = await work.add.apply_async((2,), task_id=str(task_id))
    await world.run()

    assert first.id == second.id == str(task_id)
    assert await second.result == 2


async def test_many_calls_keep_their_order(world: World) -> None:
    """Handles have the order of the calls."""
    jobs = await work.add.delay_many([(1, 1), {"a": 2, "b": 2}, [3]])
    await world.run()

    assert [await job.result for job in jobs] == [2, 4, 4]


async def test_progress_is_told(world: World) -> None:
    """The progress of a run can be read."""
    job = await work.reports_progress.delay()
    await world.run()

    assert await job.progress == {"done": 1, "of": 2}


async def test_ignored_result_is_not_kept(world: World) -> None:
    """The task ends in SUCCESS without a result."""
    job = await work.stores_no_result.delay()
    await world.run()

    assert (await job.state, await job.result) == (State.SUCCESS, None)


@pytest.mark.parametrize("task", [work.exits, work.interrupts, work.interrupts_in_thread, work.cancels_itself])
async def test_task_cannot_end_its_worker(world: World, task: Task[[], Any]) -> None:
    """`sys.exit`, a KeyboardInterrupt and a cancellation raised by the task are failures."""
    job, neighbour = await task.delay(), await work.add.delay(1)
    await world.run()

    assert (await job.state, await neighbour.state) == (State.FAILURE, State.SUCCESS)


async def test_old_rows_are_deleted(world: World) -> None:
    """A finished task is deleted after a week."""
    job = await work.add.delay(1)
    await world.run()
    await world.advance(7 * 86400 + 1)
    await world.run()

    with pytest.raises(TaskNotFound):
        await job.status()


async def test_tasks_are_listed_newest_first_and_filtered(world: World) -> None:
    """All stores list tasks page by page."""
    failed = await work.fail.delay()
    jobs = [await work.add.delay(number) for number in range(3)]
    await world.run()

    first = await list_tasks(name="tests.work.add", count=2)
    second = await list_tasks(name="tests.work.add", count=2, before=first.before)
    failures = await list_tasks(state=State.FAILURE)

    assert [str(task.id) for task in (*first.tasks, *second.tasks)] == sorted((job.id for job in jobs), reverse=True)
    assert [(str(task.id), task.error_type, task.error) for task in failures.tasks] == [(failed.id, "Flaky", "no")]


async def test_queue_statistics_count_tasks_by_state(world: World) -> None:
    """All stores count waiting and recently finished tasks."""
    await work.add.delay(1)
    await work.fail.delay()
    await world.run()
    await work.add.apply_async((1,), countdown=3600)

    (queue,) = await queue_statistics()

    assert (queue.queue, queue.due, queue.later, queue.running) == ("default", 0, 1, 0)
    assert (queue.succeeded, queue.failed) == (1, 1)


async def test_call_replaces_options_of_the_task(world: World) -> None:
    """Time limits and `ignore_result` can be given with the call, and are stored with it."""
    slow = await work.sleeps.apply_async((30,), time_limit=0.05)
    ignored = await work.add.apply_async((1,), ignore_result=True)
    await world.run()

    failure = (await slow.status()).failure
    assert failure is not None
    assert failure.type == "TimeLimitExceeded"
    assert (await ignored.state, await ignored.result) == (State.SUCCESS, None)


@pytest.mark.usefixtures("world")
async def test_option_of_another_type_is_rejected() -> None:
    """The error names the option, at the caller."""
    with pytest.raises(TypeError, match="time_limit"):
        await work.add.apply_async((1,), time_limit="1 minute")  # type: ignore[arg-type]  # the mistake


async def test_equal_calls_of_a_transaction_are_one_task(world: World) -> None:
    """Uncommitted tasks are found by their transaction: in it, in a savepoint, and after a savepoint was released."""
    async with world.session() as session:
        async with session.begin_nested():
            released = await work.alone.apply_async((1,), session=session)
            inside = await work.alone.apply_async((1,), session=session)
        again = await work.alone.apply_async((1,), session=session)
        keyed = await work.add.apply_async((1,), idempotency_key="key", session=session)
        async with session.begin_nested():
            keyed_again = await work.add.apply_async((2,), idempotency_key="key", session=session)
    await world.run()

    assert released == inside == again
    assert keyed == keyed_again
    assert [await job.result for job in (released, keyed)] == [2, 2]


async def test_tasks_of_a_rolled_back_savepoint_do_not_exist(world: World) -> None:
    """They include the tasks of savepoints that were released in it; an equal call afterwards is a new task."""
    async with world.session() as session:
        kept = await work.add.apply_async((1,), session=session)
        with suppress(LookupError):
            async with session.begin_nested():
                outer = await work.alone.apply_async((1,), session=session)
                async with session.begin_nested():
                    inner = await work.add.apply_async((2,), session=session)
                raise LookupError
        new = await work.alone.apply_async((1,), session=session)
    await world.run()

    assert (await kept.state, await new.state) == (State.SUCCESS, State.SUCCESS)
    for job in (outer, inner):
        with pytest.raises(TaskNotFound):
            await job.state


async def test_tasks_of_a_rolled_back_transaction_do_not_exist(world: World) -> None:
    """A savepoint that was released in the transaction keeps nothing."""
    with suppress(LookupError):
        async with world.session() as session:
            async with session.begin_nested():
                job = await work.add.apply_async((1,), session=session)
            raise LookupError
    await world.run()

    with pytest.raises(TaskNotFound):
        await job.state


async def test_equal_calls_of_a_batch_are_one_task(world: World) -> None:
    """Duplicates of a key within a single insert are found."""
    jobs = await work.alone.delay_many([(1,), (1,), (2,)])
    await world.run()

    assert jobs[0] == jobs[1] != jobs[2]
    assert [await job.result for job in jobs] == [2, 2, 3]


async def test_get_with_timeout_zero_returns_a_finished_result(world: World) -> None:
    """The result is read once before the timeout."""
    job = await work.add.delay(1)
    with pytest.raises(TimeoutError):
        await job.get(timeout=0)

    await world.run()

    assert await job.get(timeout=0) == 2


async def test_tasks_of_a_paused_queue_start_after_the_pause(world: World) -> None:
    """A pause holds tasks that were enqueued before and during it."""
    before = await work.add.delay(1)
    await pause_queue("default")
    during = await work.add.delay(2)
    await world.run()
    states = (await before.state, await during.state)
    names = [queue.name for queue in await paused_queues()]

    await resume_queue("default")
    await world.run()

    assert (states, names) == ((State.PENDING, State.PENDING), ["default"])
    assert (await before.result, await during.result) == (2, 3)
    assert await paused_queues() == []


@pytest.mark.usefixtures("world")
async def test_pausing_twice_and_resuming_twice_has_no_further_effect() -> None:
    """The first pause and its time count."""
    await pause_queue("mail")
    first = await paused_queues()
    await pause_queue("mail")
    second = await paused_queues()

    await resume_queue("mail")
    await resume_queue("mail")

    assert first == second
    assert await paused_queues() == []


async def test_other_queues_run_during_a_pause(world: World) -> None:
    """A pause is that of its queue."""
    await pause_queue("mail")
    job = await work.add.delay(1)

    await world.run()
    await resume_queue("mail")

    assert await job.result == 2


async def test_task_of_a_paused_queue_can_be_revoked(world: World) -> None:
    """A revoked task is not started after the pause."""
    await pause_queue("default")
    job = await work.add.delay(1)
    await job.revoke()
    await resume_queue("default")

    await world.run()

    assert await job.state == State.REVOKED
