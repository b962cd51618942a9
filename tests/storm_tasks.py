"""Tasks of the storm test: all insert a row in the transaction of their result, and some kill their worker."""

import asyncio
import os
import signal
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from decant.tasks import chord, current_run, every, task

__all__ = ["CHORD", "KILLS_ONE_IN", "KINDS", "TABLE_QUEUE", "body", "effect", "enqueue", "fails_once", "new", "tick"]

TABLE_QUEUE = "table"  # has no address: only `run_forever` runs its tasks
CHORD = 5  # members
KINDS = 10
KILLS_ONE_IN = 20
_POINTS = 3


class Flaky(Exception):
    """Error of a run that is redriven."""


async def _write(key: str, session: AsyncSession) -> None:
    await session.execute(text("INSERT INTO effect (key) VALUES (:key)"), {"key": key})


def _first(name: str) -> bool:
    """Whether this is the first call with the name, in any process."""
    try:
        (Path(os.environ["STORM_FOLDER"]) / name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


async def _write_number(number: int, session: AsyncSession) -> int:
    """Insert the row; one in twenty numbers kills the worker before, after, or once the result is recorded."""
    kills = (number // KINDS + number) % KILLS_ONE_IN == 0 and _first(f"kill-{number}")
    point = number // KILLS_ONE_IN % _POINTS if kills else None
    if point == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    await _write(str(number), session)
    if point == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if point is not None:
        asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), signal.SIGKILL)
    return number


@task(name="storm.effect")
async def effect(number: int, *, session: AsyncSession) -> int:
    """Insert a row."""
    return await _write_number(number, session)


@task(name="storm.fails_once", max_retries=0)
async def fails_once(number: int, *, session: AsyncSession) -> int:
    """Insert a row; the first run rolls back, and the task is redriven."""
    result = await _write_number(number, session)
    if _first(f"failure-{number}"):
        raise Flaky
    return result


@task(name="storm.new")
async def new(number: int, *, session: AsyncSession) -> int:
    """Insert a row; the older version of the code does not have this task."""
    return await _write_number(number, session)


@task(name="storm.body")
async def body(members: list[int], *, session: AsyncSession) -> None:
    """Insert a row for a chord."""
    await _write(f"chord {min(members)}", session)


@task(name="storm.tick", schedule=every(1, missed="all"))
async def tick(*, session: AsyncSession) -> None:
    """Insert a row for a tick."""
    run = current_run()
    assert run is not None
    await _write(f"tick {run.request.id}", session)


async def enqueue(count: int) -> int:
    """Enqueue `count` tasks of all kinds; returns the number of chords."""
    numbers = range(count)
    of_kind = [[(number,) for number in numbers if number % KINDS == kind] for kind in range(KINDS)]
    for kind in range(5):
        await effect.delay_many(of_kind[kind])
    for kind in (5, 6):
        await effect.delay_many(of_kind[kind], queue=TABLE_QUEUE)
    await fails_once.delay_many(of_kind[7])
    await new.delay_many(of_kind[8])
    chords = [of_kind[9][start : start + CHORD] for start in range(0, len(of_kind[9]), CHORD)]
    for members in chords:
        first, *others = (number for (number,) in members)
        await chord([fails_once.s(first), *(effect.s(number) for number in others)], body.s()).delay()
    return len(chords)
