"""Tasks for tests to run: each does one small thing that can be seen from outside."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from decant.errors import SoftTimeLimitExceeded
from decant.observability import correlation_id
from decant.tasks import Run, current_run, task


class Flaky(Exception):
    """What `flaky` raises."""


class Address(msgspec.Struct):
    """An argument with a shape."""

    street: str
    number: int


@task
async def add(a: int, b: int = 1) -> int:
    """The sum."""
    return a + b


@task
def add_in_thread(a: int, b: int = 1) -> int:
    """The sum, from a thread."""
    return a + b


@task
async def total(numbers: list[int]) -> int:
    """The sum of many."""
    return sum(numbers)


@task
async def echo(value: Any) -> Any:
    """What it is given."""
    return value


@task(max_retries=0)
async def fail(message: str = "no") -> None:
    """Never succeeds."""
    raise Flaky(message)


@task(max_retries=0)
async def fail_after(_before: Any) -> None:
    """Never succeeds, in a workflow."""
    raise Flaky("no")


@task(autoretry_for=(Flaky,), max_retries=3, default_retry_delay=10)
async def flaky(failures: int) -> int:
    """Fails so many times, then answers with the number of the run."""
    run = current_run()
    assert run is not None
    if run.request.retries < failures:
        raise Flaky(f"run {run.request.retries}")
    return run.request.retries


@task(bind=True, max_retries=2)
async def retries_itself(self: Run, countdown: float) -> int:
    """Asks for another run until it gets none."""
    raise self.retry(exc=Flaky("inside"), countdown=countdown)


@task(bind=True, max_retries=0)
async def retries_at(self: Run, time: datetime, max_retries: int) -> str:
    """Asks once for another run at a time, and for a bound of its own."""
    if self.request.retries == 0:
        raise self.retry(eta=time, max_retries=max_retries)
    return "later"


@task(autoretry_for=(LookupError,), dont_autoretry_for=(KeyError,))
async def looks_up(error: str) -> None:
    """Fails with one of two errors, one of which may go by itself."""
    raise {"key": KeyError, "index": IndexError}[error](error)


@task(autoretry_for=(Flaky,), retry_backoff=100, retry_backoff_max=150, retry_jitter=False)
async def backs_off() -> None:
    """Waits ever longer."""
    raise Flaky("again")


@task(time_limit=0.05, max_retries=0)
async def too_slow() -> None:
    """Runs past its limit."""
    await asyncio.sleep(30)


@task(soft_time_limit=0.05)
async def tidies_up() -> str:
    """Notices its soft limit, deep inside."""
    try:
        await asyncio.gather(asyncio.sleep(30), asyncio.sleep(30))
    except SoftTimeLimitExceeded:
        return "tidy"
    return "not noticed"


@task(soft_time_limit=0.05)
def tidies_up_in_thread() -> str:
    """Notices its soft limit, in a thread."""
    try:
        for _ in range(3000):
            time.sleep(0.01)
    except SoftTimeLimitExceeded:
        return "tidy"
    return "not noticed"


@task
async def sleeps(seconds: float) -> str:
    """Takes its time."""
    await asyncio.sleep(seconds)
    return "slept"


@task(unique=True)
async def alone(a: int, b: int = 1) -> int:
    """Runs once at a time for the same arguments."""
    return a + b


@task(unique=lambda _tenant, order: order)
async def alone_by_key(_tenant: str, order: str) -> str:
    """Runs once at a time for the same order."""
    return order


@task
async def reports_progress() -> None:
    """Says how far it is."""
    run = current_run()
    assert run is not None
    await run.update_progress({"done": 1, "of": 2})


@task
async def typed(when: datetime, where: Address) -> Address:
    """Gets what its annotations say."""
    assert isinstance(when, datetime)
    return Address(where.street, where.number + 1)


@task(ignore_result=True)
async def forgets() -> str:
    """Returns what nobody keeps."""
    return "forgotten"


@task(expires=60)
async def perishable() -> str:
    """Is not started after a minute."""
    return "fresh"


@task
async def exits() -> None:
    """Tries to end the process."""
    raise SystemExit(3)


@task
async def cancels_itself() -> None:
    """Lets its own cancellation out."""
    raise asyncio.CancelledError


@task
async def record(effect: str, *, session: AsyncSession) -> str:
    """Writes a row of its own in the transaction of its completion."""
    await session.execute(text("INSERT INTO effect (name) VALUES (:name)"), {"name": effect})
    return effect


@task(max_retries=0)
async def record_and_fail(effect: str, *, session: AsyncSession) -> None:
    """Writes a row of its own, then fails."""
    await session.execute(text("INSERT INTO effect (name) VALUES (:name)"), {"name": effect})
    raise Flaky("after writing")


@task
async def record_and_enqueue(effect: str, *, session: AsyncSession) -> str:
    """Writes a row of its own, and starts another task with it."""
    await session.execute(text("INSERT INTO effect (name) VALUES (:name)"), {"name": effect})
    job = await add.apply_async((1, 2), session=session)
    return job.id


_listeners: list[list[str]] = []


@contextmanager
def listening(told: list[str]) -> Iterator[None]:
    """Add to a list what `tell` is told inside the block."""
    _listeners.append(told)
    try:
        yield
    finally:
        _listeners.remove(told)


@task
async def tell(task_id: str) -> None:
    """Tells of a failure."""
    for told in _listeners:
        told.append(task_id)


_failed_already: set[str] = set()


@task(max_retries=0)
async def fails_at_first(value: int) -> int:
    """Fails in its first run, whoever starts the second."""
    run = current_run()
    assert run is not None
    if run.request.id not in _failed_already:
        _failed_already.add(run.request.id)
        raise Flaky("at first")
    return value


@task
async def record_slowly(effect: str, *, session: AsyncSession) -> str:
    """Writes a row of its own, and takes its time before the end."""
    await session.execute(text("INSERT INTO effect (name) VALUES (:name)"), {"name": effect})
    await asyncio.sleep(0.3)
    return effect


@task
async def returns_no_json() -> Any:
    """Returns what JSON cannot hold."""
    return object()


@task
async def correlation() -> str | None:
    """The id that its log lines carry."""
    return correlation_id()
