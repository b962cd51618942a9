"""The greenlet that steps aside: what it waits for, what it shares, and what becomes of it."""

import asyncio
import contextvars
import gc
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from greenlet import greenlet

from decant.asgi.waiting import OnLoop, _parked, await_

word: contextvars.ContextVar[str] = contextvars.ContextVar("word", default="unset")


async def run(work: Callable[[], Any]) -> Any:
    """Run synchronous code as a request is run."""
    results: list[Any] = []
    request = OnLoop.take()
    pending = request.start(lambda: results.append(work()))
    if not request.finished:
        await request.resume(pending)
    request.park()
    return results[0]


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
    """Finished work parks its greenlet, and the next takes it."""
    await run(lambda: None)
    parked = list(_parked.greenlets)

    await run(lambda: await_(asyncio.sleep(0)))

    assert _parked.greenlets == parked


async def test_parked_greenlet_holds_nothing() -> None:
    """Neither the work nor its context outlives the request."""

    class Large:
        pass

    def work(_large: Large) -> None:
        word.set("held?")
        await_(asyncio.sleep(0))

    large = Large()
    await run(partial(work, large))
    referrers = [each for each in gc.get_referrers(large) if isinstance(each, OnLoop)]

    assert referrers == []
    assert _parked.greenlets[-1].gr_context is None


async def test_hundred_greenlets_at_once_park_no_more_than_their_share() -> None:
    """A burst of requests does not leave its stacks behind."""
    event = asyncio.Event()
    running = [asyncio.create_task(run(lambda: await_(event.wait()))) for _ in range(100)]
    await asyncio.sleep(0)
    event.set()

    await asyncio.gather(*running)

    assert len(_parked.greenlets) == 64


class Pause:
    """Something to wait for that needs no loop."""

    def __await__(self) -> Any:
        """Step aside once."""
        yield "pause"


def test_dropped_request_unwinds() -> None:
    """When nobody will ever go on with a request, its finally blocks run."""
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
