"""Steps and signals of workflows in memory; they pass the same contract tests as those in PostgreSQL."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from decant import db
from decant.errors import Conflict, TaskNotFound
from decant.tasks.commit import after_commit
from decant.tasks.options import has_url
from decant.tasks.publish import publish
from decant.tasks.records import Enqueued
from decant.testing.memory import MemoryStore
from decant.testing.row import Row
from decant.testing.stored_steps import StoredStep
from decant.workflows.records import NewStep, Recorded, StepKey, StepStatus, Taken, Wait
from decant.workflows.store import Arguments, ChildStatus, NotRecorded, OpenRun, Recording, Signal, StepTransaction

__all__ = ["MemorySteps"]


class MemorySteps:
    """Steps and signals of the rows of a store; see `decant.workflows.store.StepStore` for the methods.

    Args:
        store: The store of the tasks.
        sent: Called after a signal was sent.
    """

    short_wait_s = 0.0  # all waits end when the clock is advanced
    pause_s = 0.01

    def __init__(self, store: MemoryStore, sent: Callable[[], Awaitable[object]] | None = None) -> None:
        self._store = store
        self._sent = sent

    async def load(self, ids: Sequence[UUID]) -> dict[UUID, list[Recorded]]:
        rows = {row.new.id: row for row in self._store.rows.known(ids)}
        return {task_id: self._recorded(rows[task_id]) if task_id in rows else [] for task_id in ids}

    def _recorded(self, row: Row) -> list[Recorded]:
        now = self._store.now()
        return [step.recorded(now) for step in sorted(row.steps.values(), key=lambda step: step.new.seq)]

    async def record(self, steps: Sequence[NewStep]) -> Recording:
        in_order = sorted(steps, key=lambda step: step.kind != "begun")
        recorded = [step for step in in_order if self._can_record(step)]
        for step in recorded:
            self._write(step)
        return {(step.task_id, step.name, step.n) for step in recorded}

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[StepTransaction]:
        async with db.session() as session:

            async def record(step: NewStep) -> None:
                if not self._can_record(step):
                    raise NotRecorded

                async def write() -> None:
                    self._write(step)

                after_commit(session, write)

            yield session, record

    def _can_record(self, step: NewStep) -> bool:
        row = self._store.rows.get(step.task_id)
        if row is None or not row.leased_to(step.attempt):
            return False
        return step.key not in row.steps or row.steps[step.key].new.kind == "begun"

    def _write(self, step: NewStep) -> None:
        now, row = self._store.now(), self._store.rows[step.task_id]
        due_at = None if step.delay_s is None else now + timedelta(seconds=step.delay_s)
        started = None if step.seconds is None else now - timedelta(seconds=step.seconds)
        row.steps[step.key] = StoredStep(step, due_at, started, now)

    async def take(self, waits: Sequence[Wait]) -> list[Taken]:
        in_order = sorted(range(len(waits)), key=lambda place: waits[place].seq)
        taken = {place: self._take(waits[place]) for place in in_order}
        return [taken[place] for place in range(len(waits))]

    def _take(self, wait: Wait) -> Taken:
        row, key = self._store.rows.get(wait.task_id), StepKey(wait.name, wait.n)
        if row is None or not row.leased_to(wait.attempt):
            return Taken(None, delivered=False, result=None)
        before = row.steps.get(key)
        if before is not None and before.new.kind == "signal":
            return Taken(row.signalled, delivered=True, result=before.result)
        signal = next(
            (one for one in row.signals.values() if one.topic == wait.topic and one.id not in row.taken), None
        )
        if signal is None:
            return Taken(row.signalled, delivered=False, result=None)
        row.taken.add(signal.id)
        self._write(
            NewStep(
                task_id=wait.task_id,
                name=wait.name,
                n=wait.n,
                seq=wait.seq,
                attempt=wait.attempt,
                kind="signal",
                result=msgspec.Raw(signal.payload.encode()),
            )
        )
        return Taken(row.signalled, delivered=True, result=signal.payload)

    async def send(self, signal: Signal, session: AsyncSession | None) -> Enqueued | None:
        row = self._store.find(signal.task_id, session)
        if row is None:
            raise TaskNotFound(str(signal.task_id))
        if signal.id in row.signals:
            return None
        if row.finished:
            raise Conflict(f"Run {signal.task_id} has ended in {row.state}, and receives no signals.")

        async def write() -> None:
            row.signals[signal.id] = signal
            if row.receive_signal(self._store.now()):
                await publish([row.enqueued(self._store.now())])
            if self._sent is not None:
                await self._sent()

        if session is None:
            await write()
        else:
            after_commit(session, write)
        return None

    async def await_child(self, parent_id: UUID, child_id: UUID) -> ChildStatus:
        parent, child = self._store.rows[parent_id], self._store.rows.get(child_id)
        if child is None:
            return ChildStatus(parent.signalled, None, None, None)
        return ChildStatus(parent.signalled, child.state, child.result, child.failure)

    async def restart(self, task_id: UUID, attempt: int, args: str, kwargs: str) -> None:
        row = self._store.rows[task_id]
        if row.leased_to(attempt):
            row.args, row.new = args, msgspec.structs.replace(row.new, args=args, kwargs=kwargs)
            row.steps.clear()

    async def statuses(self, task_id: UUID) -> list[StepStatus]:
        row = self._store.rows[task_id]
        return [step.status() for step in sorted(row.steps.values(), key=lambda step: step.new.seq)]

    async def fork(
        self, task_id: UUID, new_id: UUID, before: tuple[str, int | None] | None, arguments: tuple[str, str] | None
    ) -> Enqueued | None:
        row = self._store.rows.get(task_id)
        edge = None if row is None or before is None else _first(row, before)
        if row is None or (before is not None and edge is None):
            return None
        args, kwargs = arguments or (row.args, row.new.kwargs)
        new = msgspec.structs.replace(
            row.new,
            id=new_id,
            args=args,
            kwargs=kwargs,
            eta=None,
            publish=has_url(row.new.queue),
            unique_key=None,
            idempotency_key=None,
            awaited_by=None,
        )
        forked = self._store.rows[new_id] = Row.of(new, self._store.now())
        forked.attempt = 1
        kept = [step for step in row.steps.values() if step.new.kind != "begun" and _is_before(step.new, edge)]
        forked.steps = {step.new.key: step.copied_to(new_id) for step in kept}
        return forked.enqueued(self._store.now())

    async def rewind(self, task_id: UUID, before: tuple[str, int | None]) -> bool:
        row = self._store.rows[task_id]
        edge = _first(row, before) if row.unsuccessful else None
        if edge is None:
            return False
        row.steps = {key: step for key, step in row.steps.items() if step.new.seq < edge}
        return True

    async def arguments(self, task_id: UUID) -> Arguments | None:
        row = self._store.rows.get(task_id)
        return None if row is None else Arguments(row.new.name, row.args, row.new.kwargs)

    async def open_runs(self, name: str | None, count: int) -> list[OpenRun]:
        rows = [row for row in self._store.rows.values() if not row.finished and row.steps]
        newest = sorted(rows, key=lambda row: row.new.id, reverse=True)
        return [
            row.read(
                OpenRun, kwargs=row.new.kwargs, error=row.failure and row.failure.message, step_count=len(row.steps)
            )
            for row in newest
            if name in {None, row.new.name}
        ][:count]

    async def find(self, name: str, key: str) -> UUID | None:
        rows = self._store.rows.values()
        return next((row.new.id for row in rows if (row.new.name, row.new.idempotency_key) == (name, key)), None)


def _first(row: Row, before: tuple[str, int | None]) -> int | None:
    name, n = before
    matching = (step.new for step in row.steps.values() if step.new.name == name and n in {None, step.new.n})
    return min((step.seq for step in matching), default=None)


def _is_before(step: NewStep, edge: int | None) -> bool:
    return edge is None or step.seq < edge
