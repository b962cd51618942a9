"""Workflows of the store in memory: release or close the tasks that depend on a finished task."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from decant.tasks.options import has_queue_url
from decant.tasks.records import Completed, Enqueued, Failure, State
from decant.testing.rows import Row

__all__ = ["known", "update_workflows"]


def known(rows: Mapping[UUID, Row], ids: Iterable[UUID]) -> list[Row]:
    """Rows with these ids, without duplicates; unknown ids are left out."""
    return [rows[task_id] for task_id in dict.fromkeys(ids) if task_id in rows]


def update_workflows(rows: dict[UUID, Row], changed: Sequence[Row], now: datetime) -> Completed:
    """Release or close the dependents of those of the changed rows that are finished.

    Args:
        rows: All rows of the store; error callbacks are added.
        changed: Rows whose state has changed.
        now: Present time of the store.
    """
    states = {row.new.id: row.state for row in changed}
    released = [task for row in changed if row.finished for task in _follow(rows, row, row, now)]
    return Completed(states, released)


def _follow(rows: dict[UUID, Row], row: Row, origin: Row, now: datetime) -> list[Enqueued]:
    """Release or close the dependents of a finished row; `origin` is the row that failed first."""
    released = _enqueue_callbacks(rows, row, origin, now) if origin.fails else []
    for child in known(rows, row.new.children):
        if not child.pending_parents or child.finished:
            continue
        if row.state is State.SUCCESS:
            child.pending_parents -= 1
            if not child.pending_parents:
                child.release(now, [rows[parent].result or "null" for parent in child.new.parents])
                released.append(child.enqueued(now))
        else:
            child.close(row.state, now, _parent_failure(origin))
            released += _follow(rows, child, origin, now)
    return released


def _enqueue_callbacks(rows: dict[UUID, Row], row: Row, origin: Row, now: datetime) -> list[Enqueued]:
    new = [
        callback.for_failure_of(origin.new.id, publish=has_queue_url(callback.queue)) for callback in row.new.on_error
    ]
    started = [Row.of(task, now) for task in new if task.id not in rows]
    rows |= {callback.new.id: callback for callback in started}
    return [callback.enqueued(now) for callback in started]


def _parent_failure(origin: Row) -> Failure:
    failed = origin.state is State.FAILURE
    end = "failed" if failed else "has expired" if origin.fails else "was revoked"
    message = f"Task {origin.new.id} ({origin.new.name}), whose result it needs, {end}."
    return Failure("ParentFailed" if failed else "TaskRevoked", message)
