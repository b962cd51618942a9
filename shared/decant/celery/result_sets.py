"""Handles to several tasks: `ResultSet` and `GroupResult`."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Self

from decant.celery import groups
from decant.celery.async_result import AsyncResult, ResultBase
from decant.celery.blocking import wait

if TYPE_CHECKING:
    from decant.celery.app import Celery

__all__ = ["GroupResult", "ResultSet", "allow_join_result", "denied_join_result", "result_from_tuple"]


class ResultSet(ResultBase):
    """Several results."""

    def __init__(self, results: Iterable[Any], app: "Celery | None" = None, **_kwargs: Any) -> None:
        self.app = app
        self.results: list[Any] = list(results)

    def add(self, result: Any) -> None:
        """Add a result, once."""
        if result not in self.results:
            self.results.append(result)

    def remove(self, result: Any) -> None:
        """Remove a result, given itself or its id.

        Raises:
            KeyError: it is not in the set.
        """
        try:
            self.results.remove(result)
        except ValueError:
            raise KeyError(result) from None

    def discard(self, result: Any) -> None:
        """Remove a result if it is in the set."""
        if result in self.results:
            self.results.remove(result)

    def update(self, results: Iterable[Any]) -> None:
        """Add results."""
        self.results.extend(result for result in results if result not in self.results)

    def clear(self) -> None:
        """Remove all results."""
        self.results[:] = []

    def ready(self) -> bool:
        """Whether all tasks have ended."""
        return all(result.ready() for result in self.results)

    def waiting(self) -> bool:
        """Whether a task has not ended."""
        return any(not result.ready() for result in self.results)

    def successful(self) -> bool:
        """Whether all tasks have succeeded."""
        return all(result.successful() for result in self.results)

    def failed(self) -> bool:
        """Whether a task has failed."""
        return any(result.failed() for result in self.results)

    def completed_count(self) -> int:
        """Number of tasks that have succeeded."""
        return sum(int(result.successful()) for result in self.results)

    def maybe_throw(self, callback: Any = None, propagate: bool = True) -> None:
        """Raise the error of the first task that has one."""
        for result in self.results:
            result.maybe_throw(callback=callback, propagate=propagate)

    maybe_reraise = maybe_throw

    def forget(self) -> None:
        """Delete the rows of all tasks."""
        for result in self.results:
            result.forget()

    def revoke(self, connection: Any = None, terminate: bool = False, signal: Any = None, **options: Any) -> None:
        """Prevent all tasks from being started."""
        del options
        for result in self.results:
            result.revoke(connection, terminate, signal)

    def get(
        self,
        timeout: float | None = None,
        propagate: bool = True,
        interval: float = 0.5,
        callback: Any = None,
        **options: Any,
    ) -> list[Any]:
        """Wait until all tasks have ended; returns their results in order.

        Args:
            timeout: Longest wait, seconds; None waits without limit.
            propagate: Raise the first error; otherwise it is in the list.
            interval: No effect.
            callback: Called with the id and the result of every task, in place of the list.
            options: No effect.
        """
        del interval, options
        values = []
        for result, left_s in _with_deadline(self.results, timeout):
            value = result.get(timeout=left_s, propagate=propagate)
            if callback is None:
                values.append(value)
            else:
                callback(result.id, value)
        return values

    join = join_native = get

    def iter_native(self, timeout: float | None = None, **_options: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        """Ids of the tasks with their states and results, in order."""
        for result, left_s in _with_deadline(self.results, timeout):
            value = result.get(timeout=left_s, propagate=False)
            yield (
                result.id,
                {
                    "task_id": result.id,
                    "status": result.state,
                    "result": value,
                    "traceback": result.traceback,
                    "children": [],
                },
            )

    def __iter__(self) -> Iterator[Any]:
        return iter(self.results)

    def __getitem__(self, index: int) -> Any:
        return self.results[index]

    def __len__(self) -> int:
        return len(self.results)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ResultSet) and other.results == self.results

    def __hash__(self) -> int:
        return hash(tuple(self.results))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: [{', '.join(str(result) for result in self.results)}]>"


def _with_deadline(results: Sequence[Any], timeout_s: float | None) -> Iterator[tuple[Any, float | None]]:
    """The results, each with the seconds that are left."""
    end = None if timeout_s is None else time.monotonic() + timeout_s
    for result in results:
        yield result, None if end is None else max(0.0, end - time.monotonic())


class GroupResult(ResultSet):
    """The results of a group.

    Args:
        id: Id of the group.
        results: Results of its members.
        parent: Result of the previous part of a workflow.
        app: The app.
    """

    def __init__(
        self,
        id: str | None = None,
        results: Iterable[Any] | None = None,
        parent: Any = None,
        app: "Celery | None" = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(results or (), app=app, **kwargs)
        self.id = id
        self.parent = parent

    @property
    def children(self) -> list[Any]:
        """Results of the members."""
        return self.results

    def save(self, backend: Any = None) -> Self:
        """Store the ids of the members, for `restore`."""
        del backend
        wait(groups.save(str(self.id), self.as_tuple()))
        return self

    def delete(self, backend: Any = None) -> None:
        """Undo `save`."""
        del backend
        wait(groups.delete(str(self.id)))

    @classmethod
    def restore(cls, id: str, backend: Any = None, app: "Celery | None" = None) -> "GroupResult | None":
        """The group of this id that was saved; None when there is none."""
        del backend
        stored = wait(groups.restore(id))
        return None if stored is None else result_from_tuple(stored, app)

    def as_tuple(self) -> Any:
        """The ids of the group, its parents and its members, as JSON."""
        return (self.id, self.parent and self.parent.as_tuple()), [result.as_tuple() for result in self.results]

    def as_list(self) -> list[str]:
        """The ids of the members."""
        return [result.id for result in self.results]

    def __bool__(self) -> bool:
        return bool(self.id or self.results)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, GroupResult):
            return other.id == self.id and other.results == self.results and other.parent == self.parent
        return isinstance(other, str) and other == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __str__(self) -> str:
        return str(self.id)

    def __repr__(self) -> str:
        return f"<GroupResult: {self.id} [{', '.join(str(result) for result in self.results)}]>"


def allow_join_result() -> AbstractContextManager[None]:
    """A block in which a task may wait for results, as it may everywhere."""
    return nullcontext()


denied_join_result = allow_join_result


def result_from_tuple(r: Any, app: "Celery | None" = None) -> Any:
    """A result from the ids that `as_tuple` returned."""
    if isinstance(r, ResultBase):
        return r
    head, members = r
    task_id, parent = head if isinstance(head, list | tuple) else (head, None)
    above = result_from_tuple(parent, app) if parent else None
    if members is not None:
        return GroupResult(task_id, [result_from_tuple(member, app) for member in members], parent=above, app=app)
    return AsyncResult(task_id, app=app, parent=above)
