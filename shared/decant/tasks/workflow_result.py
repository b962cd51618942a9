"""Handles to workflows: their last row's, or those of a group's members, and the whole's to revoke it."""

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

from decant.tasks.records import FINISHED, State, Status
from decant.tasks.result import AsyncResult, poll, value_of
from decant.tasks.store import store

__all__ = ["GroupResult", "WorkflowResult"]


class WorkflowResult(AsyncResult):
    """The last task of a workflow, whose end is the end of the whole.

    Args:
        root_id: Id of the whole.
        task_id: Id of the last task.
    """

    def __init__(self, root_id: UUID, task_id: UUID) -> None:
        super().__init__(task_id)
        self.root_id = str(root_id)

    async def revoke(self, *, terminate: bool = False) -> None:
        """Let no task of the workflow be started any more; see `AsyncResult.revoke`."""
        await store().revoke_workflow(UUID(self.root_id), terminate=terminate)


class GroupResult:
    """The tasks at the end of a workflow, whose results make a list.

    Args:
        root_id: Id of the whole.
        ids: Ids of the tasks, in the order of the list.
    """

    def __init__(self, root_id: UUID, ids: Iterable[UUID]) -> None:
        self.id = self.root_id = str(root_id)
        self.results = [AsyncResult(task_id) for task_id in ids]

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[AsyncResult]:
        return iter(self.results)

    async def statuses(self) -> list[Status]:
        """All that is known of each task, in one query; tasks that do not exist any more are left out."""
        ids = [UUID(result.id) for result in self.results]
        found = await store().statuses(ids)
        return [found[task_id] for task_id in ids if task_id in found]

    async def get(self, timeout: float | None = None, *, propagate: bool = True) -> list[Any]:  # noqa: ASYNC109  # Celery's
        """Wait for all to end.

        Args:
            timeout: Longest wait, seconds; without one it waits as long as it takes.
            propagate: Whether to raise when one did not succeed; otherwise its result is then None.
        Returns:
            Their results, in order.
        Raises:
            TaskFailed: one ended in FAILURE; the first in order is told of.
            TaskRevoked: one was revoked.
            TimeoutError: not all ended in time; they go on all the same.
        """
        async with asyncio.timeout(timeout):
            statuses = await poll(self.statuses, _all_ended)
        return [value_of(status, propagate=propagate) for status in statuses]

    async def completed_count(self) -> int:
        """How many have succeeded."""
        return sum(status.state is State.SUCCESS for status in await self.statuses())

    async def ready(self) -> bool:
        """Whether all have ended."""
        return _all_ended(await self.statuses())

    async def successful(self) -> bool:
        """Whether all have ended well."""
        return all(status.state is State.SUCCESS for status in await self.statuses())

    async def failed(self) -> bool:
        """Whether any has failed for good."""
        return any(status.state is State.FAILURE for status in await self.statuses())

    async def revoke(self, *, terminate: bool = False) -> None:
        """Let no task of the workflow be started any more; see `AsyncResult.revoke`."""
        await store().revoke_workflow(UUID(self.root_id), terminate=terminate)


def _all_ended(statuses: list[Status]) -> bool:
    return all(status.state in FINISHED for status in statuses)
