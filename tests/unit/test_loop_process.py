"""The process's one loop: whose it is, and what is closed with it."""

import asyncio
import logging
from typing import Any

import pytest

from decant import loop


def test_loop_is_always_the_same() -> None:
    """In spite of other code that sets the thread's current loop."""
    first = loop.current()
    asyncio.run(asyncio.sleep(0))
    asyncio.set_event_loop(None)

    assert loop.current() is first
    assert asyncio.get_event_loop_policy().get_event_loop() is first


async def test_loop_that_runs_is_the_loop() -> None:
    """Under a server, and in an async test, there is one already."""
    assert loop.current() is asyncio.get_running_loop()


def test_loop_under_another_one_is_that_one() -> None:
    """A server's own loop wins over the process's."""

    async def which() -> asyncio.AbstractEventLoop:
        await asyncio.sleep(0)
        return loop.current()

    with asyncio.Runner() as runner:
        assert runner.run(which()) is runner.get_loop()


def test_run_returns_and_raises() -> None:
    """The coroutine's result, or its error."""

    async def divide(by: int) -> float:
        await asyncio.sleep(0)
        return 1 / by

    assert loop.run(divide(2)) == 0.5
    with pytest.raises(ZeroDivisionError):
        loop.run(divide(0))


def test_run_begins_at_once_in_a_task_of_its_own() -> None:
    """What never waits takes no turn of the loop, and has the loop and a task all the same."""
    turns: list[str] = []
    loop.current().call_soon(turns.append, "turn")

    async def ready() -> asyncio.Task[Any] | None:
        assert asyncio.get_running_loop() is loop.current()
        return asyncio.current_task()

    task = loop.run(ready())

    assert isinstance(task, asyncio.Task)
    assert turns == []
    loop.run(asyncio.sleep(0))
    assert turns == ["turn"]


def test_run_says_when_the_loop_was_stopped() -> None:
    """Stopping the loop stops what it runs; the loop itself goes on."""

    async def stop() -> None:
        asyncio.get_running_loop().stop()
        await asyncio.sleep(0)

    stopping = stop()

    with pytest.raises(RuntimeError, match="stopped"):
        loop.run(stopping)
    assert loop.run(asyncio.sleep(0, "again")) == "again"


async def test_close_calls_the_newest_first_and_each_once() -> None:
    """What was built later may need what was built before."""
    closed: list[int] = []

    async def close(number: int) -> None:
        await asyncio.sleep(0)
        closed.append(number)

    loop.on_close(lambda: close(1))
    loop.on_close(lambda: close(2))

    await loop.close()
    await loop.close()

    assert closed == [2, 1]


async def test_close_goes_on_after_an_error() -> None:
    """All are closed, and all errors are raised."""
    closed: list[str] = []

    async def good() -> None:
        closed.append("good")

    async def bad() -> None:
        raise OSError("stuck")

    for closer in (good, bad, good, bad):
        loop.on_close(closer)

    with pytest.raises(ExceptionGroup) as caught:
        await loop.close()

    assert (closed, len(caught.value.exceptions)) == (["good", "good"], 2)


async def test_leftover_tasks_exclude_earlier_tasks(caplog: pytest.LogCaptureFixture) -> None:
    """Of two tasks, the one that was there before the first invocation stays."""
    resident = asyncio.create_task(asyncio.sleep(60))
    leftover = loop.LeftoverTasks(within_s=0.001)
    leftover.begin()
    left_behind = asyncio.create_task(asyncio.sleep(60))

    with caplog.at_level(logging.WARNING):
        await leftover.finish()

    assert (resident.done(), left_behind.cancelled()) == (False, True)
    assert len(caplog.records) == 1
    resident.cancel()


@pytest.mark.parametrize("factory", [None, asyncio.eager_task_factory], ids=["no factory", "eager tasks"])
def test_leftover_tasks_are_found_with_any_task_factory(factory: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Also on a loop whose tasks are not counted."""

    async def invoke() -> asyncio.Task[None]:
        leftover = loop.LeftoverTasks(within_s=0.001)
        leftover.begin()
        task = asyncio.create_task(asyncio.sleep(60))
        await leftover.finish()
        return task

    with asyncio.Runner() as runner:
        runner.get_loop().set_task_factory(factory)
        task = runner.run(invoke())

    assert task.cancelled()
    assert len(caplog.records) == 1


async def test_leftover_tasks_that_do_not_end_are_not_waited_for() -> None:
    """One that ignores its cancellation is waited for just as long again."""
    go_on = asyncio.Event()

    async def stubborn() -> None:
        while not go_on.is_set():
            try:
                await go_on.wait()
            except asyncio.CancelledError:
                continue

    leftover = loop.LeftoverTasks(within_s=0.005)
    leftover.begin()
    task = asyncio.create_task(stubborn())
    async with asyncio.timeout(5):
        await leftover.finish()

    assert not task.done()
    go_on.set()
    await task


@pytest.mark.parametrize("name", ["_run_forever_setup", "_run_once", "_run_forever_cleanup"])
def test_loop_uses_names_that_asyncio_has(name: str) -> None:
    """The parts of asyncio's `run_forever` that the loop calls exist in this version of Python."""
    assert callable(getattr(asyncio.SelectorEventLoop, name, None))


def test_loop_runs_callbacks_in_asyncios_order() -> None:
    """A coroutine, its callbacks and its timers run as on asyncio's own loop."""

    async def work(order: list[str]) -> list[str]:
        loop_ = asyncio.get_running_loop()
        loop_.call_soon(order.append, "soon")
        loop_.call_later(0.01, order.append, "later")
        await asyncio.sleep(0)
        order.append("turn")
        await asyncio.sleep(0.03)
        return order

    with asyncio.Runner() as runner:
        expected = runner.run(work([]))

    assert loop.run(work([])) == expected
