"""Administration: list tasks, count the tasks of queues, pause queues, and redrive tasks that failed.

From a shell: `python -m decant.cli redrive --name domain.tasks.mail --error SMTPError`.
"""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from decant.config import load
from decant.tasks import checks
from decant.tasks.lists import Page, PausedQueue, QueueStatistics, Summary, TaskFilter
from decant.tasks.options import TaskSettings
from decant.tasks.publish import publish, work_available
from decant.tasks.records import State
from decant.tasks.result import AsyncResult
from decant.tasks.store import COUNT_LIMIT, store

__all__ = [
    "COUNT_LIMIT",
    "Page",
    "PausedQueue",
    "QueueStatistics",
    "Summary",
    "list_tasks",
    "pause_queue",
    "paused_queues",
    "queue_statistics",
    "redrive",
    "resume_queue",
]

_RESUMED = 500  # tasks that are published at once


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
        state: Only tasks in this state.
        name: Only tasks of this name.
        queue: Only tasks on this queue.
        before: Only tasks older than this id: `Page.before` of the previous page.
        count: Maximum number of tasks.
    Raises:
        DatabaseUnavailable: retrying helps once PostgreSQL is back.
    """
    return await store().page(state, name, queue, before, count)


async def queue_statistics() -> list[QueueStatistics]:
    """Counts of all queues that are configured or have tasks. No count exceeds `COUNT_LIMIT`.

    Raises:
        DatabaseUnavailable: retrying helps once PostgreSQL is back.
    """
    return await store().statistics()


async def pause_queue(name: str) -> None:
    """Start no more tasks of a queue, in all workers, until `resume_queue`. Running tasks go on.

    Tasks are still enqueued. Messages that arrive meanwhile are deleted; the tasks are published after the pause.

    Args:
        name: Name of the queue; it need not have tasks.
    Raises:
        ValueError: the name is empty or contains NUL.
        DatabaseUnavailable: nothing was changed, and retrying helps once PostgreSQL is back.
    """
    await store().pause(checks.text("queue", name))


async def resume_queue(name: str) -> None:
    """End the pause of a queue; nothing happens when it is not paused.

    Workers without SQS continue at once. For SQS, the first tasks are published at once and all others by the sweeper.

    Raises:
        DatabaseUnavailable: retrying helps once PostgreSQL is back.
    """
    await store().resume(name)
    work_available().set()
    if name in load(TaskSettings).queue_urls:
        await publish(await store().unpublished([name], 0, _RESUMED))


async def paused_queues() -> list[PausedQueue]:
    """The queues that are paused, by name.

    Raises:
        DatabaseUnavailable: retrying helps once PostgreSQL is back.
    """
    return await store().paused()


async def redrive(  # noqa: PLR0913  # the fields of TaskFilter
    ids: Iterable[str | UUID] | None = None,
    *,
    name: str | None = None,
    error: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 10_000,
) -> list[AsyncResult]:
    """Run tasks again that ended in FAILURE or REVOKED, with all their retries; a workflow is redriven as a whole.

    Args:
        ids: Only these tasks.
        name: Only tasks of this name.
        error: Only tasks that ended with an error of this class.
        since: Only tasks that finished at this aware time or later.
        until: Only tasks that finished before this aware time.
        limit: Maximum number of tasks, the oldest first; the other tasks of their workflows come in addition.
    Returns:
        Handles to the tasks.
    Raises:
        ValueError: no condition is given: redriving every task that ever failed is a mistake.
        DatabaseUnavailable: nothing was changed, and retrying helps once PostgreSQL is back.
    """
    conditions = TaskFilter(
        ids=None if ids is None else tuple(UUID(str(task_id)) for task_id in ids),
        name=name,
        error=error,
        since=since,
        until=until,
    )
    if conditions == TaskFilter():
        raise ValueError("redrive() needs at least one condition")
    tasks = await store().redrive(conditions, limit)
    await publish(tasks)
    return [AsyncResult(task.id) for task in tasks]
