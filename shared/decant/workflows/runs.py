"""Handle to a run: signals, steps, result, fork and rewind."""

import hashlib
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from decant import db
from decant.errors import Conflict, NotFound, TaskNotFound
from decant.tasks import checks
from decant.tasks.admin import redrive
from decant.tasks.ids import uuid7
from decant.tasks.parameters import encode
from decant.tasks.publish import publish
from decant.tasks.records import State
from decant.tasks.registry import registry
from decant.tasks.result import AsyncResult
from decant.tasks.status import Status
from decant.tasks.task import Task
from decant.workflows.functions import check_length
from decant.workflows.records import StepStatus
from decant.workflows.store import Signal, steps

__all__ = ["WorkflowRun", "start_run"]


class WorkflowRun:
    """A run of a workflow, in any process.

    Args:
        id: Id of its task.
    """

    def __init__(self, id: str | UUID) -> None:  # noqa: A002  # Celery's name
        self.id = str(id)

    def __repr__(self) -> str:
        return f"WorkflowRun({self.id!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WorkflowRun) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    async def status(self) -> Status:
        """State, result and history of the run; see `AsyncResult.status`."""
        return await AsyncResult(self.id).status()

    async def result(self, timeout: float | None = None, *, propagate: bool = True) -> Any:  # noqa: ASYNC109  # Celery's
        """Wait until the run is finished; see `AsyncResult.get`."""
        return await AsyncResult(self.id).get(timeout, propagate=propagate)

    async def revoke(self, *, terminate: bool = True) -> None:
        """End the run: a suspended run at once, a running one at its next heartbeat. Its children go on.

        Args:
            terminate: Also cancel the present claim.
        """
        await AsyncResult(self.id).revoke(terminate=terminate)

    async def send(
        self,
        topic: str,
        payload: Any = None,
        *,
        id: str | UUID | None = None,  # noqa: A002  # of the signal
        session: AsyncSession | None = None,
    ) -> None:
        """Send a signal, which is kept until the run receives it with `wait_for`.

        Args:
            topic: Topic of the signal.
            payload: Any JSON of at most 256 KiB.
            id: Key of the signal: a second signal of the topic with the same key is left out.
            session: Session in whose transaction the signal is sent; until its commit, the run cannot end or continue.
        Raises:
            TaskNotFound: there is no such run.
            Conflict: the run is finished.
            TypeError: the payload is not JSON.
            ValueError: the payload is too long, or the topic is not text that PostgreSQL can store.
            DatabaseUnavailable: nothing was written, and retrying helps once PostgreSQL is back.
        """
        task_id = await self._task_id()
        encoded = encode(payload)
        check_length(f"payload of signal {topic}", encoded)
        signal = Signal(_signal_id(task_id, checks.text("topic", topic), id), task_id, topic, encoded.decode())
        session = session or db.current_session()
        resumed = await steps().send(signal, session)
        if resumed is not None:
            await publish([resumed], session)

    async def steps(self) -> list[StepStatus]:
        """The recorded steps, in the order of their calls.

        Raises:
            TaskNotFound: there is no such run.
        """
        await self.status()
        return await steps().statuses(await self._task_id())

    async def fork(
        self, *, before: str | None = None, n: int | None = None, args: Mapping[str, Any] | None = None
    ) -> "WorkflowRun":
        """Start a new run with the results of this run, for example with corrected code.

        Args:
            before: Name of a step: only the results of earlier steps are taken. By default all of them are.
            n: Number of earlier steps of that name; by default the first step of the name is meant.
            args: Arguments to replace, by name.
        Raises:
            TaskNotFound: there is no such run.
            NotFound: the run has no such step.
            TypeError: the arguments do not fit the parameters of the workflow.
        """
        task_id, arguments = await self._task_id(), None
        if args is not None:
            arguments = await self._arguments(args)
        forked = await steps().fork(task_id, uuid7(), None if before is None else (before, n), arguments)
        if forked is None:
            await self.status()
            raise NotFound(f"Run {self.id} has no step {before}.")
        await publish([forked])
        return WorkflowRun(forked.id)

    async def rewind(self, *, before: str | None = None, n: int | None = None) -> None:
        """Run a failed or revoked run again, in place.

        Args:
            before: Name of the step from which on results are deleted. By default only the errors of the last steps
                are, as by a redrive.
            n: Number of earlier steps of that name; by default the first step of the name is meant.
        Raises:
            TaskNotFound: there is no such run.
            Conflict: the run has not failed.
            NotFound: the run has no such step.
        """
        status = await self.status()
        if status.state not in {State.FAILURE, State.REVOKED}:
            raise Conflict(f"Run {self.id} is in state {status.state}: only a failed run can be rewound. Fork it.")
        if before is not None and not await steps().rewind(status.id, (before, n)):
            raise NotFound(f"Run {self.id} has no step {before}.")
        await redrive([self.id])

    async def _arguments(self, replaced: Mapping[str, Any]) -> tuple[str, str]:
        given = await steps().arguments(await self._task_id())
        task = None if given is None else registry.get(given.name)
        if given is None:
            raise TaskNotFound(self.id)
        if task is None:
            raise TypeError(f"the workflow {given.name} is not imported, so that its arguments cannot be replaced")
        bound = task.parameters.bind(msgspec.json.decode(given.args), msgspec.json.decode(given.kwargs))
        unknown = replaced.keys() - bound.arguments.keys()
        if unknown:
            raise TypeError(f"{given.name} has no parameter {', '.join(sorted(unknown))}")
        bound.arguments.update(replaced)
        return task.parameters.encode(bound.args, bound.kwargs)

    async def _task_id(self) -> UUID:
        try:
            return UUID(self.id)
        except ValueError as error:
            raise TaskNotFound(self.id) from error


async def start_run(
    task: Task[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    key: str | UUID | None,
    session: AsyncSession | None,
) -> WorkflowRun:
    """Start a run; see `Workflow.start`."""
    options: dict[str, Any] = {}
    if isinstance(key, UUID):
        options["task_id"] = key
    elif key is not None:
        options["idempotency_key"] = key
    job = await task.apply_async(args, kwargs, session=session, **options)
    return WorkflowRun(job.id)


def _signal_id(task_id: UUID, topic: str, key: str | UUID | None) -> UUID:
    """A key belongs to a topic of a run."""
    if key is None:
        return uuid7()
    return UUID(bytes=hashlib.sha256(f"{task_id}\n{topic}\n{key}".encode()).digest()[:16])
