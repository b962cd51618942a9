"""Store in memory for tests; it passes the same contract tests as the store in PostgreSQL."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from decant.config import load
from decant.tasks.commit import after_commit, waiting
from decant.tasks.lists import Page, PausedQueue, QueueStatistics, TaskFilter
from decant.tasks.options import TaskSettings
from decant.tasks.publish import publish
from decant.tasks.records import (
    CancelReason,
    Claimed,
    Completed,
    Enqueued,
    Failure,
    Limit,
    NewTask,
    Outcome,
    Runnable,
    State,
    Unclaimed,
    WorkerReport,
)
from decant.tasks.status import Status
from decant.testing.limits import MemoryLimits
from decant.testing.row import Row
from decant.testing.rows import Rows, find_existing
from decant.testing.statistics import statistics

__all__ = ["MemoryStore"]


class MemoryStore:
    """Rows in a dict, and a clock that can be advanced; see `decant.tasks.store.Store` for the methods."""

    def __init__(self) -> None:
        self.rows = Rows()
        self._limits = MemoryLimits()
        self._paused: dict[str, PausedQueue] = {}
        self._ticked: dict[str, datetime] = {}
        self._ahead = timedelta()

    def now(self) -> datetime:
        """Present time of the store's clock."""
        return datetime.now(UTC) + self._ahead

    def advance(self, seconds: float) -> None:
        """Advance the clock."""
        self._ahead += timedelta(seconds=seconds)

    def next_publish_in_s(self) -> float | None:
        """Seconds until the next task must be published; None when none is waiting.

        Runs of workflows that wait for a signal without end, or for other code, are left out.
        """
        now = self.now()
        waiting = [row for row in self.rows.values() if not row.is_stuck and row.new.queue not in self._paused]
        times = [
            max(row.publish_at, self._limits.allowed_at(row, now)) for row in waiting if row.publish_at is not None
        ]
        return max(0.0, (min(times) - self.now()).total_seconds()) if times else None

    async def insert(
        self,
        tasks: Sequence[NewTask],
        session: AsyncSession | None,
        *,
        are_calls: bool = False,  # noqa: ARG002  # it makes no difference in memory
    ) -> list[Enqueued]:
        inserted = _Inserted(self.rows)
        new = self.rows if session is None else inserted.new
        visible = [self.rows, new, *([] if session is None else self._uncommitted(session))]
        enqueued = []
        for task in tasks:
            row = find_existing(task, (row for rows in visible for row in rows.values()))
            if row is None:
                row = new[task.id] = Row.of(task, self.now())
                enqueued.append(row.enqueued(self.now()))
            else:
                enqueued.append(row.enqueued(self.now(), publish=False))
        if session is not None:
            after_commit(session, inserted)
        return enqueued

    def _uncommitted(self, session: AsyncSession) -> list[dict[UUID, Row]]:
        """Rows that the session's transaction has inserted, without those of savepoints that were rolled back."""
        callbacks = waiting(session)
        return [
            callback.new for callback in callbacks if isinstance(callback, _Inserted) and callback.rows is self.rows
        ]

    def find(self, task_id: UUID, session: AsyncSession | None) -> Row | None:
        """A row, also when the session's transaction has inserted it."""
        visible = [self.rows, *([] if session is None else self._uncommitted(session))]
        return next((rows[task_id] for rows in visible if task_id in rows), None)

    async def mark_unpublished(self, ids: Sequence[UUID]) -> None:
        for row in self.rows.known(ids):
            row.publish_at = row.eta if row.waiting else None

    async def claim(self, ids: Sequence[UUID], tasks: Runnable, lease_s: float, *, alone: bool) -> list[Claimed]:
        claimable = [row for row in self.rows.known(ids) if row.lost_count == 0 or alone]
        open_ = [row for row in claimable if row.new.queue not in self._paused and row.new.name in tasks.names]
        return self._claim(sorted(open_, key=lambda row: -row.new.priority), lease_s, len(open_), tasks.limits)

    async def claim_due(self, tasks: Runnable, lease_s: float, count: int) -> list[Claimed]:
        now = self.now()
        due = [row for row in self._served(tasks) if row.publish_at and row.publish_at <= now]
        due.sort(key=lambda row: (-row.new.priority, row.publish_at or now))
        return self._claim(due, lease_s, count, tasks.limits)

    def _claim(self, rows: Iterable[Row], lease_s: float, count: int, limits: Sequence[Limit]) -> list[Claimed]:
        now = self.now()
        admitted = self._limits.admit(filter(self._is_due, rows), limits, self.rows.values(), now)
        return [row.claim(now, lease_s) for row in islice(admitted, count)]

    def _served(self, tasks: Runnable) -> list[Row]:
        rows = [row for row in self.rows.values() if row.new.name in tasks.names and row.new.queue not in self._paused]
        return [row for row in rows if tasks.queues is None or row.new.queue in tasks.queues]

    async def next_due_in_s(self, tasks: Runnable, within_s: float) -> float | None:
        waiting = [row for row in self._served(tasks) if row.publish_at is not None]
        now = self.now()  # the limits are those of the last claim
        dues = [max(row.publish_at, self._limits.allowed_at(row, now)) for row in waiting if row.publish_at is not None]
        times = [(due - now).total_seconds() for due in dues]
        return min((time for time in times if 0 < time <= within_s), default=None)

    async def look_up(self, ids: Sequence[UUID]) -> list[Unclaimed]:
        return [
            row.unclaimed(self.now(), paused=row.new.queue in self._paused, backlog=0) for row in self.rows.known(ids)
        ]

    async def complete(self, outcomes: Sequence[Outcome], session: AsyncSession | None) -> Completed:
        """Write outcomes; those of a session are written after its commit."""
        leased = [
            outcome
            for outcome in outcomes
            if outcome.id in self.rows and self.rows[outcome.id].leased_to(outcome.attempt)
        ]
        if session is None:
            return self._complete(leased)

        async def write() -> None:
            await publish(self._complete(leased).released)

        after_commit(session, write)
        return Completed({outcome.id: outcome.state for outcome in leased}, [])

    def _complete(self, outcomes: Sequence[Outcome]) -> Completed:
        rows = [self.rows[outcome.id] for outcome in outcomes]
        for row, outcome in zip(rows, outcomes, strict=True):
            row.complete(outcome, self.now())
        completed = self.rows.update_workflows(rows, self.now())
        missed = (out.id for out in outcomes if out.signalled is not None and not self.rows[out.id].suspended)
        return msgspec.structs.replace(completed, signalled=frozenset(missed))

    async def heartbeat(self, running: Sequence[tuple[UUID, int]], lease_s: float | None) -> dict[UUID, CancelReason]:
        reasons = {}
        for task_id, attempt in running:
            row = self.rows.get(task_id)
            if row is None or not row.leased_to(attempt):
                reasons[task_id] = CancelReason.LEASE_LOST
                continue
            if row.terminate:
                reasons[task_id] = CancelReason.REVOKED
            if lease_s is not None:
                row.lease_expires_at = self.now() + timedelta(seconds=lease_s)
        return reasons

    async def report_worker(self, report: WorkerReport) -> None:
        """Do nothing: no console reads this store."""

    async def remove_worker(self, worker_id: UUID) -> None:
        """Do nothing."""

    async def set_progress(self, task_id: UUID, attempt: int, value: str, session: AsyncSession | None = None) -> bool:
        del session
        leased = [row for row in self.rows.known([task_id]) if row.leased_to(attempt)]
        for row in leased:
            row.progress = value
        return bool(leased)

    async def forget(self, task_id: UUID) -> None:
        for row in self.rows.known([task_id]):
            if row.finished and not self.rows.is_needed(row):
                del self.rows[task_id]

    async def continue_as(self, task_id: UUID, attempt: int, name: str, tasks: Sequence[NewTask]) -> list[Enqueued]:
        for row in self.rows.known([task_id]):
            if row.leased_to(attempt) and not row.revoked:
                row.wait_for(tasks[-1].id, name)
                return await self.insert(
                    [msgspec.structs.replace(task, root_id=row.new.root_id) for task in tasks], None
                )
        return []

    async def revoke(self, ids: Sequence[UUID], *, terminate: bool) -> int:
        return self._revoke(self.rows.known(ids), terminate=terminate)

    async def revoke_workflow(self, root_id: UUID, *, terminate: bool) -> None:
        self._revoke([row for row in self.rows.values() if row.new.root_id == root_id], terminate=terminate)

    def _revoke(self, rows: Iterable[Row], *, terminate: bool) -> int:
        unfinished = [row for row in rows if not row.finished]
        for row in unfinished:
            row.revoked, row.terminate = True, row.terminate or terminate
            if row.state is not State.STARTED:
                row.close(State.REVOKED, self.now(), Failure("TaskRevoked", "It was revoked while it was not running."))
        self.rows.update_workflows(unfinished, self.now())
        return len(unfinished)

    async def statuses(self, ids: Sequence[UUID]) -> dict[UUID, Status]:
        return {row.new.id: row.status() for row in self.rows.known(ids)}

    async def page(
        self, state: State | None, name: str | None, queue: str | None, before: UUID | None, count: int
    ) -> Page:
        newest = sorted(self.rows.values(), key=lambda row: row.new.id, reverse=True)
        tasks = [row.summary() for row in newest if before is None or row.new.id < before]
        wanted = {"state": state, "name": name, "queue": queue}
        matching = [
            task
            for task in tasks
            if all(value is None or getattr(task, field) == value for field, value in wanted.items())
        ]
        page = matching[:count]
        return Page(page, page[-1].id if len(page) == count else None)

    async def statistics(self) -> list[QueueStatistics]:
        return statistics(self.rows.values(), load(TaskSettings).queue_urls, self.now())

    async def pause(self, queue: str) -> None:
        self._paused.setdefault(queue, PausedQueue(queue, self.now()))

    async def resume(self, queue: str) -> None:
        self._paused.pop(queue, None)

    async def paused(self) -> list[PausedQueue]:
        return [self._paused[queue] for queue in sorted(self._paused)]

    async def unpublished(self, queues: Sequence[str], ahead_s: float, count: int) -> list[Enqueued]:
        now = self.now()
        soon = now + timedelta(seconds=ahead_s)
        due = [row for row in self.rows.values() if row.publish_at and row.publish_at <= soon]
        selected = [row for row in due if row.new.queue in {*queues} - {*self._paused}][:count]
        for row in selected:
            row.publish_at = max(row.eta, now) + row.republish_after() * 2 ** min(row.publish_count, 10)
            row.publish_count += 1
        return [row.enqueued(now, publish=True) for row in selected]

    async def expire_leases(self, count: int) -> Completed:
        now = self.now()
        lost = [row for row in self.rows.values() if row.lease_expires_at and row.lease_expires_at <= now][:count]
        for row in lost:
            row.lose_worker(now)
        return self.rows.update_workflows(lost, self.now())

    async def tick(
        self, keys: Sequence[str], due: Callable[[str, datetime, datetime], list[NewTask]]
    ) -> list[Enqueued]:
        now, tasks = self.now(), list[NewTask]()
        self._ticked = {key: self._ticked.get(key, now) for key in keys}  # those that are absent are forgotten
        for key in keys:
            new = due(key, self._ticked[key], now)
            self._ticked[key] = (new[-1].eta or now) if new else self._ticked[key]
            tasks += [task for task in new if task.id not in self.rows]
        return await self.insert(tasks, None)

    async def summarize(self) -> int:
        return 0  # the console reads PostgreSQL

    async def record_unknown(self, ids: Sequence[UUID], error: str) -> None:
        for row in self.rows.known(ids):
            row.failure = Failure("UnknownTask", error) if row.waiting else row.failure

    async def close_dead_lettered(self, reasons: Mapping[UUID, str]) -> Completed:
        due = [row for row in self.rows.known(reasons) if self._is_due(row)]
        dead = [row for row in due if row.failure is not None and row.failure.type == "UnknownTask"]
        for row in dead:
            before = "" if row.failure is None else f" {row.failure.message}"
            message = reasons[row.new.id] + before
            row.close(State.FAILURE, self.now(), Failure("DeadLettered", message))
        return self.rows.update_workflows(dead, self.now())

    async def redrive(self, conditions: TaskFilter, count: int) -> list[Enqueued]:
        return self.rows.redrive(conditions, count, self.now())

    async def delete(self, age_s: float, count: int) -> int:
        oldest = self.now() - timedelta(seconds=age_s)
        old = [row for row in self.rows.values() if row.date_done and row.date_done <= oldest and not self._kept(row)]
        for row in old[:count]:
            del self.rows[row.new.id]
        return len(old[:count])

    def _kept(self, row: Row) -> bool:
        return self.rows.is_needed(row) or row.new.idempotency_key is not None

    def _is_due(self, row: Row) -> bool:
        return row.waiting and row.eta <= self.now()


class _Inserted:
    """Rows of an insert; called when its transaction commits."""

    def __init__(self, rows: dict[UUID, Row]) -> None:
        self.rows = rows
        self.new = dict[UUID, Row]()

    async def __call__(self) -> None:
        self.rows |= self.new
