"""Rows of the store in memory, and what follows from the end of a task for the tasks that depend on it."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from decant.tasks.options import has_url
from decant.tasks.records import Completed, Enqueued, Failure, State
from decant.testing.row import Row

__all__ = ["Rows"]


class Rows(dict[UUID, Row]):
    """All rows of a store, by their ids."""

    def known(self, ids: Iterable[UUID]) -> list[Row]:
        """Rows with these ids, without duplicates; unknown ids are left out."""
        return [self[task_id] for task_id in dict.fromkeys(ids) if task_id in self]

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


def _parent_failure(origin: Row) -> Failure:
    failed = origin.state is State.FAILURE
    end = "failed" if failed else "has expired" if origin.fails else "was revoked"
    message = f"Task {origin.new.id} ({origin.new.name}), whose result it needs, {end}."
    return Failure("ParentFailed" if failed else "TaskRevoked", message)
