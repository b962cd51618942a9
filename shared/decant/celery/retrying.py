"""Requests of further runs: `Task.retry` and `autoretry_for`."""

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from decant.celery.exceptions import Ignore, Retry
from decant.tasks.backoff import backoff_s

if TYPE_CHECKING:
    from decant.celery.task import Task

__all__ = ["autoretry", "requested"]


def requested(
    task: "Task",
    args: Sequence[Any] | None,
    kwargs: Mapping[str, Any] | None,
    exc: BaseException | None,
    eta: datetime | None,
    countdown: float | None,
    max_retries: int | None,
) -> Retry:
    """The error that requests another run; see `Task.retry`.

    Raises:
        MaxRetriesExceededError: no retries are left, and there is no other error.
        Retry: the task was called directly, and there is no other error.
    """
    call = task.request
    if call.called_directly:
        _raise_with_context(exc or Retry("Task can be retried", None))
    if eta is None and countdown is None:
        countdown = task.default_retry_delay
    bound = task.max_retries if max_retries is None else max_retries
    next_args = tuple(call.args or ()) if args is None else tuple(args)
    next_kwargs = dict(call.kwargs or {}) if kwargs is None else dict(kwargs)
    if bound is not None and call.retries + 1 > bound:
        if exc is not None:
            _raise_with_context(exc)
        message = f"Can't retry {task.name}[{call.id}] args:{next_args} kwargs:{next_kwargs}"
        raise task.MaxRetriesExceededError(message, task_args=next_args, task_kwargs=next_kwargs)
    cause = exc if isinstance(exc, Exception) else None
    again = Retry(exc=cause, when=eta or countdown, is_eager=call.is_eager, sig=task.signature(next_args, next_kwargs))
    again.countdown = countdown if eta is None else _seconds_until(task, eta)
    again.max_retries = call.retries + 1 if bound is None else max(bound, call.retries + 1)
    if args is not None or kwargs is not None:
        again.arguments = task.definition.parameters.encode(next_args, next_kwargs)
    return again


def _seconds_until(task: "Task", eta: datetime) -> float:
    aware = eta if eta.tzinfo else eta.replace(tzinfo=task.app.timezone)
    return max(0.0, (aware - datetime.now(UTC)).total_seconds())


def autoretry(task: "Task", error: Exception) -> None:
    """Request a retry if the options include this error.

    Raises:
        Retry: another run is requested.
        Exception: the error, when no retries are left.
    """
    kinds, exempt = tuple(task.autoretry_for), tuple(task.dont_autoretry_for)
    if not kinds or isinstance(error, (Ignore, Retry, *exempt)) or not isinstance(error, kinds):
        return
    options = dict(task.retry_kwargs)
    if task.retry_backoff:
        factor = int(max(1.0, float(task.retry_backoff)))
        maximum = int(task.retry_backoff_max)
        options["countdown"] = backoff_s(task.request.retries, factor, maximum, jitter=bool(task.retry_jitter))
    task.retry(exc=error, **options)


def _raise_with_context(error: BaseException) -> None:
    """Raise the error; one that is being handled becomes its cause, or is raised again when it is the same."""
    handled = sys.exc_info()[1]
    if handled is None or handled is error:
        raise error
    raise error from handled
