"""Store of steps and signals: its protocol, and the store in PostgreSQL. `decant.testing` has a store in memory."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from functools import partial
from typing import Any, Protocol, cast
from uuid import UUID

import msgspec
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from decant import db
from decant.errors import Conflict, TaskNotFound
from decant.tasks.records import FINISHED, Enqueued, Failure, State
from decant.tasks.replaceable import Replaceable
from decant.tasks.store.completion import message_parameters
from decant.workflows import sql
from decant.workflows.records import NewStep, Recorded, StepKey, StepStatus, Taken, Wait

__all__ = [
    "Arguments",
    "ChildStatus",
    "NotRecorded",
    "OpenRun",
    "PostgresSteps",
    "Recording",
    "Signal",
    "StepStore",
    "StepTransaction",
    "steps",
    "using",
]

type Recording = set[tuple[UUID, str, int]]
"""Steps that were recorded: run, name and number."""


class Signal(msgspec.Struct, frozen=True):
    """A signal to a run; `payload` is JSON."""

    id: UUID
    task_id: UUID
    topic: str
    payload: str


class Arguments(msgspec.Struct, frozen=True):
    """Workflow and arguments of a run; a JSON array and a JSON object."""

    name: str
    args: str
    kwargs: str


class OpenRun(msgspec.Struct, frozen=True):
    """An unfinished run.

    Attributes:
        args: Positional arguments, a JSON array.
        kwargs: Keyword arguments, a JSON object.
        suspended: It waits for a signal.
        error: Message of its last error, for example that its code has changed.
        step_count: Number of recorded steps.
    """

    id: UUID
    name: str
    queue: str
    state: str
    args: str
    kwargs: str
    suspended: bool
    eta: datetime
    error: str | None
    step_count: int


class ChildStatus(msgspec.Struct, frozen=True):
    """State of a child.

    Attributes:
        signalled: Number of signals that its parent has received.
        state: None when the child does not exist.
        result: JSON.
    """

    signalled: int
    state: State | None
    result: str | None
    failure: Failure | None

    @property
    def finished(self) -> bool:
        """Whether the child is finished or does not exist any more."""
        return self.state is None or self.state in FINISHED


class NotRecorded(Exception):
    """Rolls back the transaction of a step whose lease was lost, or that was recorded before."""


type StepTransaction = tuple[AsyncSession, Callable[[NewStep], Awaitable[None]]]
"""The session of a step, and a function that records it."""


class StepStore(Protocol):
    """Steps and signals of runs.

    Attributes:
        short_wait_s: Longest wait that stays in memory, seconds; for longer waits the run is suspended.
        pause_s: Seconds without a step in progress after which a run with several branches is suspended.
    """

    short_wait_s: float
    pause_s: float

    async def load(self, ids: Sequence[UUID]) -> dict[UUID, list[Recorded]]:
        """Read the recorded steps of runs, in the order of their calls."""

    async def record(self, steps: Sequence[NewStep]) -> Recording:
        """Record steps whose runs hold their lease."""

    def transaction(self) -> AbstractAsyncContextManager[StepTransaction]:
        """A transaction that records a step together with its effects, and keeps the lease of the run.

        Raises:
            NotRecorded: the lease was lost, or the step was recorded before; the effects are rolled back.
        """

    async def take(self, waits: Sequence[Wait]) -> list[Taken]:
        """Take the oldest signal for every wait, and record the step that received it."""

    async def send(self, signal: Signal, session: AsyncSession | None) -> Enqueued | None:
        """Store a signal once; returns its run when that is due now and must be published.

        Raises:
            TaskNotFound: there is no such run.
            Conflict: the run is finished.
        """

    async def await_child(self, parent_id: UUID, child_id: UUID) -> ChildStatus:
        """Read the state of a child."""

    async def restart(self, task_id: UUID, attempt: int, args: str, kwargs: str) -> None:
        """Give a running run other arguments, and delete its steps."""

    async def statuses(self, task_id: UUID) -> list[StepStatus]:
        """The recorded steps of a run, in the order of their calls."""

    async def fork(
        self, task_id: UUID, new_id: UUID, before: tuple[str, int | None] | None, arguments: tuple[str, str] | None
    ) -> Enqueued | None:
        """Copy a run with its steps before the named one, or with all; None when the run or the step does not exist."""

    async def rewind(self, task_id: UUID, before: tuple[str, int | None]) -> bool:
        """Delete the steps of a failed run from the named one on; whether there were any."""

    async def arguments(self, task_id: UUID) -> Arguments | None:
        """The workflow and the arguments of a run; None when there is no such run."""

    async def open_runs(self, name: str | None, count: int) -> list[OpenRun]:
        """Unfinished runs that have recorded steps, newest first."""

    async def find(self, name: str, key: str) -> UUID | None:
        """Id of the run of this name that was started with a key."""


class PostgresSteps:
    """Rows of the tables `decant.step` and `decant.signal`; see `StepStore` for the methods."""

    short_wait_s = 5.0
    pause_s = 0.1

    async def load(self, ids: Sequence[UUID]) -> dict[UUID, list[Recorded]]:
        found: dict[UUID, list[Recorded]] = {task_id: [] for task_id in ids}
        for row in await db.execute(sql.LOAD, {"ids": list(ids)}):
            task_id, *fields = cast("Sequence[Any]", row.values())
            found[task_id].append(Recorded(*fields))
        return found

    async def record(self, steps: Sequence[NewStep]) -> Recording:
        # A step may end while it is recorded as interrupted; only its end is kept. The rows of the runs are locked.
        in_order = sorted(steps, key=lambda step: (step.task_id.int, step.kind != "begun"))
        rows = {(step.task_id, step.name, step.n): step for step in in_order}
        given = {"steps": _encode(list(rows.values())), "expected": len(rows)}
        (row,) = await db.execute(sql.RECORD, given, repeat_with=sql.RECORD)
        return set(rows) if row["keys"] is None else msgspec.json.decode(row["keys"], type=Recording)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[StepTransaction]:
        try:
            async with db.session() as session:
                yield session, partial(_record_last, session)
        except DBAPIError as error:
            if sql.NOT_RECORDED not in str(error.orig):
                raise
            raise NotRecorded from error

    async def take(self, waits: Sequence[Wait]) -> list[Taken]:
        rows = await db.execute(sql.TAKE, {"waits": _encode(waits)})
        found = {
            (row["task_id"], StepKey(row["name"], row["n"])): Taken(row["signalled"], row["delivered"], row["result"])
            for row in rows
        }
        lost = Taken(None, delivered=False, result=None)
        return [found.get((wait.task_id, StepKey(wait.name, wait.n)), lost) for wait in waits]

    async def send(self, signal: Signal, session: AsyncSession | None) -> Enqueued | None:
        given = msgspec.structs.asdict(signal) | message_parameters()
        rows = await db.execute(sql.SEND, given, session, repeat_with=sql.SEND)
        if rows:
            resumed = Enqueued(**{name: rows[0][name] for name in Enqueued.__struct_fields__})
            return resumed if rows[0]["resumes"] else None
        known = await db.execute(sql.LOOK_UP_SIGNAL, {"id": signal.id, "task_id": signal.task_id}, session)
        if not known:
            raise TaskNotFound(str(signal.task_id))
        if not known[0]["sent"]:
            raise Conflict(f"Run {signal.task_id} has ended in {known[0]['state']}, and receives no signals.")
        return None

    async def await_child(self, parent_id: UUID, child_id: UUID) -> ChildStatus:
        (row,) = await db.execute(sql.AWAIT_CHILD, {"parent_id": parent_id, "id": child_id})
        type_, state = row["error_type"], row["state"]
        failure = None if type_ is None else Failure(type_, row["error"], row["traceback"])
        return ChildStatus(row["signalled"], None if state is None else State(state), row["result"], failure)

    async def restart(self, task_id: UUID, attempt: int, args: str, kwargs: str) -> None:
        await db.execute(sql.RESTART, {"id": task_id, "attempt": attempt, "args": args, "kwargs": kwargs})

    async def statuses(self, task_id: UUID) -> list[StepStatus]:
        rows = await db.execute(sql.STEPS, {"id": task_id})
        return [StepStatus(**{**row, "result": row["result"] and msgspec.json.decode(row["result"])}) for row in rows]

    async def fork(
        self, task_id: UUID, new_id: UUID, before: tuple[str, int | None] | None, arguments: tuple[str, str] | None
    ) -> Enqueued | None:
        name, n = before or (None, None)
        args, kwargs = arguments or (None, None)
        given = {"id": task_id, "new_id": new_id, "name": name, "n": n, "args": args, "kwargs": kwargs}
        rows = await db.execute(sql.FORK, given | message_parameters())
        return Enqueued(*rows[0].values()) if rows else None

    async def rewind(self, task_id: UUID, before: tuple[str, int | None]) -> bool:
        return bool(await db.execute(sql.REWIND, {"id": task_id, "name": before[0], "n": before[1]}))

    async def arguments(self, task_id: UUID) -> Arguments | None:
        rows = await db.execute(sql.ARGUMENTS, {"id": task_id})
        return Arguments(*rows[0].values()) if rows else None

    async def open_runs(self, name: str | None, count: int) -> list[OpenRun]:
        return [OpenRun(**row) for row in await db.execute(sql.OPEN_RUNS, {"name": name, "count": count})]

    async def find(self, name: str, key: str) -> UUID | None:
        rows = await db.execute(sql.FIND, {"name": name, "key": key})
        return rows[0]["id"] if rows else None


steps = Replaceable[StepStore](PostgresSteps)
"""The store of the current runtime."""
using = steps.using


_LONGEST_LITERAL = 8_000  # RDS Proxy dedicates a connection to a client that sends a statement of 16 KiB


async def _record_last(session: AsyncSession, step: NewStep) -> None:
    if len(bytes(step.result or b"")) <= _LONGEST_LITERAL:
        db.execute_last(session, sql.record_last(step))
    elif not await db.execute(sql.RECORD_IN_TRANSACTION, {"steps": _encode([step])}, session):
        raise NotRecorded


def _encode(rows: Sequence[msgspec.Struct]) -> str:
    return msgspec.json.encode(rows).decode()
