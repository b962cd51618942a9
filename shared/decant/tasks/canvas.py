"""Workflows, with Celery's names: chain, group and chord, written as rows all at once.

    await chain(fetch.s(1), parse.s(), group(store.s("a"), store.s("b"))).delay()
    await chord([score.s(n) for n in range(10)], total.s()).link_error(tell.s()).delay()

Each row waits until every parent has succeeded; the transaction in which the last of them ends releases it, with their
results as its first argument. A part that fails closes whatever waits for it. Results nest as the workflow does: a
group hands on one list with one value a member.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, Unpack

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from decant.tasks.delivery import Delivery
from decant.tasks.enqueue import enqueue
from decant.tasks.plan import Plan, Upstream
from decant.tasks.records import NewTask
from decant.tasks.result import AsyncResult
from decant.tasks.workflow_result import GroupResult, WorkflowResult

if TYPE_CHECKING:
    from decant.tasks.task import Task

__all__ = ["Part", "Signature", "chain", "chord", "group"]


class Part(ABC):
    """Whatever a workflow is made of, and a workflow itself."""

    def __init__(self) -> None:
        self._errbacks: list[Signature] = []

    @abstractmethod
    def plan(self, plan: Plan, upstream: Upstream) -> Upstream:
        """Draft the rows of this part, after those that are upstream; what the next one waits for."""

    def link_error(self, errback: "Signature") -> Self:
        """Start a task when any row of this fails, once however many do; its first argument is the id of that row."""
        self._errbacks.append(errback)
        return self

    def __or__(self, other: "Part") -> "chain":
        return chain(self, other)

    async def delay(self) -> AsyncResult | GroupResult:
        """Write the rows; those that wait for none are announced."""
        return await self.apply_async()

    async def apply_async(self, *, session: AsyncSession | None = None) -> AsyncResult | GroupResult:
        """Write the rows, in the session's transaction if there is one.

        Returns:
            Handle to the last part, which also revokes the whole.
        Raises:
            TypeError: arguments do not fit a task's parameters, or are no JSON.
            ValueError: an option of a part is wrong.
            DatabaseUnavailable: PostgreSQL is away; nothing was written, and retrying helps once it is back.
        """
        plan = Plan()
        last = self.plan(plan, Upstream())
        await enqueue(plan.rows([errback.as_errback() for errback in self._errbacks]), session)
        if last.gathered:
            return GroupResult(plan.root_id, last.ids)
        return WorkflowResult(plan.root_id, last.ids[0])


class Signature(Part):
    """One call of a task, to be made later."""

    def __init__(
        self, task: "Task[..., Any]", args: Sequence[Any], kwargs: Mapping[str, Any], *, immutable: bool = False
    ) -> None:
        super().__init__()
        self.task = task
        self.args = args
        self.kwargs = kwargs
        self.immutable = immutable
        self.delivery = Delivery()

    def set(self, **delivery: Unpack[Delivery]) -> Self:
        """Options of `apply_async`; a countdown counts from the end of what is waited for."""
        self.delivery |= delivery
        return self

    def plan(self, plan: Plan, upstream: Upstream) -> Upstream:
        """Draft one row."""
        fixed = self.delivery.keys() & {"task_id", "idempotency_key"}
        if fixed:
            raise ValueError(f"{self.task.name}: a part of a workflow cannot have a {fixed.pop()}: its row is its own")
        return plan.add(self, upstream)

    async def apply_async(self, *, session: AsyncSession | None = None) -> AsyncResult:
        """Put this one call on its queue."""
        (task_id,) = await enqueue([self.new(self.args, partial=False)], session)
        return AsyncResult(task_id)

    def new(self, args: Sequence[Any], *, partial: bool) -> NewTask:
        """Its row; a partial one gets another argument before the first."""
        new = self.task.new(args, self.kwargs, self.delivery, partial=partial)
        return msgspec.structs.replace(new, on_error=tuple(errback.as_errback() for errback in self._errbacks))

    def as_errback(self) -> NewTask:
        """Its row when it is started because of an error."""
        return msgspec.structs.replace(
            self.new(self.args, partial=not self.immutable), takes=None if self.immutable else "result"
        )


class chain(Part):  # noqa: N801  # Celery's name
    """Parts one after the other, each with the result of the one before as its first argument."""

    def __init__(self, *parts: Part) -> None:
        super().__init__()
        if not parts:
            raise ValueError("a chain needs at least one part")
        self._parts = parts

    def plan(self, plan: Plan, upstream: Upstream) -> Upstream:
        """Draft each part after the one before."""
        for part in self._parts:
            upstream = part.plan(plan, upstream)
        return upstream


class group(Part):  # noqa: N801  # Celery's name
    """Parts side by side; the list of their results, in order, is what is handed on."""

    def __init__(self, *parts: Part | Iterable[Part]) -> None:
        super().__init__()
        self._parts = [one for part in parts for one in ((part,) if isinstance(part, Part) else part)]

    def plan(self, plan: Plan, upstream: Upstream) -> Upstream:
        """Draft each part after what is upstream of all."""
        if not self._parts and upstream.drafts:
            return plan.nothing(upstream)
        upstream = plan.join(upstream)
        ends = [plan.join(part.plan(plan, upstream)) for part in self._parts]
        return Upstream(tuple(draft for end in ends for draft in end.drafts), gathered=True)


class chord(Part):  # noqa: N801  # Celery's name
    """A group, and a body that gets the list of its results once all of them have succeeded."""

    def __init__(self, header: group | Iterable[Part], body: Part) -> None:
        super().__init__()
        self._header = header if isinstance(header, group) else group(header)
        self._body = body

    def plan(self, plan: Plan, upstream: Upstream) -> Upstream:
        """Draft the group and, after it, the body."""
        return self._body.plan(plan, self._header.plan(plan, upstream))
