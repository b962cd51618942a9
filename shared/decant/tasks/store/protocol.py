"""Protocol of the stores of tasks."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from decant.tasks.lists import Page, PausedQueue, QueueStatistics, TaskFilter
from decant.tasks.records import (
    CancelReason,
    Claimed,
    Completed,
    Enqueued,
    NewTask,
    Outcome,
    Runnable,
    State,
    Unclaimed,
    WorkerReport,
)
from decant.tasks.status import Status

__all__ = ["DueTicks", "Store"]

type DueTicks = Callable[[str, datetime, datetime], list[NewTask]]
"""Tasks for the due ticks of a schedule, given the schedule's key, its last tick, and the present time."""


class Store(Protocol):
    """Durable tasks. All methods raise `DatabaseUnavailable` when PostgreSQL cannot be reached."""

    async def insert(
        self, tasks: Sequence[NewTask], session: AsyncSession | None, *, are_calls: bool = False
    ) -> list[Enqueued]:
        """Insert tasks, in the session's transaction if there is a session.

        A task whose id or key exists is not inserted.

        Args:
            tasks: The tasks.
            session: The session.
            are_calls: They have new ids, and differ only in ids, arguments, unique keys and limit keys.
        Returns:
            For every task in order, the inserted or the existing task.
        """

    async def mark_unpublished(self, ids: Sequence[UUID]) -> None:
        """Record that tasks have no message, so that the sweeper publishes them."""

    async def claim(self, ids: Sequence[UUID], tasks: Runnable, lease_s: float, *, alone: bool) -> list[Claimed]:
        """Claim those of the tasks that are due and runnable.

        Args:
            ids: Tasks whose messages were received.
            tasks: Tasks that this worker runs.
            lease_s: Duration of the lease, seconds.
            alone: Include tasks whose worker was lost before.
        """

    async def claim_due(self, tasks: Runnable, lease_s: float, count: int) -> list[Claimed]:
        """Claim up to `count` due tasks that have no message."""

    async def next_due_in_s(self, tasks: Runnable, within_s: float) -> float | None:
        """Seconds until `claim_due` finds the next task; None when there is none within this time."""

    async def look_up(self, ids: Sequence[UUID]) -> list[Unclaimed]:
        """Read tasks that were not claimed; unknown ids are left out."""

    async def complete(self, outcomes: Sequence[Outcome], session: AsyncSession | None) -> Completed:
        """Write the outcomes of runs, and update the workflows of the tasks."""

    async def heartbeat(self, running: Sequence[tuple[UUID, int]], lease_s: float | None) -> dict[UUID, CancelReason]:
        """Those of the runs, given by id and attempt, that must be cancelled.

        Args:
            running: The runs.
            lease_s: Renew leases to this duration, seconds; None keeps them.
        """

    async def report_worker(self, report: WorkerReport) -> None:
        """Record that a worker is alive."""

    async def remove_worker(self, worker_id: UUID) -> None:
        """Remove a worker whose process ends."""

    async def set_progress(self, task_id: UUID, attempt: int, value: str, session: AsyncSession | None = None) -> bool:
        """Store the progress of a run, as JSON, in the session's transaction; returns whether the run has its lease."""

    async def forget(self, task_id: UUID) -> None:
        """Delete a finished task, unless tasks that wait need its result."""

    async def continue_as(self, task_id: UUID, attempt: int, name: str, tasks: Sequence[NewTask]) -> list[Enqueued]:
        """Let a running task wait for a new workflow, and then run under another name with the workflow's result.

        Args:
            task_id: The task; it keeps its id, its dependents and its error callbacks.
            attempt: Its attempt.
            name: Name of the task that receives the result of the workflow.
            tasks: The new tasks; the last of them has the running task as a child.
        Returns:
            The new tasks; none when the lease was lost.
        """

    async def revoke(self, ids: Sequence[UUID], *, terminate: bool) -> int:
        """Prevent tasks from being started; a finished or unknown task is not changed.

        Returns:
            Number of tasks that were changed.
        """

    async def revoke_workflow(self, root_id: UUID, *, terminate: bool) -> None:
        """Revoke all tasks of a workflow."""

    async def statuses(self, ids: Sequence[UUID]) -> dict[UUID, Status]:
        """Read tasks; unknown ids are left out."""

    async def page(
        self, state: State | None, name: str | None, queue: str | None, before: UUID | None, count: int
    ) -> Page:
        """Read a page of tasks, newest first; see `list_tasks`."""

    async def statistics(self) -> list[QueueStatistics]:
        """Count the tasks of all queues that are configured or have tasks."""

    async def pause(self, queue: str) -> None:
        """Let no task of the queue be claimed or published."""

    async def resume(self, queue: str) -> None:
        """End a pause."""

    async def paused(self) -> list[PausedQueue]:
        """Paused queues by name."""

    async def unpublished(self, queues: Sequence[str], ahead_s: float, count: int) -> list[Enqueued]:
        """Select tasks of these queues to publish, including those that are due within `ahead_s` seconds."""

    async def expire_leases(self, count: int) -> Completed:
        """Retry or close up to `count` tasks whose lease has expired because their worker was lost."""

    async def tick(self, keys: Sequence[str], due: DueTicks) -> list[Enqueued]:
        """Insert the tasks of due ticks, and record the last tick of every schedule.

        A schedule that is new, or that the last sweep lacked, starts now.
        """

    async def summarize(self) -> int:
        """Add finished tasks to the statistics of `decant.console`, and record the time of the sweep.

        Returns:
            Number of rows that were added or changed; 0 when all full minutes are in the statistics.
        """

    async def record_unknown(self, ids: Sequence[UUID], error: str) -> None:
        """Record why waiting tasks are not run."""

    async def close_dead_lettered(self, reasons: Mapping[UUID, str]) -> Completed:
        """Move due tasks with dead-lettered messages to FAILURE if `record_unknown` was called for them."""

    async def redrive(self, conditions: TaskFilter, count: int) -> list[Enqueued]:
        """Reset up to `count` tasks that failed or were revoked to PENDING."""

    async def delete(self, age_s: float, count: int) -> int:
        """Delete up to `count` tasks that finished at least `age_s` seconds ago.

        Returns:
            Number of deleted rows; the steps of a workflow are rows too.
        """
