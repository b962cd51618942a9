"""Errors with Celery's names. Their hierarchy is Celery's, below `DecantError`."""

import builtins
from datetime import datetime
from typing import Any

from decant import errors
from decant.tasks import context

__all__ = [
    "AlreadyRegistered",
    "BackendError",
    "CeleryError",
    "ChordError",
    "EncodeError",
    "Ignore",
    "ImproperlyConfigured",
    "IncompleteStream",
    "InvalidTaskError",
    "MaxRetriesExceededError",
    "NotRegistered",
    "OperationalError",
    "Reject",
    "Retry",
    "SoftTimeLimitExceeded",
    "TaskError",
    "TaskPredicate",
    "TaskRevokedError",
    "TimeLimitExceeded",
    "TimeoutError",
    "Unsupported",
    "UnsupportedWarning",
    "WorkerLostError",
]

SoftTimeLimitExceeded = errors.SoftTimeLimitExceeded
TimeLimitExceeded = errors.TimeLimitExceeded
OperationalError = errors.DatabaseUnavailable


class CeleryError(errors.DecantError):
    """Base of all errors with Celery's names."""


class Unsupported(CeleryError, NotImplementedError):
    """The feature of Celery does not exist here; the message names the alternative."""


class UnsupportedWarning(UserWarning):
    """The option or setting of Celery has no effect here; the message names the alternative."""


class ImproperlyConfigured(CeleryError):
    """A setting or a signature is wrong."""


class TaskError(CeleryError):
    """Base of errors of tasks."""


class NotRegistered(KeyError, TaskError):
    """No imported module defines a task of this name."""

    def __str__(self) -> str:
        return str(self.args[0])


class AlreadyRegistered(TaskError):
    """Two functions are tasks of one name."""


class TimeoutError(TaskError, builtins.TimeoutError):  # noqa: A001  # Celery's name
    """A result was not there in time."""


class MaxRetriesExceededError(TaskError):
    """A task requested more retries than it has.

    Attributes:
        task_args: Positional arguments of the task.
        task_kwargs: Keyword arguments of the task.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.task_args = kwargs.pop("task_args", [])
        self.task_kwargs = kwargs.pop("task_kwargs", {})
        super().__init__(*args)


class TaskRevokedError(TaskError):
    """A task was revoked, or expired."""


class InvalidTaskError(TaskError):
    """A signature or a stored call is malformed."""


class ChordError(TaskError):
    """A task in the header of a chord failed."""


class EncodeError(TaskError, TypeError):
    """A value cannot be stored: it is not JSON, or too large."""


class IncompleteStream(TaskError):
    """The results that follow are not there yet."""


class BackendError(CeleryError):
    """A result could not be read."""


class WorkerLostError(CeleryError):
    """The worker was killed while it ran the task."""


class TaskPredicate(CeleryError):
    """Base of the errors with which a task's code ends its run without a result."""


class Ignore(TaskPredicate):
    """The task's state is not changed any more by this run."""


class Reject(TaskPredicate):
    """The task is not done; with `requeue` it runs again.

    Attributes:
        reason: Why.
        requeue: Run the task again.
    """

    def __init__(self, reason: Any = None, requeue: Any = False) -> None:
        super().__init__(reason, requeue)
        self.reason = reason
        self.requeue = requeue

    def __repr__(self) -> str:
        return f"reject requeue={self.requeue}: {self.reason}"


class Retry(TaskPredicate, context.Retry):
    """The task is to be run again; raised by `Task.retry`.

    Attributes:
        message: Description of the error.
        exc: Error because of which it is run again.
        when: Time of the next run, or the number of seconds until then.
        is_eager: The task runs in the caller's process.
        sig: Signature of the next run.
    """

    def __init__(
        self,
        message: str | None = None,
        exc: Exception | None = None,
        when: float | datetime | None = None,
        is_eager: bool = False,
        sig: Any = None,
        **kwargs: Any,
    ) -> None:
        countdown = when if isinstance(when, int | float) else None
        context.Retry.__init__(self, exc, countdown, kwargs.get("max_retries"))
        self.message = message if message is not None or exc is None else str(exc)
        self.when = when
        self.is_eager = is_eager
        self.sig = sig

    def humanize(self) -> str:
        """Time of the next run, in words."""
        return f"in {self.when}s" if isinstance(self.when, int | float) else f"at {self.when}"

    def __str__(self) -> str:
        if self.message:
            return self.message
        return f"Retry {self.humanize()}" + (f": {self.exc!r}" if self.exc else "")
