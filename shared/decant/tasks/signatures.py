"""Workflows with Celery's names: signatures, chain, group and chord. All tasks are inserted at once.

    await chain(fetch.s(1), parse.s(), group(store.s("a"), store.s("b"))).delay()
    await chord([score.s(n) for n in range(10)], total.s()).link_error(report.s()).delay()

A task is due when all its parents have succeeded. The transaction that completes the last parent releases it and
inserts the parents' results as its first argument. When a part fails, the tasks that wait for it are closed. Results
nest as the workflow does: a group passes on one list with one value per member.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, Self, Unpack
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from decant.tasks.options import CallOptions
from decant.tasks.publish import enqueue
from decant.tasks.records import NewTask
from decant.tasks.result import AsyncResult, GroupResult, WorkflowResult, enqueued
from decant.tasks.workflow import Plan, Upstream

__all__ = ["Part", "Signature", "chain", "chord", "group"]


class Definition(Protocol):
    """The task of a signature; `decant.tasks.Task`."""

    name: str

    def new(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], options: Mapping[str, Any], *, partial: bool = False
    ) -> NewTask:
        """Validate a call and return the task to insert."""


class Part(ABC):
    """A workflow or a part of a workflow."""

    def __init__(self) -> None:
        self._error_callbacks: list[Signature] = []

    def plan(self, plan: Plan, upstream: Upstream) -> Upstream:
        """Add the tasks of this part after the upstream tasks; returns the tasks for which the next part waits."""
        with plan.on_error([callback.as_error_callback() for callback in self._error_callbacks]):
            return self._plan(plan, upstream)

    @abstractmethod
    def _plan(self, plan: Plan, upstream: Upstream) -> Upstream: ...

    def link_error(self, callback: "Signature") -> Self:
        """Enqueue a task once when tasks of this part fail; its first argument is the id of the failed task."""
        self._error_callbacks.append(callback)
        return self

    def __or__(self, other: "Part") -> "chain":
        return chain(self, other)

    def delay(self) -> AsyncResult | GroupResult:
        """Insert the tasks, and publish those without parents; awaited in a coroutine, as `Task.delay` is."""
        return enqueued(self._enqueue(None))

    def apply_async(self, *, session: AsyncSession | None = None) -> AsyncResult | GroupResult:
        """Insert the tasks, in the session's transaction if there is a session; awaited in a coroutine.

        Returns:
            Handle to the last part, which also revokes the whole workflow.
        Raises:
            TypeError: arguments do not fit a task's parameters, or are not JSON.
            ValueError: an option of a part is invalid.
            DatabaseUnavailable: nothing was written, and retrying helps once PostgreSQL is back.
        """
        return enqueued(self._enqueue(session))

    async def _enqueue(self, session: AsyncSession | None) -> AsyncResult | GroupResult:
        plan = Plan()
        last = self.plan(plan, Upstream())
        await enqueue(plan.tasks(), session)
        if last.gathered:
            return GroupResult(plan.root_id, last.ids)
        return WorkflowResult(plan.root_id, last.ids[0])


class Signature(Part):
    """A call of a task, to be enqueued later."""

    task_id: UUID | None = None

    def __init__(
        self, task: Definition, args: Sequence[Any], kwargs: Mapping[str, Any], *, immutable: bool = False
    ) -> None:
        super().__init__()
        self.task = task
        self.args = args
        self.kwargs = kwargs
        self.immutable = immutable
        self.options = CallOptions()

    def set(self, **options: Unpack[CallOptions]) -> Self:
        """Set options of the call; a countdown starts when the parents have succeeded."""
        self.options |= options
        return self

    def plan(self, plan: Plan, upstream: Upstream) -> Upstream:
        """Add the task, with its error callbacks."""
        return self._plan(plan, upstream)

    def _plan(self, plan: Plan, upstream: Upstream) -> Upstream:
        fixed = self.options.keys() & {"task_id", "idempotency_key"}
        if fixed:
            raise ValueError(f"{self.task.name}: a part of a workflow cannot have the option {fixed.pop()}")
        return plan.add(self, upstream)

    async def _enqueue(self, session: AsyncSession | None) -> AsyncResult:
        """Enqueue this call by itself."""
        (task_id,) = await enqueue([self.new(partial=False)], session)
        return AsyncResult(task_id)

    def new(self, first: Sequence[object] = (), *, partial: bool) -> NewTask:
        """The task to insert; see `decant.tasks.workflow.Call`."""
        new = self.task.new((*first, *self.args), self.kwargs, self.options, partial=partial)
        callbacks = tuple(callback.as_error_callback() for callback in self._error_callbacks)
        return msgspec.structs.replace(new, on_error=callbacks)

    def as_error_callback(self) -> NewTask:
        """The task to insert when another fails; unless immutable, it receives the id of that task."""
        new = self.new(partial=not self.immutable)
        return msgspec.structs.replace(new, result_argument=None if self.immutable else "result")


class chain(Part):  # noqa: N801  # Celery's name
    """Parts that run one after another; the result of a part is the first argument of the next."""

    def __init__(self, *parts: Part) -> None:
        super().__init__()
        if not parts:
            raise ValueError("a chain needs at least one part")
        self._parts = parts

    def _plan(self, plan: Plan, upstream: Upstream) -> Upstream:
        for part in self._parts:
            upstream = part.plan(plan, upstream)
        return upstream


class group(Part):  # noqa: N801  # Celery's name
    """Parts that run concurrently; the list of their results, in order, is passed on."""

    def __init__(self, *parts: Part | Iterable[Part]) -> None:
        super().__init__()
        self._parts = [member for part in parts for member in ((part,) if isinstance(part, Part) else part)]

    def _plan(self, plan: Plan, upstream: Upstream) -> Upstream:
        if not self._parts and upstream.drafts:
            return plan.empty_group(upstream)
        upstream = plan.join(upstream)
        ends = [plan.join(part.plan(plan, upstream)) for part in self._parts]
        return Upstream(tuple(draft for end in ends for draft in end.drafts), gathered=True)


class chord(Part):  # noqa: N801  # Celery's name
    """A group, and a body that receives the list of its results after all members have succeeded."""

    def __init__(self, header: group | Iterable[Part], body: Part) -> None:
        super().__init__()
        self._header = header if isinstance(header, group) else group(header)
        self._body = body

    def _plan(self, plan: Plan, upstream: Upstream) -> Upstream:
        return self._body.plan(plan, self._header.plan(plan, upstream))
