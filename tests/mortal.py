"""Tasks that kill the process they run in."""

import os
import signal
import time

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from decant.tasks import current_run, task

__all__ = ["blocks_the_loop", "die", "dies_always", "dies_at_first", "dies_between_writes_and_end", "records"]


def die(how: str = "SIGKILL") -> None:
    """End this process as the kernel would, with nothing tidied up."""
    os.kill(os.getpid(), signal.Signals[how])


def is_first_run() -> bool:
    """Whether the row has been claimed only once."""
    run = current_run()
    return run is not None and run.request.attempt == 1


@task
async def records(effect: str, *, session: AsyncSession) -> str:
    """Writes one row with its own end."""
    await session.execute(text("INSERT INTO effect (name) VALUES (:name)"), {"name": effect})
    return effect


@task
async def dies_at_first(effect: str, how: str, *, session: AsyncSession) -> str:
    """Kills its process in the middle of the first run, before it writes."""
    if is_first_run():
        die(how)
    await session.execute(text("INSERT INTO effect (name) VALUES (:name)"), {"name": effect})
    return effect


@task
async def dies_between_writes_and_end(effect: str, *, session: AsyncSession) -> str:
    """Kills its process after it has written, in the first run."""
    await session.execute(text("INSERT INTO effect (name) VALUES (:name)"), {"name": effect})
    if is_first_run():
        die()
    return effect


@task(max_retries=2)
async def dies_always() -> None:
    """Kills every process that runs it."""
    die()


@task
async def blocks_the_loop(*, session: AsyncSession) -> str:
    """Lets nothing else run, in the first run, until its process is killed."""
    if is_first_run():
        time.sleep(60)  # noqa: ASYNC251  # that is the fault
    await session.execute(text("INSERT INTO effect (name) VALUES ('blocked')"))
    return "blocked"
