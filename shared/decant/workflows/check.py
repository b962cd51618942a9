"""Check the code of workflows against the recorded steps of open runs, before a deployment.

The code of a run is executed up to its first step that has no record. No step is executed, and nothing is written.
"""

import asyncio
from collections.abc import Collection
from contextvars import copy_context
from typing import NoReturn
from uuid import UUID

import msgspec

from decant.errors import WorkflowChanged
from decant.tasks.context import Run, running
from decant.tasks.records import Claimed, Outcome
from decant.tasks.registry import registry
from decant.workflows.progress import Progress
from decant.workflows.records import Kind, Recorded
from decant.workflows.store import steps
from decant.workflows.suspension import Call

__all__ = ["Sample", "Violation", "check", "sample"]


class Sample(msgspec.Struct, frozen=True):
    """An open run with its recorded steps; `args` and `kwargs` are JSON."""

    id: UUID
    name: str
    queue: str
    args: str
    kwargs: str
    steps: list[Recorded]


class Violation(msgspec.Struct, frozen=True):
    """A run that the code does not continue.

    Attributes:
        reason: What does not match.
    """

    id: UUID
    name: str
    reason: str


async def sample(name: str | None = None, count: int = 1_000) -> list[Sample]:
    """The newest open runs, with their recorded steps.

    Args:
        name: Only runs of this workflow.
        count: Maximum number of runs.
    """
    found = await steps().open_runs(name, count)
    recorded = await steps().load([run.id for run in found])
    return [Sample(run.id, run.name, run.queue, run.args, run.kwargs, recorded[run.id]) for run in found]


async def check(samples: Collection[Sample]) -> list[Violation]:
    """The runs that the imported workflows do not continue; such a run would be suspended with `WorkflowChanged`."""
    reasons = [(run, await _check(run)) for run in samples]
    return [Violation(run.id, run.name, reason) for run, reason in reasons if reason is not None]


async def _check(run: Sample) -> str | None:
    task = registry.get(run.name)
    if task is None:
        return "No imported module defines this workflow."
    try:
        args, kwargs = task.parameters.decode(run.args, run.kwargs)
    except TypeError as error:
        return f"The arguments of the run do not fit: {error}."
    checked = _CheckedRun(run)
    context = copy_context()
    context.run(running.set, checked.run)
    body = asyncio.create_task(task.function(*args, **kwargs), context=context)
    await asyncio.wait({body})
    if checked.reason is None and not checked.ended and not body.cancelled() and checked.is_replaying:
        error_ = body.exception()
        return f"The code ends before its recorded steps: {error_!r}."
    return checked.reason


class _CheckedRun(Progress):
    """A run that ends at its first step without a record."""

    def __init__(self, given: Sample) -> None:
        claimed = msgspec.convert(
            {"id": given.id, "name": given.name, "queue": given.queue, "args": given.args, "kwargs": given.kwargs}
            | _CLAIM,
            Claimed,
        )
        self.reason: str | None = None
        self.run = Run(given.name, None, claimed, self)
        super().__init__(self.run, claimed, self)
        self.run.progress = self
        self.remember(given.steps)

    def time_left_s(self) -> float:
        """There is no limit."""
        return float("inf")

    def end(self, outcome: Outcome | None) -> None:
        """Nothing is recorded."""

    async def call(self, name: str, kind: Kind) -> Call:
        """End the run at a call without a result."""
        call = await super().call(name, kind)
        if call.found is None or call.found.kind == "begun":
            await self.release()
        return call

    async def wait(self, *_args: object, **_options: object) -> None:
        """End the run where it is suspended."""
        await self.release()

    async def change(self, reason: str) -> NoReturn:
        """Note the reason, and end the run."""
        self.reason = str(WorkflowChanged(reason))
        await self.release()


_CLAIM = {
    "attempt": 2,
    "retries": 0,
    "max_retries": None,
    "priority": 0,
    "eta": "1970-01-01T00:00:00Z",
    "expires": None,
    "expired": False,
    "has_dependents": False,
    "group_key": None,
    "correlation_id": None,
    "options": None,
    "limit_key": "",
}
