"""Tasks for tests, with an effect that tests can observe."""

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
from decant.tasks.admin import pause_queue


class Flaky(Exception):
    """Error of `flaky`."""


class Address(msgspec.Struct):
    """A structured argument."""

    street: str
    number: int


@task
async def add(a: int, b: int = 1) -> int:
    """Return the sum."""
    return a + b


@task
def add_in_thread(a: int, b: int = 1) -> int:
    """Return the sum, in a thread."""
    return a + b


@task
async def pause(queue: str) -> None:
    """Pause a queue."""
    await pause_queue(queue)


@task
async def total(numbers: list[int]) -> int:
    """Return the sum of a list."""
    return sum(numbers)


@task
async def echo(value: Any) -> Any:
    """Return the argument."""
    return value


@task(max_retries=0)
async def fail(message: str = "no") -> None:
    """Fail in every run."""
    raise Flaky(message)


@task(max_retries=0)
async def fail_after(_before: Any) -> None:
    """Fail in every run, after another task of a workflow."""
    raise Flaky("no")


@task(autoretry_for=(Flaky,), max_retries=3, default_retry_delay=10)
async def flaky(failures: int) -> int:
    """Fail the given number of times, then return the number of the run."""
    run = current_run()
    assert run is not None
    if run.request.retries < failures:
        raise Flaky(f"run {run.request.retries}")
    return run.request.retries


@task(bind=True, max_retries=2)
async def retries_itself(self: Run, countdown: float) -> int:
    """Request a retry in every run."""
    raise self.retry(exc=Flaky("inside"), countdown=countdown)


@task(bind=True, max_retries=0)
async def retries_at(self: Run, time: datetime, max_retries: int) -> str:
    """Request a retry at a time in the first run, with a new bound."""
    if self.request.retries == 0:
        raise self.retry(eta=time, max_retries=max_retries)
    return "later"


@task(autoretry_for=(LookupError,), dont_autoretry_for=(KeyError,))
async def looks_up(error: str) -> None:
    """Fail with an error that is retried, or with a subclass that is not."""
    raise {"key": KeyError, "index": IndexError}[error](error)


@task(autoretry_for=(Flaky,), retry_backoff=100, retry_backoff_max=150, retry_jitter=False)
async def backs_off() -> None:
    """Fail in every run, with growing delays."""
    raise Flaky("again")


@task(time_limit=0.05, max_retries=0)
async def too_slow() -> None:
    """Run longer than the time limit."""
    await asyncio.sleep(30)


@task(soft_time_limit=0.05)
async def tidies_up() -> str:
    """Catch the soft time limit in nested awaits."""
    try:
        await asyncio.gather(asyncio.sleep(30), asyncio.sleep(30))
    except SoftTimeLimitExceeded:
        return "tidy"
    return "not noticed"


@task(soft_time_limit=0.05)
def tidies_up_in_thread() -> str:
    """Catch the soft time limit in a thread."""
    try:
        for _ in range(3000):
            time.sleep(0.01)
    except SoftTimeLimitExceeded:
        return "tidy"
    return "not noticed"


@task
async def sleeps(seconds: float) -> str:
    """Sleep."""
    await asyncio.sleep(seconds)
    return "slept"


@task(unique=True)
async def alone(a: int, b: int = 1) -> int:
    """Run once at a time for the same arguments."""
    return a + b


@task(unique=lambda _tenant, order: order)
async def alone_by_key(_tenant: str, order: str) -> str:
    """Run once at a time for the same order."""
    return order


@task
async def reports_progress() -> None:
    """Report progress."""
    run = current_run()
    assert run is not None
    await run.update_progress({"done": 1, "of": 2})


@task
async def typed(when: datetime, where: Address) -> Address:
    """Check that the arguments have the annotated types."""
    assert isinstance(when, datetime)
    return Address(where.street, where.number + 1)


@task(ignore_result=True)
async def stores_no_result() -> str:
    """Return a result that is not stored."""
    return "forgotten"


@task(expires=60)
async def perishable() -> str:
    """Expire after a minute."""
    return "fresh"


@task
async def exits() -> None:
    """Try to end the process."""
    raise SystemExit(3)


@task(max_retries=0)
async def interrupts() -> None:
    """Raises what a signal would raise."""
    raise KeyboardInterrupt


@task(max_retries=0)
def interrupts_in_thread() -> None:
    """Raises what a signal would raise, in a thread."""
    raise KeyboardInterrupt


@task
async def cancels_itself() -> None:
    """Raise a cancellation."""
    raise asyncio.CancelledError


@task
async def record(effect: str, *, session: AsyncSession) -> str:
    """Insert a row in the transaction of the task's completion."""
    await session.execute(text("INSERT INTO effect (name) VALUES (:name)"), {"name": effect})
    return effect


@task(max_retries=0)
async def record_and_fail(effect: str, *, session: AsyncSession) -> None:
    """Insert a row, then fail."""
    await session.execute(text("INSERT INTO effect (name) VALUES (:name)"), {"name": effect})
    raise Flaky("after writing")


@task
async def record_and_enqueue(effect: str, *, session: AsyncSession) -> str:
    """Insert a row and enqueue another task in the same transaction."""
    await session.execute(text("INSERT INTO effect (name) VALUES (:name)"), {"name": effect})
    job = await add.apply_async((1, 2), session=session)
    return job.id


_listeners: list[list[str]] = []


@contextmanager
def listening(received: list[str]) -> Iterator[None]:
    """Append to a list the arguments of `notify` inside the block."""
    _listeners.append(received)
    try:
        yield
    finally:
        _listeners.remove(received)


@task
async def notify(task_id: str) -> None:
    """Report the id of a failed task."""
    for received in _listeners:
        received.append(task_id)


_failed_already: set[str] = set()


@task(max_retries=0)
async def fails_at_first(value: int) -> int:
    """Fail in the first run only, also after a redrive."""
    run = current_run()
    assert run is not None
    if run.request.id not in _failed_already:
        _failed_already.add(run.request.id)
        raise Flaky("at first")
    return value


@task
async def record_slowly(effect: str, *, session: AsyncSession) -> str:
    """Insert a row, then sleep."""
    await session.execute(text("INSERT INTO effect (name) VALUES (:name)"), {"name": effect})
    await asyncio.sleep(0.3)
    return effect


@task
async def returns_no_json() -> Any:
    """Return a value that is not JSON."""
    return object()


@task
async def correlation() -> str | None:
    """Return the correlation id of the run."""
    return correlation_id()
