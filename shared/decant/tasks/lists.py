"""Records of lists and statistics of tasks, and the conditions of a redrive.

As in `decant.tasks.records`, the fields are stored in columns of the same name.
"""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from decant.tasks.records import State

__all__ = ["Page", "PausedQueue", "QueueStatistics", "Summary", "TaskFilter"]


class TaskFilter(Struct, frozen=True, kw_only=True):
    """Conditions that tasks must meet; None means any value.

    Attributes:
        error: Name of the error's class.
        since: Finished at this time or later.
        until: Finished before this time.
    """

    ids: tuple[UUID, ...] | None = None
    name: str | None = None
    error: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class Summary(Struct, frozen=True, kw_only=True):
    """A task in a list: without arguments, result and traceback, which may be large."""

    id: UUID
    name: str
    queue: str
    state: State
    retries: int
    error_type: str | None
    error: str | None
    eta: datetime
    date_created: datetime
    date_started: datetime | None
    date_done: datetime | None


class Page(Struct, frozen=True):
    """Part of a list of tasks.

    Attributes:
        tasks: Newest first; may be fewer than requested although more follow.
        before: Value of `before` for the next page; None on the last page.
    """

    tasks: list[Summary]
    before: UUID | None


class PausedQueue(Struct, frozen=True):
    """A queue whose tasks are not started."""

    name: str
    paused_at: datetime


class QueueStatistics(Struct, frozen=True, kw_only=True):
    """Counts of a queue's tasks.

    Attributes:
        due: Waiting tasks that could be running.
        later: Waiting tasks that are not due yet.
        oldest_s: Seconds since which the longest waiting task has been due.
        running: Tasks that run.
        succeeded: Tasks that succeeded within the last hour.
        failed: Tasks that failed or were revoked within the last hour.
    """

    queue: str
    due: int
    later: int
    oldest_s: float | None
    running: int
    succeeded: int
    failed: int
