"""What a running task knows of its own run, and how it asks for another.

A task made with `bind=True` gets its `Run` as the first argument; any other finds it with `current_run()`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, NoReturn
from uuid import UUID

import msgspec

from decant.tasks.records import Claimed
from decant.tasks.store import store

__all__ = ["Request", "Retry", "Run", "current_run", "running"]


class Retry(Exception):
    """Raised by `Run.retry`: ends this run, and asks for another.

    Attributes:
        exc: Error to fail with when there are no retries left.
        countdown: Seconds until the next run; None for the task's own delay.
        max_retries: Bound from now on; None for the one there is.
    """

    def __init__(self, exc: Exception | None, countdown: float | None, max_retries: int | None) -> None:
        super().__init__(f"Retry in {'the usual delay' if countdown is None else f'{countdown} s'}: {exc!r}")
        self.exc = exc
        self.countdown = countdown
        self.max_retries = max_retries


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One run, in Celery's words.

    Attributes:
        id: The task's id; empty when the function was called directly.
        retries: How many runs there were before this one.
        attempt: How often the row was claimed, this time included.
    """

    id: str = ""
    queue: str = ""
    retries: int = 0
    attempt: int = 0
    priority: int = 0
    eta: datetime | None = None
    expires: datetime | None = None
    group_key: str | None = None
    correlation_id: str | None = None


class Run:
    """One run of a task: Celery's `self`."""

    def __init__(self, name: str, max_retries: int | None, request: Request) -> None:
        self.name = name
        self.max_retries = max_retries
        self.request = request

    def retry(
        self,
        exc: Exception | None = None,
        *,
        countdown: float | None = None,
        eta: datetime | None = None,
        max_retries: int | None = None,
    ) -> NoReturn:
        """End this run and ask for another.

        Args:
            exc: Error to fail with when there are no retries left; that which is being handled when not given.
            countdown: Seconds until the next run; the task's backoff or `default_retry_delay` when not given.
            eta: Time of the next run, aware; goes before `countdown`.
            max_retries: Bound from now on.
        Raises:
            Retry: always; `raise self.retry(…)` tells a reader, and a type checker, that nothing follows.
        """
        if eta is not None:
            countdown = max(0.0, (eta - datetime.now(UTC)).total_seconds())
        raise Retry(exc, countdown, max_retries)

    async def update_progress(self, value: Any) -> None:
        """Note how far this run is, any JSON, for `AsyncResult.progress`; one UPDATE each time.

        Raises:
            TypeError: it is no JSON.
            DatabaseUnavailable: PostgreSQL is away; retrying helps once it is back.
        """
        encoded = msgspec.json.encode(value).decode()
        if self.request.id:
            await store().progress(UUID(self.request.id), self.request.attempt, encoded)


_current: ContextVar[Run | None] = ContextVar("decant_run", default=None)


def current_run() -> Run | None:
    """The run that this code is part of; None outside of any."""
    return _current.get()


@contextmanager
def running(claimed: Claimed) -> Iterator[Run]:
    """The run of a claimed row, current inside the block."""
    shared = {name: getattr(claimed, name) for name in Request.__struct_fields__ if name != "id"}
    run = Run(claimed.name, claimed.max_retries, Request(id=str(claimed.id), **shared))
    token = _current.set(run)
    try:
        yield run
    finally:
        _current.reset(token)
