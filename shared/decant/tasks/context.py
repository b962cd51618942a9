"""The current run of a task: how it requests a retry, and which coroutines it has not awaited.

A task with `bind=True` receives its `Run` as the first argument; other tasks call `current_run()`.

A coroutine that a run never awaits, such as a call of `delay()`, did not do its work. Python only warns of such a
coroutine, by default once for every line of a process. The worker therefore reports an error instead of success.
"""

import gc
import inspect
import sys
import threading
import warnings
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import cache, cached_property
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType
from typing import TYPE_CHECKING, Any, NoReturn, Protocol
from uuid import UUID
from weakref import ref

import msgspec

from decant.errors import NeverAwaited
from decant.tasks import checks
from decant.tasks.parameters import encode
from decant.tasks.records import CancelReason, Claimed, Outcome
from decant.tasks.store import store

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

__all__ = [
    "Control",
    "Ended",
    "Request",
    "Retry",
    "Run",
    "check_finished",
    "current_run",
    "running",
    "tracked",
    "watch",
]

_UNSTARTED = (CoroutineType, GeneratorType, AsyncGeneratorType)


class Retry(Exception):
    """Raised by `Run.retry`: ends this run and requests another.

    Attributes:
        exc: Error to fail with when no retries are left.
        countdown: Seconds until the next run; None for the task's own delay.
        max_retries: New bound; None keeps the present bound.
        arguments: New arguments of the next run, a JSON array and a JSON object; None keeps the present arguments.
    """

    arguments: tuple[str, str] | None = None

    def __init__(self, exc: Exception | None, countdown: float | None, max_retries: int | None) -> None:
        super().__init__(f"Retry in {'the default delay' if countdown is None else f'{countdown} s'}: {exc!r}")
        self.exc = exc
        self.countdown = countdown
        self.max_retries = max_retries


class Ended(Exception):
    """Raised by an extension: ends this run without a result of the function.

    Attributes:
        outcome: Outcome to record; None when the extension has changed the task's row itself.
    """

    def __init__(self, outcome: Outcome | None) -> None:
        super().__init__("The run has ended without a result.")
        self.outcome = outcome


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


class Control(Protocol):
    """The worker's control of a run; `decant.worker.execution.Execution`."""

    def time_left_s(self) -> float:
        """Seconds until the run is cancelled."""

    def end(self, outcome: Outcome | None) -> None:
        """Cancel the run, and record this outcome in place of its own; with None, its lease was lost."""


class Run:
    """A run of a task: Celery's `self`.

    Args:
        name: Name of the task.
        max_retries: Its bound of retries.
        claimed: The claimed task; None when the function was called directly.
        control: The worker's control of the run.
    Attributes:
        claimed: The same.
        control: Weak reference to the control.
        unawaited: Coroutines that the run has not awaited, with their lines.
        details: Details to record with the outcome, a JSON object.
        cancelled: Why the worker has cancelled the run; None when it has not.
        progress: Steps of the run; see `decant.workflows`.
    """

    def __init__(
        self, name: str, max_retries: int | None, claimed: Claimed | None = None, control: Control | None = None
    ) -> None:
        self.name = name
        self.max_retries = max_retries
        self.unawaited: dict[object, str] = {}
        self.details: str | None = None
        self.cancelled: CancelReason | None = None
        self.claimed = claimed
        # weak, since the control holds the run: runs that hold each other would be left to the garbage collector
        self.control = None if control is None else ref(control)
        self.progress: Any = None

    @cached_property
    def request(self) -> Request:
        """The call that is run."""
        if self.claimed is None:
            return Request()
        fields = {name: getattr(self.claimed, name) for name in Request.__struct_fields__}
        return Request(**fields | {"id": str(self.claimed.id)})

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

    async def update_progress(self, value: Any, *, session: "AsyncSession | None" = None) -> None:
        """Store any JSON value for `AsyncResult.progress`, with an UPDATE per call.

        Args:
            value: The progress.
            session: Session in whose transaction it is stored, so that progress and effects are committed together.
        Raises:
            Ended: with a session, when the lease was lost; the transaction is rolled back, and the run is discarded.
            TypeError: the value is not JSON.
            ValueError: the value contains NaN or infinity.
            DatabaseUnavailable: retrying helps once PostgreSQL is back.
        """
        encoded = encode(value).decode()
        if self.request.id:
            stored = await store().set_progress(UUID(self.request.id), self.request.attempt, encoded, session)
            if session is not None and not stored:
                raise Ended(None)


