"""Tasks that kill the process they run in."""

import os
import signal
import time

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from decant.tasks import current_run, task

__all__ = ["blocks_the_loop", "die", "dies_always", "dies_at_first", "dies_between_writes_and_end", "records"]


def die(how: str = "SIGKILL") -> None:
    """Kill this process, without clean-up."""
    os.kill(os.getpid(), signal.Signals[how])


def is_first_run() -> bool:
    """Whether this is the first claim of the task."""
    run = current_run()
    return run is not None and run.request.attempt == 1


@task
async def records(effect: str, *, session: AsyncSession) -> str:
    """Insert a row in the transaction of the task's completion."""
    await session.execute(text("INSERT INTO effect (name) VALUES (:name)"), {"name": effect})
    return effect


@task
async def dies_at_first(effect: str, how: str, *, session: AsyncSession) -> str:
    """Kill the process during the first run, before the write."""
    if is_first_run():
        die(how)
    await session.execute(text("INSERT INTO effect (name) VALUES (:name)"), {"name": effect})
    return effect


@task
async def dies_between_writes_and_end(effect: str, *, session: AsyncSession) -> str:
    """Kill the process during the first run, after the write."""
    await session.execute(text("INSERT INTO effect (name) VALUES (:name)"), {"name": effect})
    if is_first_run():
        die()
    return effect


@task(max_retries=2)
async def dies_always() -> None:
    """Kill the process in every run."""
    die()


@task
async def blocks_the_loop(*, session: AsyncSession) -> str:
    """Block the process during the first run, until it is killed."""
    if is_first_run():
        time.sleep(60)  # noqa: ASYNC251  # that is the fault
    await session.execute(text("INSERT INTO effect (name) VALUES ('blocked')"))
    return "blocked"
