"""Tasks enqueued by synchronous code, and coroutines that a run never awaits."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from decant.errors import NeverAwaited
from decant.tasks import AsyncResult, State, chain, current_run, task
from decant.tasks.context import watch
from decant.testing import Broker, memory
from tests import work

pytestmark = pytest.mark.usefixtures("new_tasks")


@pytest.fixture(autouse=True)
def broker() -> Iterator[Broker]:
    """Tasks in memory."""
    with memory() as broker:
        yield broker


async def notify(message: str) -> None:
    """A coroutine function that tasks forget to await."""


def test_delay_in_synchronous_code_returns_the_handle(broker: Broker) -> None:
    """A script without an event loop enqueues as with Celery."""
    job = work.add.delay(1, 2)

    assert isinstance(job, AsyncResult)
    assert [str(task_id) for task_id in broker.store.rows] == [job.id]


def test_errors_in_synchronous_code_are_raised_at_the_call() -> None:
    """Arguments are validated before anything is inserted."""
    with pytest.raises(TypeError):
        work.add.delay("not a number")


async def test_synchronous_task_enqueues_another(broker: Broker) -> None:
    """`delay()`, `apply_async()` and a chain work in a plain function, in its thread."""

    @task
    def outer() -> list[str]:
        jobs = [work.add.delay(1), work.add.apply_async((2,), priority=1), chain(work.add.s(1), work.add.s()).delay()]
        return [job.id for job in jobs]

    job = await outer.delay()
    await broker.run()

    results = [await AsyncResult(id_).result for id_ in await job.result]
    assert results == [2, 3, 3]


async def test_handle_can_be_awaited() -> None:
    """`await task.delay()` and `task.delay()` have one type, and a handle awaited again is the handle."""
    job = await work.add.delay(1)

    assert await job is job


async def test_delay_in_a_coroutine_can_be_scheduled(broker: Broker) -> None:
    """`asyncio.create_task` takes what `delay()` returns there."""

    @task
    async def outer() -> str:
        job: AsyncResult = await asyncio.create_task(work.add.delay(1))  # type: ignore[arg-type]  # typed as the handle
        return job.id

    job = await outer.delay()
    await broker.run()

    assert await AsyncResult(await job.result).result == 2


@pytest.mark.parametrize("ignore_result", [False, True])
async def test_call_that_is_not_awaited_fails_the_run(broker: Broker, *, ignore_result: bool) -> None:
    """The error names the line, and nothing was enqueued."""

    @task(max_retries=0, ignore_result=ignore_result)
    async def outer() -> None:
        work.add.delay(1)

    line = f"{Path(__file__)}:{outer.function.__code__.co_firstlineno + 2}"
    job = await outer.delay()
    await broker.run()

    failure = (await job.status()).failure
    assert failure is not None
    assert (failure.type, len(broker.store.rows)) == ("NeverAwaited", 1)
    assert line in failure.message


KEPT: list[object] = []


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
async def test_call_that_is_kept_and_not_awaited_fails_the_run(broker: Broker) -> None:
    """It is not enqueued either while a variable refers to it."""

    @task(max_retries=0)
    async def outer() -> None:
        KEPT.append(work.add.apply_async((1,)))

    job = await outer.delay()
    await broker.run()
    KEPT.pop().close()  # type: ignore[attr-defined]  # a coroutine

    assert await job.state is State.FAILURE


@pytest.mark.parametrize("runs_in_thread", [False, True])
async def test_any_coroutine_that_is_not_awaited_fails_the_run(broker: Broker, *, runs_in_thread: bool) -> None:
    """The error names the coroutine, its definition and the line that dropped it; also in the second run."""

    async def forget() -> None:
        notify("Ada")  # type: ignore[unused-coroutine]  # the mistake

    def forget_in_thread() -> None:
        notify("Ada")  # type: ignore[unused-coroutine]  # the mistake

    outer = task(name="outer", max_retries=0)(forget_in_thread if runs_in_thread else forget)
    jobs = [await outer.delay() for _ in range(2)]
    await broker.run()

    for job in jobs:
        failure = (await job.status()).failure
        assert failure is not None
        assert failure.type == NeverAwaited.__name__
        assert f"notify, defined at {__file__}:{notify.__code__.co_firstlineno}" in failure.message
        assert f"dropped at {__file__}:" in failure.message


async def test_coroutine_dropped_outside_of_a_run_only_warns() -> None:
    """Python's own warning is not changed."""
    watch()

    with pytest.warns(RuntimeWarning, match="notify"):
        notify("Ada")  # type: ignore[unused-coroutine]  # the mistake

    assert current_run() is None


async def test_returned_coroutine_names_the_task(broker: Broker) -> None:
    """A plain function that returns a coroutine did not run it."""

    @task(max_retries=0)
    def outer() -> object:
        return notify("Ada")

    job = await outer.delay()
    await broker.run()

    failure = (await job.status()).failure
    assert failure is not None
    assert f"outer, defined at {__file__}" in failure.message
    assert "returned a coroutine" in failure.message
