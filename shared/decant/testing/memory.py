"""The store in memory: what PostgreSQL does, for tests that want none, held to the same contract tests."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from decant.config import settings
from decant.tasks.announce import announce
from decant.tasks.commit import after_commit
from decant.tasks.records import (
    Claimed,
    Enqueued,
    Failure,
    NewTask,
    Outcome,
    Settled,
    State,
    Status,
    Stop,
    Unclaimed,
    Which,
)
from decant.tasks.transaction import errback
from decant.testing.rows import Row

__all__ = ["MemoryStore"]


class MemoryStore:
    """Rows in a dict, and a clock that can be moved."""

    def __init__(self) -> None:
        self.rows: dict[UUID, Row] = {}
        self._ticked: dict[str, datetime] = {}
        self._ahead = timedelta()

    def now(self) -> datetime:
        """What the store's clock shows."""
        return datetime.now(UTC) + self._ahead

    def advance(self, seconds: float) -> None:
        """Put the clock forward."""
        self._ahead += timedelta(seconds=seconds)

    def next_due_in_s(self) -> float | None:
        """Seconds until the next row is due; None when none waits."""
        times = [row.wake_at for row in self.rows.values() if row.wake_at is not None]
        return max(0.0, (min(times) - self.now()).total_seconds()) if times else None

    async def insert(self, tasks: Sequence[NewTask], session: AsyncSession | None) -> list[Enqueued]:
        """Write rows; see `Store`."""
        standing = [self._standing_for(task) for task in tasks]
        drafts = [self._draft(task) if other is None else other for task, other in zip(tasks, standing, strict=True)]

        async def write() -> None:
            self.rows.update({row.new.id: row for row in drafts})

        if session is None:
            await write()
        else:
            after_commit(session, write)
        return [row.enqueued(self.now(), announce=None if row not in standing else False) for row in drafts]

    def _draft(self, task: NewTask) -> Row:
        return Row.of(task, self.now(), self._patience())

    def _standing_for(self, task: NewTask) -> Row | None:
        def same(row: Row) -> bool:
            other = row.new
            if other.id == task.id:
                return True
            if task.idempotency_key is not None and task.idempotency_key == other.idempotency_key:
                return task.name == other.name
            unique = task.unique_key is not None and task.unique_key == other.unique_key
            return unique and task.name == other.name and not row.finished

        return next(filter(same, self.rows.values()), None)

    async def unannounce(self, ids: Sequence[UUID]) -> None:
        """Note that rows have no message."""
        for row in self._known(ids):
            row.wake_at = row.eta if row.waiting else None

    async def claim(self, ids: Sequence[UUID], names: Sequence[str], lease_s: float, *, alone: bool) -> list[Claimed]:
        """Take rows by id."""
        rows = [row for row in self._known(ids) if row.losses == 0 or alone]
        return [row.claim(self.now(), lease_s) for row in rows if self._is_due(row) and row.new.name in names]

    async def claim_due(self, names: Sequence[str], lease_s: float, count: int) -> list[Claimed]:
        """Take rows that no queue announces."""
        now = self.now()
        due = [row for row in self.rows.values() if row.wake_at and row.wake_at <= now and row.new.name in names]
        due.sort(key=lambda row: (-row.new.priority, row.wake_at or now))
        return [row.claim(now, lease_s) for row in due[:count] if self._is_due(row)]

    async def look_up(self, ids: Sequence[UUID]) -> list[Unclaimed]:
        """How rows stand."""
        return [row.unclaimed(self.now()) for row in self._known(ids)]

    async def settle(self, outcomes: Sequence[Outcome], session: AsyncSession | None) -> Settled:
        """Write how runs ended; in a session, once it has committed."""
        owned = [each for each in outcomes if each.id in self.rows and self.rows[each.id].owned_by(each.attempt)]
        if session is None:
            return self._settle(owned)

        async def write() -> None:
            await announce(self._settle(owned).released)

        after_commit(session, write)
        return Settled({each.id: each.state for each in owned}, [])

    def _settle(self, owned: Sequence[Outcome]) -> Settled:
        rows = [self.rows[outcome.id] for outcome in owned]
        for row, outcome in zip(rows, owned, strict=True):
            row.settle(outcome, self.now(), self._patience())
        return self._ended(rows)

    async def stopped(self, running: Sequence[tuple[UUID, int]]) -> dict[UUID, Stop]:
        """Which runs have to stop."""
        stops = {}
        for task_id, attempt in running:
            row = self.rows.get(task_id)
            if row is None or not row.owned_by(attempt):
                stops[task_id] = Stop.LOST
            elif row.terminate:
                stops[task_id] = Stop.REVOKED
        return stops

    async def progress(self, task_id: UUID, attempt: int, value: str) -> None:
        """Note how far a run is."""
        for row in self._known([task_id]):
            row.progress = value if row.owned_by(attempt) else row.progress

    async def revoke(self, task_id: UUID, *, terminate: bool) -> None:
        """Let a task not be started any more."""
        self._revoke(self._known([task_id]), terminate=terminate)

    async def revoke_workflow(self, root_id: UUID, *, terminate: bool) -> None:
        """Let no task of a workflow be started any more."""
        self._revoke([row for row in self.rows.values() if row.new.root_id == root_id], terminate=terminate)

    def _revoke(self, rows: Iterable[Row], *, terminate: bool) -> None:
        still_open = [row for row in rows if not row.finished]
        for row in still_open:
            row.revoked, row.terminate = True, row.terminate or terminate
            if row.state is not State.STARTED:
                row.close(State.REVOKED, self.now(), Failure("TaskRevoked", "It was revoked before it was started."))
        self._ended(still_open)

    async def statuses(self, ids: Sequence[UUID]) -> dict[UUID, Status]:
        """All that is known of tasks."""
        return {row.new.id: row.status() for row in self._known(ids)}

    async def due(self, queues: Sequence[str], ahead_s: float, count: int) -> list[Enqueued]:
        """Pick rows to announce."""
        now = self.now()
        soon = now + timedelta(seconds=ahead_s)
        due = [row for row in self.rows.values() if row.wake_at and row.wake_at <= soon and row.new.queue in queues]
        for row in due[:count]:
            row.wake_at = max(row.eta, now) + self._patience() * 2 ** min(row.wakeups, 10)
            row.wakeups += 1
        return [row.enqueued(now, announce=True) for row in due[:count]]

    async def expire(self, count: int) -> Settled:
        """Take rows from workers that were lost."""
        now = self.now()
        lost = [row for row in self.rows.values() if row.lease_expires_at and row.lease_expires_at <= now][:count]
        for row in lost:
            row.lose(now)
        return self._ended(lost)

    async def tick(
        self, names: Sequence[str], due: Callable[[str, datetime, datetime], list[NewTask]]
    ) -> list[Enqueued]:
        """Write the rows of periodic tasks' ticks."""
        now, written = self.now(), []
        for name in names:
            new = due(name, self._ticked.setdefault(name, now), now)
            self._ticked[name] = (new[-1].eta or now) if new else self._ticked[name]
            written += [each for each in new if each.id not in self.rows]
        return await self.insert(written, None)

    async def note(self, ids: Sequence[UUID], error: str) -> None:
        """Note why tasks are not run."""
        for row in self._known(ids):
            row.failure = Failure("UnknownTask", error) if row.waiting else row.failure

    async def bury(self, reasons: Mapping[UUID, str]) -> Settled:
        """Close tasks whose messages came back too often."""
        dead = [row for row in self._known(reasons) if self._is_due(row)]
        for row in dead:
            before = "" if row.failure is None else f" {row.failure.message}"
            message = reasons[row.new.id] + before
            row.close(State.FAILURE, self.now(), Failure("DeadLettered", message))
        return self._ended(dead)

    async def redrive(self, which: Which, count: int) -> list[Enqueued]:
        """Put tasks back."""
        found = sorted((row for row in self.rows.values() if row.matches(which)), key=lambda row: row.new.id)[:count]
        roots = {row.new.root_id for row in found} - {None}
        dead = [row for row in self.rows.values() if row.dead and (row in found or row.new.root_id in roots)]
        unfinished = {row.new.id for row in dead} | {row.new.id for row in self.rows.values() if not row.finished}
        back = [row for row in dead if not self._rivalled(row)]
        for row in back:
            row.reopen(self.now(), self._patience(), unfinished)
        return [row.enqueued(self.now()) for row in back]

    def _rivalled(self, row: Row) -> bool:
        """Whether another call has taken its unique key."""
        key = row.new.unique_key
        rivals = (other for other in self.rows.values() if other.new.unique_key == key and not other.finished)
        return key is not None and any(other.new.name == row.new.name for other in rivals)

    async def delete(self, age_s: float, count: int) -> int:
        """Delete rows that were done long ago."""
        oldest = self.now() - timedelta(seconds=age_s)
        old = [row for row in self.rows.values() if row.date_done and row.date_done <= oldest and not self._kept(row)]
        for row in old[:count]:
            del self.rows[row.new.id]
        return len(old[:count])

    def _kept(self, row: Row) -> bool:
        needed = any(child.waits_for and not child.finished for child in self._known(row.new.children))
        return needed or row.new.idempotency_key is not None

    def _known(self, ids: Iterable[UUID]) -> list[Row]:
        return [self.rows[task_id] for task_id in dict.fromkeys(ids) if task_id in self.rows]

    def _is_due(self, row: Row) -> bool:
        return row.waiting and row.eta <= self.now()

    def _patience(self) -> timedelta:
        return timedelta(seconds=settings().task_patience_s)

    def _ended(self, rows: Sequence[Row]) -> Settled:
        """What follows in their workflows."""
        states = {row.new.id: row.state for row in rows}
        released = [each for row in rows if row.finished for each in self._follow(row, row)]
        return Settled(states, released)

    def _follow(self, row: Row, origin: Row) -> list[Enqueued]:
        now, released = self.now(), list[Enqueued]()
        if row.state is State.FAILURE:
            for new in row.new.on_error:
                started = errback(origin.new.id, new)
                if started.id not in self.rows:
                    self.rows[started.id] = self._draft(started)
                    released.append(self.rows[started.id].enqueued(now))
        for child in self._known(row.new.children):
            if not child.waits_for or child.finished:
                continue
            if row.state is State.SUCCESS:
                child.waits_for -= 1
                if not child.waits_for:
                    child.release(
                        now, self._patience(), [self.rows[each].result or "null" for each in child.new.parents]
                    )
                    released.append(child.enqueued(now))
            else:
                child.close(row.state, now, _along(row.state, origin))
                released += self._follow(child, origin)
        return released


def _along(state: State, origin: Row) -> Failure:
    failed = state is State.FAILURE
    message = (
        f"Task {origin.new.id} ({origin.new.name}), whose result it needs, {'failed' if failed else 'was revoked'}."
    )
    return Failure("ParentFailed" if failed else "TaskRevoked", message)
