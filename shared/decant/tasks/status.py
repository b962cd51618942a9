"""State and result of a task, for callers and for clients; the columns are named as in `decant.tasks.records`."""

from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from decant.tasks.records import FINISHED, Failure, State

__all__ = ["ShownError", "ShownStatus", "Status"]


class Status(Struct, frozen=True, kw_only=True):
    """State, result and history of a task.

    Attributes:
        details: Details of the last run that `decant.celery` has recorded, or the id of the task because of whose
            failure this task was closed.
    """

    id: UUID
    name: str
    queue: str
    state: State
    result: Any
    failure: Failure | None
    retries: int
    progress: Any
    details: Any
    eta: datetime
    date_created: datetime
    date_started: datetime | None
    date_done: datetime | None

    @property
    def finished(self) -> bool:
        """Whether the task is in a final state."""
        return self.state in FINISHED

    def shown(self) -> "ShownStatus":
        """The fields that clients may see: all but the traceback, the queue and the eta."""
        error = None if self.failure is None else ShownError(self.failure.type, self.failure.message)
        return ShownStatus(
            id=self.id,
            name=self.name,
            state=self.state,
            result=self.result,
            error=error,
            retries=self.retries,
            progress=self.progress,
            date_created=self.date_created,
            date_started=self.date_started,
            date_done=self.date_done,
        )


class ShownError(Struct, frozen=True):
    """Error of a failed task."""

    type: str
    message: str


class ShownStatus(Struct, frozen=True, kw_only=True):
    """State and result of a task, for clients.

    Attributes:
        result: What the task returned; null before its end.
        error: Why the task failed; null otherwise.
        retries: Number of the runs after the first.
        progress: What the task reported last.
    """

    id: UUID
    name: str
    state: State
    result: Any
    error: ShownError | None
    retries: int
    progress: Any
    date_created: datetime
    date_started: datetime | None
    date_done: datetime | None
