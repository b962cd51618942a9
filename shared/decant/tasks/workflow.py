"""Plan of a workflow: its tasks with their parents and children, before any of them is inserted."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, Protocol
from uuid import UUID

import msgspec

from decant.observability import correlation_id
from decant.tasks.ids import uuid7, uuid7s
from decant.tasks.options import TaskOptions, is_published
from decant.tasks.records import NewTask

__all__ = ["JOIN", "Call", "Plan", "Upstream"]

JOIN = "decant.join"
"""Name of the task that returns its argument: it collects the results of several tasks."""


class Call(Protocol):
    """A call in a workflow; `decant.tasks.signatures.Signature`.

    Attributes:
        immutable: Results of parents are not passed to it.
        task_id: Id that was chosen for its task.
    """

    immutable: bool
    task_id: UUID | None

    def new(self, first: Sequence[object] = (), *, partial: bool) -> NewTask:
        """The task to insert.

        Args:
            first: Arguments that are put before the call's own.
            partial: Another argument will be inserted before the first.
        """


class _Join:
    immutable = False
    task_id: UUID | None = None

    def new(self, first: Sequence[object] = (), *, partial: bool) -> NewTask:
        del partial  # it has this argument in any case
        queue = TaskOptions().queue
        return NewTask(
            name=JOIN,
            queue=queue,
            args=msgspec.json.encode(first).decode(),
            kwargs="{}",
            max_retries=None,
            publish=is_published(queue),
            correlation_id=correlation_id(),
        )


class _Draft:
    def __init__(
        self,
        new: NewTask,
        parents: Sequence["_Draft"],
        result_argument: Literal["result", "results"] | None,
        chosen_id: UUID | None = None,
    ) -> None:
        self.new = new
        self.chosen_id = chosen_id
        self.parents = parents
        self.result_argument = result_argument
        self.children: list[_Draft] = []
        self.id: UUID
        self.on_error: tuple[NewTask, ...] = new.on_error
        for parent in parents:
            parent.children.append(self)


class Upstream(msgspec.Struct, frozen=True):
    """Tasks for which the next part waits.

    Attributes:
        drafts: The tasks; empty at the start.
        gathered: Their results are passed on as a list; otherwise the result of the only task is.
    """

    drafts: tuple[_Draft, ...] = ()
    gathered: bool = False

    @property
    def ids(self) -> list[UUID]:
        """Ids of the tasks, after `Plan.tasks` has assigned them."""
        return [draft.id for draft in self.drafts]


class Plan:
    """A workflow under construction.

    Attributes:
        root_id: Id of the workflow.
    """

    def __init__(self) -> None:
        self.root_id = uuid7()
        self._drafts: list[_Draft] = []

    def add(self, call: Call, upstream: Upstream) -> Upstream:
        """Add a call that waits for the upstream tasks."""
        first: tuple[object, ...] = ()
        result_argument: Literal["result", "results"] | None = "results" if upstream.gathered else "result"
        if call.immutable or not (upstream.drafts or upstream.gathered):
            result_argument = None
        elif not upstream.drafts:
            result_argument, first = None, ([],)  # an empty group: its results are known already
        new = call.new(first, partial=result_argument is not None)
        return self._add(_Draft(new, upstream.drafts, result_argument, call.task_id))

    def join(self, upstream: Upstream) -> Upstream:
        """Add a task that collects the results of a group in one list."""
        return self.add(_Join(), upstream) if upstream.gathered else upstream

    def empty_group(self, upstream: Upstream) -> Upstream:
        """Add a task that waits for the upstream tasks and returns the empty list."""
        return self._add(_Draft(_Join().new([[]], partial=False), upstream.drafts, None))

    def _add(self, draft: _Draft) -> Upstream:
        self._drafts.append(draft)
        return Upstream((draft,))

    @contextmanager
    def on_error(self, callbacks: Sequence[NewTask]) -> Iterator[None]:
        """Give error callbacks to all tasks that are added inside the block; a callback is enqueued once."""
        start = len(self._drafts)
        yield
        for draft in self._drafts[start:]:
            draft.on_error += tuple(callbacks)

    def tasks(self) -> list[NewTask]:
        """The tasks to insert. Ids that were not chosen ascend from parents to children, the order of locking."""
        for draft, new_id in zip(self._drafts, uuid7s(len(self._drafts)), strict=True):
            draft.id = draft.chosen_id or new_id
        return [
            msgspec.structs.replace(
                draft.new,
                id=draft.id,
                root_id=self.root_id,
                parents=tuple(parent.id for parent in draft.parents),
                result_argument=draft.result_argument,
                children=tuple(child.id for child in draft.children),
                unique_key=None,  # a task of another call cannot take part in this workflow
                on_error=draft.on_error,
            )
            for draft in self._drafts
        ]