running: ContextVar[Run | None] = ContextVar("decant_run", default=None)
"""The current run; set by the worker, for the asyncio task of the run."""


def current_run() -> Run | None:
    """The run that this code is part of; None outside of a task."""
    return running.get()


def tracked[R](work: Coroutine[Any, Any, R], run: Run, line: str) -> Coroutine[Any, Any, R]:
    """The same work, which the run reports as unawaited until it is awaited.

    Args:
        work: A coroutine.
        run: The run that must await it.
        line: File and line of the call.
    """
    key = object()
    run.unawaited[key] = f"A call that enqueues a task was never awaited: {line}"
    return _tracked(work, run, key)


async def _tracked[R](work: Coroutine[Any, Any, R], run: Run, key: object) -> R:
    del run.unawaited[key]
    return await work


@cache
def watch() -> None:
    """Report all other coroutines to the current run when they are dropped without having been awaited.

    Python calls a function of the module `warnings` for every such coroutine. There is no public hook that works with
    all filters for warnings.

    Source: CPython, `_PyErr_WarnUnawaitedCoroutine`.
    """
    warn = warnings._warn_unawaited_coroutine  # type: ignore[attr-defined]  # noqa: SLF001  # see the docstring

    def report(coroutine: CoroutineType[Any, Any, Any]) -> None:
        run = current_run()
        if run is None or _collector.is_running:  # the collector may drop what another run left
            warn(coroutine)
        elif coroutine.cr_code is not _tracked.__code__:
            run.unawaited[object()] = _describe(coroutine, sys._getframe(1))  # noqa: SLF001  # where it was dropped
        elif coroutine.cr_frame is not None:
            coroutine.cr_frame.f_locals["work"].close()

    warnings._warn_unawaited_coroutine = report  # type: ignore[attr-defined]  # noqa: SLF001  # see the docstring
    gc.callbacks.append(_collector.note)


def check_finished(run: Run, function: Callable[..., Any], result: object) -> None:
    """Check that a task's function has done its work.

    Raises:
        NeverAwaited: the run left coroutines that were never awaited.
        TypeError: the result is a coroutine or a generator, whose code did not run.
    """
    if run.unawaited:
        raise NeverAwaited("; ".join(run.unawaited.values()))
    if isinstance(result, _UNSTARTED):
        if not isinstance(result, AsyncGeneratorType):
            result.close()
        code = getattr(inspect.unwrap(function), "__code__", None)
        place = repr(function) if code is None else f"{code.co_filename}:{code.co_firstlineno}"
        raise TypeError(f"{run.name}, defined at {place}, returned a {type(result).__name__}, which did not run")


def _describe(coroutine: CoroutineType[Any, Any, Any], dropped_in: FrameType) -> str:
    code = coroutine.cr_code
    text = f"{coroutine.__qualname__}, defined at {code.co_filename}:{code.co_firstlineno}, was never awaited"
    if dropped_in.f_globals.get("__name__", "").split(".")[0] in {"decant", "asyncio", "concurrent"}:
        return text  # it was a local variable of the task's function, which has returned
    return f"{text}; dropped at {dropped_in.f_code.co_filename}:{dropped_in.f_lineno}"


class _Collector(threading.local):
    is_running = False

    def note(self, phase: str, _info: dict[str, int]) -> None:
        self.is_running = phase == "start"


_collector = _Collector()
