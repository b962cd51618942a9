"""What people look at: tasks page by page, and how the queues stand."""

from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from decant.config import settings
from decant.tasks.records import State
from decant.tasks.sql.lists import LISTS, STATISTICS
from decant.tasks.transaction import execute

__all__ = ["COUNTED_AT_MOST", "Page", "QueueStatistics", "Summary", "list_tasks", "queue_statistics"]

COUNTED_AT_MOST = 10_000
"""Where counts end: a queue with more is told of as one with so many."""

_REACH = 2_000  # rows that a page looks at
_INDEX = {State.FAILURE: "dead", State.REVOKED: "dead", State.SUCCESS: "all", None: "all"}


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
    """Part of a list.

    Attributes:
        tasks: Newest first; fewer than asked for when those that match are far between.
        before: What to ask for next; None at the end.
    """

    tasks: list[Summary]
    before: UUID | None


class QueueStatistics(Struct, frozen=True, kw_only=True):
    """How a queue stands.

    Attributes:
        due: Tasks that could be running.
        later: Tasks whose time is still to come.
        oldest_s: Seconds that the longest waiting one has been due.
        running: Tasks that run.
        succeeded: Tasks that succeeded within the hour.
        failed: Tasks that failed or were revoked within the hour.
    """

    queue: str
    due: int
    later: int
    oldest_s: float | None
    running: int
    succeeded: int
    failed: int


async def list_tasks(
    *,
    state: State | None = None,
    name: str | None = None,
    queue: str | None = None,
    before: UUID | None = None,
    count: int = 50,
) -> Page:
    """A page of tasks, newest first.

    Args:
        state: Only those in this state.
        name: Only those of this task.
        queue: Only those on this queue.
        before: Only those older than this id: `Page.before` of the page before.
        count: How many at most.
    Raises:
        DatabaseUnavailable: PostgreSQL is away; retrying helps once it is back.
    """
    given = {"state": state, "name": name, "queue": queue, "before": before, "count": count, "reach": _REACH}
    rows = await execute(LISTS[_INDEX.get(state, "open")], given)
    tasks = [Summary(**_columns(row)) for row in rows if row["id"] is not None]
    if len(tasks) == count:
        return Page(tasks, tasks[-1].id)
    return Page(tasks, rows[0]["last"] if rows[0]["scanned"] == _REACH else None)


async def queue_statistics() -> list[QueueStatistics]:
    """How each queue stands that is configured, or has tasks.

    Raises:
        DatabaseUnavailable: PostgreSQL is away; retrying helps once it is back.
    """
    rows = await execute(STATISTICS, {"queues": list(settings().task_queue_urls), "most": COUNTED_AT_MOST})
    return [QueueStatistics(**row) for row in rows]


def _columns(row: Any) -> dict[str, Any]:
    return {name: row[name] for name in Summary.__struct_fields__} | {"state": State(row["state"])}
