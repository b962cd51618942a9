"""Synchronous code in worker threads: what it awaits, shares, and how it is cancelled and interrupted."""

import asyncio
import contextvars
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from decant._sync.greenlets import await_
from decant._sync.threads import run_in_thread
from decant.errors import SoftTimeLimitExceeded, TimeLimitExceeded

word: contextvars.ContextVar[str] = contextvars.ContextVar("word", default="unset")


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """A worker thread."""
    with ThreadPoolExecutor(1) as executor:
        yield executor


async def test_work_runs_in_the_thread_and_awaits_in_the_callers_task(threads: ThreadPoolExecutor) -> None:
    """All that the thread awaits runs in the one task that waits for it."""

    async def task_and_thread() -> tuple[object, int]:
        await asyncio.sleep(0)
        return asyncio.current_task(), threading.get_ident()

    def work() -> tuple[object, object, int]:
        return await_(task_and_thread()), await_(task_and_thread()), threading.get_ident()

    first, second, worker = await run_in_thread(threads, work)

    assert first == second == (asyncio.current_task(), threading.get_ident())
    assert worker != threading.get_ident()


async def test_context_is_the_callers_own(threads: ThreadPoolExecutor) -> None:
    """What the thread sets, the caller and its awaitables see, and a token is good on both sides."""

    async def read() -> str:
        return word.get()

    def work() -> tuple[contextvars.Token[str], str]:
        return word.set("inside"), await_(read())

    token, seen = await run_in_thread(threads, work)
    after = word.get()
    word.reset(token)

    assert (seen, after, word.get()) == ("inside", "inside", "unset")


async def test_errors_reach_both_sides(threads: ThreadPoolExecutor) -> None:
    """An awaitable's error is raised in the thread, and the thread's error at the caller."""

    async def fail() -> None:
        raise KeyError("inner")

    def work() -> None:
        with pytest.raises(KeyError, match="inner"):
            await_(fail())
        raise ValueError("outer")

    with pytest.raises(ValueError, match="outer"):
        await run_in_thread(threads, work)


async def test_awaited_code_may_await_through_synchronous_code(threads: ThreadPoolExecutor) -> None:
    """A coroutine that the thread awaits may call synchronous code that awaits again."""

    async def calls_sync() -> str:
        return await_(asyncio.sleep(0, "nested"))

    assert await run_in_thread(threads, lambda: await_(calls_sync())) == "nested"


async def test_code_in_the_thread_may_run_a_loop_of_its_own(threads: ThreadPoolExecutor) -> None:
    """asyncio.run() works in the thread, and await_() is refused inside that loop."""

    async def blocks() -> None:
        await_(asyncio.sleep(0))

    def work() -> str:
        with pytest.raises(RuntimeError, match="use `await`"):
            asyncio.run(blocks())
        return asyncio.run(asyncio.sleep(0, "own loop"))

    assert await run_in_thread(threads, work) == "own loop"


async def test_cancellation_reaches_what_the_thread_awaits(threads: ThreadPoolExecutor) -> None:
    """The thread sees CancelledError where it awaits, and cleans up before the caller goes on."""
    log: list[str] = []
    waiting = asyncio.Event()

    async def wait() -> None:
        waiting.set()
        await asyncio.Event().wait()

    def work() -> None:
        try:
            await_(wait())
        except asyncio.CancelledError:
            log.append("cancelled")
            await_(asyncio.sleep(0))
            log.append("cleaned up")
            raise

    task = asyncio.create_task(run_in_thread(threads, work))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert log == ["cancelled", "cleaned up"]


async def test_cancellation_waits_for_the_threads_python_code(threads: ThreadPoolExecutor) -> None:
    """Without `interrupt` the call ends after the thread, and the next await of the thread is cancelled."""
    log: list[str] = []
    release, started = threading.Event(), asyncio.Event()
    running_loop = asyncio.get_running_loop()

    def work() -> None:
        running_loop.call_soon_threadsafe(started.set)
        release.wait(10)
        try:
            await_(asyncio.sleep(0))
        except asyncio.CancelledError:
            log.append("cancelled")

    task = asyncio.create_task(run_in_thread(threads, work))
    await started.wait()
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert log == ["cancelled"]


async def test_call_that_waits_for_a_thread_is_cancelled_at_once(threads: ThreadPoolExecutor) -> None:
    """A call that no thread has begun never runs."""
    release = threading.Event()
    threads.submit(release.wait, 10)
    ran: list[str] = []

    task = asyncio.create_task(run_in_thread(threads, lambda: ran.append("ran")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    release.set()
    threads.shutdown(wait=True)

    assert ran == []


def spin_until(error: type[Exception], log: list[str], started: threading.Event) -> None:
    """Run Python code until the error is raised in it."""
    try:
        started.set()
        while True:
            time.sleep(0.001)
    except error:
        log.append(error.__name__)


async def test_cancellation_with_interrupt_leaves_the_thread_alone(threads: ThreadPoolExecutor) -> None:
    """The caller goes on at once, and the error is raised in the thread's Python code."""
    log: list[str] = []
    started = threading.Event()

    task = asyncio.create_task(
        run_in_thread(threads, lambda: spin_until(TimeLimitExceeded, log, started), interrupt=TimeLimitExceeded)
    )
    while not started.is_set():  # noqa: ASYNC110  # set in another thread
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    threads.shutdown(wait=True)

    assert log == ["TimeLimitExceeded"]


async def test_cancellation_with_interrupt_reaches_what_the_thread_awaits(threads: ThreadPoolExecutor) -> None:
    """The interrupting error is raised where the thread awaits, and so is it at every later await."""
    log: list[str] = []
    waiting = asyncio.Event()

    async def wait() -> None:
        waiting.set()
        await asyncio.Event().wait()

    def work() -> None:
        for awaitable in (wait(), asyncio.sleep(0)):
            try:
                await_(awaitable)
            except TimeLimitExceeded:
                log.append("interrupted")

    task = asyncio.create_task(run_in_thread(threads, work, interrupt=TimeLimitExceeded))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    while len(log) < 2:  # noqa: ASYNC110  # the thread goes on by itself
        await asyncio.sleep(0.001)

    assert log == ["interrupted", "interrupted"]


async def test_error_from_outside_is_raised_in_the_threads_python_code(threads: ThreadPoolExecutor) -> None:
    """An error thrown into the waiting coroutine interrupts the thread, whose result is then returned."""
    log: list[str] = []
    started = threading.Event()

    coroutine = run_in_thread(threads, lambda: spin_until(SoftTimeLimitExceeded, log, started))
    waits_for = coroutine.send(None)
    started.wait(10)
    coroutine.throw(SoftTimeLimitExceeded())
    waits_for.cancel()
    threads.shutdown(wait=True)
    coroutine.close()

    assert log == ["SoftTimeLimitExceeded"]


async def test_interrupt_does_not_reach_the_threads_next_call(threads: ThreadPoolExecutor) -> None:
    """An error that came too late for its call is taken back."""
    started = threading.Event()
    log: list[str] = []

    for _ in range(20):
        started.clear()
        task = asyncio.create_task(
            run_in_thread(threads, lambda: spin_until(TimeLimitExceeded, log, started), interrupt=TimeLimitExceeded)
        )
        while not started.is_set():  # noqa: ASYNC110  # set in another thread
            await asyncio.sleep(0.0005)
        task.cancel()
        await asyncio.wait([task])

    assert await run_in_thread(threads, lambda: "next") == "next"
