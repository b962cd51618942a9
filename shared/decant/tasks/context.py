"""The current run of a task, and how it requests a retry.

A task with `bind=True` receives its `Run` as the first argument; other tasks call `current_run()`.
"""

from contextvars import ContextVar
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, NoReturn
from uuid import UUID

import msgspec

from decant.tasks import checks
from decant.tasks.parameters import encode
from decant.tasks.records import Claimed
from decant.tasks.store import store

__all__ = ["Request", "Retry", "Run", "current_run", "running"]


class Retry(Exception):
    """Raised by `Run.retry`: ends this run and requests another.

    Attributes:
        exc: Error to fail with when no retries are left.
        countdown: Seconds until the next run; None for the task's own delay.
        max_retries: New bound; None keeps the present bound.
    """

    def __init__(self, exc: Exception | None, countdown: float | None, max_retries: int | None) -> None:
        super().__init__(f"Retry in {'the default delay' if countdown is None else f'{countdown} s'}: {exc!r}")
        self.exc = exc
        self.countdown = countdown
        self.max_retries = max_retries


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The call that is run, with Celery's names.

    Attributes:
        id: The task's id; empty when the function was called directly.
        retries: Number of runs before this run.
        attempt: Number of claims so far, including this claim.
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
    """A run of a task: Celery's `self`.

    Args:
        name: Name of the task.
        max_retries: Its bound of retries.
        claimed: The claimed task; None when the function was called directly.
    Attributes:
        unawaited: Coroutines that the run has not awaited, with their lines; see `decant.tasks.unawaited`.
    """

    def __init__(self, name: str, max_retries: int | None, claimed: Claimed | None = None) -> None:
        self.name = name
        self.max_retries = max_retries
        self.unawaited: dict[object, str] = {}
        self._claimed = claimed

    @cached_property
    def request(self) -> Request:
        """The call that is run."""
        if self._claimed is None:
            return Request()
        fields = {name: getattr(self._claimed, name) for name in Request.__struct_fields__}
        return Request(**fields | {"id": str(self._claimed.id)})

    def retry(
        self,
        exc: Exception | None = None,
        *,
        countdown: float | None = None,
        eta: datetime | None = None,
        max_retries: int | None = None,
    ) -> NoReturn:
        """End this run and request another.

        Args:
            exc: Error to fail with when no retries are left; by default the error that is being handled.
            countdown: Seconds until the next run; by default the task's backoff or `default_retry_delay`.
            eta: Aware time of the next run; takes precedence over `countdown`.
            max_retries: New bound.
        Raises:
            TypeError: an option has another type.
            ValueError: an option is out of range.
            Retry: otherwise; `raise self.retry(…)` shows readers and type checkers that nothing follows.
        """
        if eta is not None:
            countdown = max(0.0, (checks.aware("eta", eta) - datetime.now(UTC)).total_seconds())
        if countdown is not None:
            checks.seconds("countdown", countdown)
        if max_retries is not None:
            checks.count("max_retries", max_retries)
        raise Retry(exc, countdown, max_retries)

    async def update_progress(self, value: Any) -> None:
        """Store any JSON value for `AsyncResult.progress`, with an UPDATE per call.

        Raises:
            TypeError: the value is not JSON.
            ValueError: the value contains NaN or infinity.
            DatabaseUnavailable: retrying helps once PostgreSQL is back.
        """
        encoded = encode(value).decode()
        if self.request.id:
            await store().set_progress(UUID(self.request.id), self.request.attempt, encoded)


running: ContextVar[Run | None] = ContextVar("decant_run", default=None)
"""The current run; set by the worker, for the asyncio task of the run."""


def current_run() -> Run | None:
    """The run that this code is part of; None outside of a task."""
    return running.get()
