"""Await from synchronous code in a greenlet: results, errors, shared context, pooling and clean-up."""

import asyncio
import contextvars
import gc
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from greenlet import greenlet

from decant._sync.greenlets import LoopGreenlet, _pool, await_, run_in_greenlet

word: contextvars.ContextVar[str] = contextvars.ContextVar("word", default="unset")


async def run(work: Callable[[], Any]) -> Any:
    """Run synchronous code as a request is run."""
    return await run_in_greenlet(work)


async def test_await_returns_the_result() -> None:
    """Of a coroutine, a future, and anything else that can be awaited."""
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_result, "future")

    class Custom:
        def __await__(self) -> Any:
            return asyncio.sleep(0, "custom").__await__()

    assert await run(lambda: [await_(asyncio.sleep(0, "coroutine")), await_(future), await_(Custom())]) == [
        "coroutine",
        "future",
        "custom",
    ]


async def test_await_raises_the_error() -> None:
    """An error of what is awaited is an error where it was awaited."""

    async def fail() -> None:
        await asyncio.sleep(0)
        raise KeyError("what")

    def work() -> str:
        with pytest.raises(KeyError, match="what"):
            await_(fail())
        return "caught"

    assert await run(work) == "caught"


async def test_context_is_the_tasks_own() -> None:
    """What one side sets, the other sees, and a token is good on both."""
    tokens: list[contextvars.Token[str]] = []

    async def change() -> None:
        await asyncio.sleep(0)
        tokens.append(word.set("inside"))

    def work() -> str:
        await_(change())
        return word.get()

    seen = await run(work)
    after = word.get()
    word.reset(tokens[0])

    assert (seen, after, word.get()) == ("inside", "inside", "unset")


async def test_error_that_is_handled_is_known_to_what_is_awaited() -> None:
    """sys.exc_info() holds across the switch, and is gone after."""

    async def handler() -> object:
        await asyncio.sleep(0)
        return sys.exc_info()[1]

    def work() -> object:
        try:
            return os.environ["DECANT_NOT_SET"]
        except KeyError:
            return await_(handler())

    seen = await run(work)

    assert (repr(seen), sys.exc_info()[1]) == ("KeyError('DECANT_NOT_SET')", None)


async def test_greenlets_are_used_again() -> None:
    """A finished greenlet returns to the pool and is reused."""
    await run(lambda: None)
    pooled = list(_pool.greenlets)

    await run(lambda: await_(asyncio.sleep(0)))

    assert _pool.greenlets == pooled


async def test_pool_greenlet_holds_nothing() -> None:
    """Neither the work nor its context outlives the request."""

    class Large:
        pass

    def work(_large: Large) -> None:
        word.set("held?")
        await_(asyncio.sleep(0))

    large = Large()
    await run(partial(work, large))
    referrers = [each for each in gc.get_referrers(large) if isinstance(each, LoopGreenlet)]

    assert referrers == []
    assert _pool.greenlets[-1].gr_context is None


async def test_pool_of_greenlets_is_bounded() -> None:
    """A burst of requests does not leave its stacks behind."""
    event = asyncio.Event()
    running = [asyncio.create_task(run(lambda: await_(event.wait()))) for _ in range(100)]
    await asyncio.sleep(0)
    event.set()

    await asyncio.gather(*running)

    assert len(_pool.greenlets) == 64


class Pause:
    """Something to wait for that needs no loop."""

    def __await__(self) -> Any:
        """Step aside once."""
        yield "pause"


def test_dropped_request_unwinds() -> None:
    """When a request is abandoned, its finally blocks run."""
    unwound: list[str] = []

    def work() -> None:
        try:
            await_(Pause())
        finally:
            unwound.append("finally")

    coroutine = run(work)
    coroutine.send(None)
    coroutine.close()

    assert unwound == ["finally"]


def test_greenlet_returns_to_whoever_resumes_it() -> None:
    """A request that was begun in one greenlet and is gone on with in another ends in the other."""
    coroutine = run(lambda: await_(Pause()))

    begun = greenlet(lambda: coroutine.send(None)).switch()
    with pytest.raises(StopIteration) as ended:
        coroutine.send(None)

    assert (begun, ended.value.value) == ("pause", None)


async def test_synchronous_code_runs_without_a_running_loop() -> None:
    """Existing code may call asyncio.run(), and awaits on the outer loop before and after."""
    outer = asyncio.get_running_loop()

    async def running_loop() -> asyncio.AbstractEventLoop:
        await asyncio.sleep(0)
        return asyncio.get_running_loop()

    def work() -> list[asyncio.AbstractEventLoop]:
        return [await_(running_loop()), asyncio.run(running_loop()), await_(running_loop())]

    before, inner, after = await run(work)

    assert before is after is outer is asyncio.get_running_loop()
    assert inner is not outer


async def test_await_inside_a_private_loop_is_refused() -> None:
    """A coroutine of a private loop must use `await`: waiting there would stop that loop."""

    async def blocks() -> None:
        await_(asyncio.sleep(0))

    def work() -> str:
        with pytest.raises(RuntimeError, match="use `await`"):
            asyncio.run(blocks())
        return "refused"

    assert await run(work) == "refused"


async def test_await_on_a_running_loop_is_refused() -> None:
    """Synchronous code called by a coroutine outside of the bridge cannot wait."""
    with pytest.raises(RuntimeError, match="use `await`"):
        await_(asyncio.sleep(0))


def test_await_works_outside_of_every_bridge() -> None:
    """Plain synchronous code awaits on the process's loop."""
    assert [await_(asyncio.sleep(0, "first")), await_(asyncio.sleep(0, "second"))] == ["first", "second"]


def test_threads_await_at_the_same_time_outside_of_every_bridge() -> None:
    """The process's loop runs in one thread at a time, and no call is lost."""
    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda number: await_(asyncio.sleep(0.001, number)), range(50)))

    assert results == list(range(50))


async def test_collected_greenlet_leaves_the_running_loop_alone() -> None:
    """A request that is dropped while a loop runs does not unset that loop."""
    coroutine = run(lambda: await_(Pause()))
    coroutine.send(None)

    del coroutine

    assert asyncio.get_running_loop().is_running()
