"""Rows of the store in memory, and what follows from the end of a task for the tasks that depend on it."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from decant.tasks.lists import TaskFilter
from decant.tasks.options import has_url
from decant.tasks.records import Completed, Enqueued, Failure, NewTask, State
from decant.testing.row import Row

__all__ = ["Rows", "find_existing"]


class Rows(dict[UUID, Row]):
    """All rows of a store, by their ids."""

    def known(self, ids: Iterable[UUID]) -> list[Row]:
        """Rows with these ids, without duplicates; unknown ids are left out."""
        return [self[task_id] for task_id in dict.fromkeys(ids) if task_id in self]

    def is_needed(self, row: Row) -> bool:
        """Whether a child that still waits may need its result."""
        return any(child.pending_parents and not child.finished for child in self.known(row.new.children))

    def update_workflows(self, changed: Sequence[Row], now: datetime) -> Completed:
        """Release or close the dependents of those of the changed rows that are finished.

        Args:
            changed: Rows whose state has changed.
            now: Present time of the store.
        """
        states = {row.new.id: row.state for row in changed}
        finished = [row for row in changed if row.finished]
        released = [task for row in finished for task in self._follow(row, row, now)]
        return Completed(states, released)

    def _follow(self, row: Row, origin: Row, now: datetime) -> list[Enqueued]:
        """Release or close the dependents of a finished row, and wake a run that waits for it.

        Args:
            row: The finished row.
            origin: The row that failed first.
            now: Present time of the store.
        """
        released = self._enqueue_callbacks(row, origin, now) if origin.fails else []
        waiting = self.known([row.new.awaited_by] if row.new.awaited_by else [])
        released += [run.enqueued(now) for run in waiting if not run.finished and run.receive_signal(now)]
        for child in self.known(row.new.children):
            if not child.pending_parents or child.finished:
                continue
            if row.state is State.SUCCESS:
                child.pending_parents -= 1
                if not child.pending_parents:
                    child.release(now, [self[parent].result or "null" for parent in child.new.parents])
                    released.append(child.enqueued(now))
            else:
                child.close(row.state, now, _parent_failure(origin))
                gathered = child.new.result_argument == "results"
                child.details = msgspec.json.encode({"origin": origin.new.id, "gathered": gathered}).decode()
                released += self._follow(child, origin, now)
        return released

    def _enqueue_callbacks(self, row: Row, origin: Row, now: datetime) -> list[Enqueued]:
        new = [callback.for_failure_of(origin.new.id, publish=has_url(callback.queue)) for callback in row.new.on_error]
        started = [Row.of(task, now) for task in new if task.id not in self]
        self.update({callback.new.id: callback for callback in started})
        return [callback.enqueued(now) for callback in started]

    def redrive(self, conditions: TaskFilter, count: int, now: datetime) -> list[Enqueued]:
        """Reset tasks that failed or were revoked to PENDING; see `decant.tasks.store.Store`."""
        matching = sorted((row for row in self.values() if row.matches(conditions)), key=lambda row: row.new.id)
        found = matching[:count]
        roots = {row.new.root_id for row in found} - {None}
        failed = [row for row in self.values() if row.unsuccessful]
        chosen = [row for row in failed if row in found or row.new.root_id in roots]
        unfinished = {row.new.id for row in chosen} | {row.new.id for row in self.values() if not row.finished}
        refused = {row.new.root_id for row in chosen if self._refuse(row)}
        reopened = [row for row in chosen if row.new.root_id not in refused and not self._has_unique_rival(row)]
        for row in reopened:
            row.reopen(now, unfinished)
        return [row.enqueued(now) for row in reopened]

    def _refuse(self, row: Row) -> bool:
        """Whether results that it needs have been deleted."""
        deleted = len(row.new.parents) - len(self.known(row.new.parents)) if row.pending_parents else 0
        if deleted and row.failure is not None:
            parents = len(row.new.parents)
            message = f"It cannot be redriven: {deleted} of the {parents} tasks that it waits for have been deleted."
            row.failure = Failure(row.failure.type, message)
        return deleted > 0

    def _has_unique_rival(self, row: Row) -> bool:
        """Whether an unfinished task has its unique key."""
        key = row.new.unique_key
        rivals = (other for other in self.values() if other.new.unique_key == key and not other.finished)
        return key is not None and any(other.new.name == row.new.name for other in rivals)


def find_existing(task: NewTask, rows: Iterable[Row]) -> Row | None:
    """The row that has the id or a key of a new task."""

    def same(row: Row) -> bool:
        other = row.new
        if other.id == task.id:
            return True
        if task.idempotency_key is not None and task.idempotency_key == other.idempotency_key:
            return task.name == other.name
        unique = task.unique_key is not None and task.unique_key == other.unique_key
        return unique and task.name == other.name and not row.finished

    return next(filter(same, rows), None)


def _parent_failure(origin: Row) -> Failure:
    failed = origin.state is State.FAILURE
    end = "failed" if failed else "has expired" if origin.fails else "was revoked"
    message = f"Task {origin.new.id} ({origin.new.name}), whose result it needs, {end}."
    return Failure("ParentFailed" if failed else "TaskRevoked", message)
