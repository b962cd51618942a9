"""A worker without SQS, for one process that serves everything: takes due rows from the table itself, and sweeps it."""

import asyncio
import logging
from typing import NoReturn

from decant.config import settings
from decant.errors import DatabaseUnavailable
from decant.tasks.announce import unannounced
from decant.tasks.registry import registry
from decant.tasks.store import store
from decant.worker.deadline import Deadline, Never
from decant.worker.runner import Runner
from decant.worker.sweeper import sweep

__all__ = ["run_forever"]

log = logging.getLogger("decant.tasks")

_LONGEST_RUN_S = 900  # Lambda's
_SWEEP_EVERY_S = 60


async def run_forever(poll_s: float = 1.0) -> NoReturn:
    """Run tasks as they fall due, until cancelled; what runs then is cancelled too, and given back.

    Args:
        poll_s: Longest time between two looks at the table; a task enqueued by this process is seen at once.
    """
    sweeping = asyncio.create_task(_sweep_forever())
    running = set[asyncio.Task[None]]()
    async with Runner(Never(_LONGEST_RUN_S)) as runner:
        try:
            while True:
                unannounced.clear()
                running |= await _start_due(runner, settings().task_concurrency - len(running))
                await _wait(running, poll_s)
                running = {each for each in running if not each.done()}
        finally:
            sweeping.cancel()
            runner.stop()
            await asyncio.wait({sweeping, *running})


async def _start_due(runner: Runner, count: int) -> set[asyncio.Task[None]]:
    if count <= 0:
        return set()
    try:
        claimed = await store().claim_due(list(registry), runner.lease_s, count)
    except DatabaseUnavailable:
        log.warning("PostgreSQL is away; tasks wait")
        return set()
    return {asyncio.create_task(runner.run([each])) for each in claimed}


async def _wait(running: set[asyncio.Task[None]], poll_s: float) -> None:
    """Until something was enqueued, or a run has made room, or it is time to look again."""
    woken = asyncio.create_task(unannounced.wait())
    try:
        await asyncio.wait({woken, *running}, timeout=poll_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        woken.cancel()


async def _sweep_forever() -> NoReturn:
    while True:
        try:
            await sweep(Deadline(_SWEEP_EVERY_S))
        except DatabaseUnavailable:
            log.warning("PostgreSQL is away; the next sweep does what this one did not")
        unannounced.set()
        await asyncio.sleep(_SWEEP_EVERY_S)
