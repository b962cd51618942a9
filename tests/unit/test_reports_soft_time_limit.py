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

CONTINUES = pytest.mark.xfail(strict=True, reason="child tasks continue after a soft time limit has ended their run")

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
        pytest.param(in_task_group, id="TaskGroup", marks=CONTINUES),
        pytest.param(in_anyio_group, id="anyio", marks=CONTINUES),
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


@CONTINUES
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
