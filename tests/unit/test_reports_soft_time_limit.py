"""Child tasks stop when a soft time limit ends their run.

Reports: temporalio/sdk-python 217, python/cpython 95289.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import pytest

from decant.errors import SoftTimeLimitExceeded
from decant.tasks import State, task
from decant.testing import memory

pytestmark = pytest.mark.usefixtures("new_tasks")

type Work = Coroutine[Any, Any, None]
type Send = Callable[[int], Work]


async def in_task_group(send: Send) -> None:
    """Send twice in asyncio's task group."""
    async with asyncio.TaskGroup() as group:
        for number in (1, 2):
            group.create_task(send(number))


async def in_anyio_group(send: Send) -> None:
    """Send twice in anyio's task group."""
    async with anyio.create_task_group() as group:
        for number in (1, 2):
            group.start_soon(send, number)


async def in_gather(send: Send) -> None:
    """Send twice in `gather`."""
    await asyncio.gather(send(1), send(2))


@pytest.mark.parametrize(
    "fan_out",
    [
        pytest.param(in_task_group, id="TaskGroup"),
        pytest.param(in_anyio_group, id="anyio"),
        pytest.param(in_gather, id="gather"),
    ],
)
async def test_children_end_with_their_run(fan_out: Callable[[Send], Work]) -> None:
    """The run ends in FAILURE, and no child does its work afterwards."""
    sent: list[int] = []

    async def send(number: int) -> None:
        await asyncio.sleep(0.6)
        sent.append(number)

    @task(name="reports.fan_out", soft_time_limit=0.2, max_retries=0)
    async def fans_out() -> None:
        await fan_out(send)

    with memory() as broker:
        job = await fans_out.delay()
        await broker.run()
        state = await job.state
    await asyncio.sleep(0.7)

    assert (state, sent) == (State.FAILURE, [])


async def test_retried_run_does_not_overlap_with_children_of_the_last() -> None:
    """At most one child works at any time."""
    working: set[object] = set()
    most = 0

    async def child() -> None:
        nonlocal most
        working.add(asyncio.current_task())
        most = max(most, len(working))
        try:
            await asyncio.sleep(1)
        finally:
            working.discard(asyncio.current_task())

    @task(
        name="reports.again",
        soft_time_limit=0.2,
        max_retries=2,
        autoretry_for=(SoftTimeLimitExceeded,),
        default_retry_delay=0.01,
    )
    async def again() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(child())

    with memory() as broker:
        await again.delay()
        await broker.run_all()
    await asyncio.sleep(1)

    assert most == 1


async def test_soft_limit_is_caught_around_a_task_group() -> None:
    """The run catches `SoftTimeLimitExceeded` after its children have ended, and its result counts."""
    ended: list[str] = []

    async def child() -> None:
        try:
            await asyncio.sleep(5)
        finally:
            ended.append("child")

    @task(name="reports.tidy", soft_time_limit=0.1, max_retries=0)
    async def tidy() -> list[str]:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(child())
        except SoftTimeLimitExceeded as error:
            return [*ended, str(error)]
        return []

    with memory() as broker:
        job = await tidy.delay()
        await broker.run()
        result = await job.result

    assert result == ["child", "It ran longer than 0.1 s."]


async def test_soft_limit_inside_a_timeout_and_a_cancel_scope_is_recorded() -> None:
    """Blocks that turn their own cancellation into an error or into nothing let the soft time limit pass."""

    @task(name="reports.nested", soft_time_limit=0.1, max_retries=0)
    async def nested() -> None:
        with anyio.move_on_after(5):
            async with asyncio.timeout(5):
                await asyncio.sleep(5)

    with memory() as broker:
        job = await nested.delay()
        await broker.run()
        failure = (await job.status()).failure

    assert failure is not None
    assert (failure.type, failure.message) == ("SoftTimeLimitExceeded", "It ran longer than 0.1 s.")


async def test_shielded_work_continues_after_the_run() -> None:
    """`asyncio.shield` keeps its promise: the run ends, and the shielded work goes on."""
    done: list[str] = []

    async def work() -> None:
        await asyncio.sleep(0.3)
        done.append("work")

    @task(name="reports.shielded", soft_time_limit=0.1, max_retries=0)
    async def shielded() -> None:
        await asyncio.shield(work())

    with memory() as broker:
        job = await shielded.delay()
        await broker.run()
        during = (await job.state, list(done))
    await asyncio.sleep(0.4)

    assert (during, done) == ((State.FAILURE, []), ["work"])
