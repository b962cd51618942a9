"""Where tasks are kept: what every store can do, and which one is in use.

There is one for production, PostgreSQL; `decant.testing` puts one in memory in its place.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from decant.tasks.postgres import PostgresStore
from decant.tasks.records import Claimed, Enqueued, NewTask, Outcome, Settled, Status, Stop, Unclaimed, Which

__all__ = ["Store", "store", "using"]


type DueTicks = Callable[[str, datetime, datetime], list[NewTask]]
"""Rows of a task's ticks, given its name, how far it has ticked, and the time."""


class Store(Protocol):
    """Durable rows. Every method is one statement, and every one raises `DatabaseUnavailable` when it is away."""

    async def insert(self, tasks: Sequence[NewTask], session: AsyncSession | None) -> list[Enqueued]:
        """Write rows, in the session's transaction if there is one; each is answered in order.

        A row whose id or key is taken is not written: the one that stands for it is answered.
        """

    async def unannounce(self, ids: Sequence[UUID]) -> None:
        """Note that rows have no message, so that the sweeper sends one."""

    async def claim(self, ids: Sequence[UUID], names: Sequence[str], lease_s: float, *, alone: bool) -> list[Claimed]:
        """Take those of the rows that are due and whose names are known."""

    async def claim_due(self, names: Sequence[str], lease_s: float, count: int) -> list[Claimed]:
        """Take rows that are due and that no queue announces."""

    async def look_up(self, ids: Sequence[UUID]) -> list[Unclaimed]:
        """How rows stand that were not claimed; those that do not exist are left out."""

    async def settle(self, outcomes: Sequence[Outcome], session: AsyncSession | None) -> Settled:
        """Write how runs ended, and do what follows from it in their workflows."""

    async def stopped(self, running: Sequence[tuple[UUID, int]]) -> dict[UUID, Stop]:
        """Which of the runs, by id and attempt, have to stop."""

    async def progress(self, task_id: UUID, attempt: int, value: str) -> None:
        """Note how far a run is, as JSON."""

    async def revoke(self, task_id: UUID, *, terminate: bool) -> None:
        """Let a task not be started any more; nothing happens to one that is done or unknown."""

    async def revoke_workflow(self, root_id: UUID, *, terminate: bool) -> None:
        """The same for every task of a workflow."""

    async def statuses(self, ids: Sequence[UUID]) -> dict[UUID, Status]:
        """All that is known of tasks; those that do not exist are left out."""

    async def due(self, queues: Sequence[str], ahead_s: float, count: int) -> list[Enqueued]:
        """Pick rows of these queues to announce, those that fall due within so many seconds included."""

    async def expire(self, count: int) -> Settled:
        """Take rows from workers that were lost."""

    async def tick(self, names: Sequence[str], due: DueTicks) -> list[Enqueued]:
        """Write the rows of periodic tasks' ticks, and how far they have ticked."""

    async def note(self, ids: Sequence[UUID], error: str) -> None:
        """Note why tasks that wait are not run."""

    async def bury(self, reasons: Mapping[UUID, str]) -> Settled:
        """Close tasks whose messages came back too often; those that run, or are not due, are left alone."""

    async def redrive(self, which: Which, count: int) -> list[Enqueued]:
        """Put so many tasks that failed or were revoked back, as if they were new."""

    async def delete(self, age_s: float, count: int) -> int:
        """Delete rows that were done that long ago; how many."""


_store: Store = PostgresStore()


def store() -> Store:
    """The store in use."""
    return _store


@contextmanager
def using(other: Store) -> Iterator[None]:
    """Use another store inside the block."""
    global _store  # noqa: PLW0603  # one store per process is what this module is for
    before, _store = _store, other
    try:
        yield
    finally:
        _store = before
