"""Records exchanged between the task API, the store and the worker.

All records are frozen, and their fields have Celery's names where Celery has the concept. `decant.tasks.sql` derives
its column lists and parameter types from these classes. A field is stored in the column of its JSON name, which
differs from the Python name only where `field(name=…)` sets another.

Records of which thousands are made at once have `gc=False`: they are never part of a cycle, and the garbage collector
would run for each 2,000 of them.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

import msgspec
from msgspec import Struct, field

from decant.tasks.ids import uuid7

__all__ = [
    "EXPIRED",
    "FINISHED",
    "CancelReason",
    "Claimed",
    "Completed",
    "Enqueued",
    "Failure",
    "Limit",
    "NewTask",
    "Outcome",
    "Runnable",
    "State",
    "Unclaimed",
]


class State(StrEnum):
    """State of a task. PENDING is a real row: reading an unknown id raises `TaskNotFound`."""

    PENDING = "PENDING"
    STARTED = "STARTED"
    RETRY = "RETRY"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    REVOKED = "REVOKED"


class CancelReason(StrEnum):
    """Reason for which the worker cancels a run."""

    REVOKED = "revoked"
    LEASE_LOST = "lease lost"
    TIME_LIMIT = "time limit"
    DEADLINE = "deadline"
    SUSPENDED = "suspended"
    SHUTDOWN = "shutdown"


FINISHED = frozenset({State.SUCCESS, State.FAILURE, State.REVOKED})
"""Final states. Only a redrive changes them."""

EXPIRED = "TaskExpired"
"""Type of the failure of a REVOKED task that had expired. Its error callbacks are enqueued, unlike those of a task that
was revoked by a caller."""


class NewTask(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A task to insert. It is passed to PostgreSQL as JSON, and so are the error callbacks that it contains.

    Attributes:
        args: Positional arguments, a JSON array.
        kwargs: Keyword arguments, a JSON object.
        countdown_s: Seconds until the first run, counted from the insert or from the release by its parents. `eta`,
            an aware time, takes precedence.
        expires_in_s: Seconds after which the task is not started, counted from the insert or from the release by its
            parents; `expires`, an aware time, takes precedence.
        publish: A message is sent after the commit if the task is due within the longest delay of SQS.
        options: Options of the call that replace options of the task.
        root_id: Id of its workflow.
        parents: Tasks that must succeed before the task is due.
        result_argument: Parents' results that are inserted before the positional arguments: the result of the only
            parent, or the list of all results. In an error callback: the id of the failed task is inserted.
        children: Tasks whose parent it is.
        on_error: Error callbacks, enqueued when this task fails.
        awaited_by: Run of a workflow that is woken when this task is finished.
        limit_key: Key of the limits that its claim must observe; empty without limits.
    """

    id: UUID = field(default_factory=uuid7)
    name: str
    queue: str
    args: str
    kwargs: str
    max_retries: int | None
    priority: int = 0
    countdown_s: float = 0
    eta: datetime | None = None
    expires_in_s: float | None = None
    expires: datetime | None = None
    publish: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    correlation_id: str | None = None
    group_key: str | None = None
    unique_key: str | None = None
    idempotency_key: str | None = None
    root_id: UUID | None = None
    parents: tuple[UUID, ...] = ()
    result_argument: Literal["result", "results"] | None = field(name="takes", default=None)
    children: tuple[UUID, ...] = ()
    on_error: "tuple[NewTask, ...]" = ()
    awaited_by: UUID | None = None
    limit_key: str = ""

    def for_failure_of(self, task_id: UUID, *, publish: bool) -> "NewTask":
        """This error callback, as it is enqueued for a task that failed."""
        args = msgspec.json.decode(self.args)
        encoded = msgspec.json.encode([str(task_id), *args] if self.result_argument else args).decode()
        return msgspec.structs.replace(self, args=encoded, result_argument=None, publish=publish)


class Enqueued(Struct, frozen=True, gc=False):
    """A task that was inserted, or the existing task that has the same id or key.

    Attributes:
        due_in_s: Seconds until it is due, by the database's clock.
        publish: A message must be sent for it.
        traceparent: The span that enqueued it, in the form of W3C's header; None when it was not traced.
    """

    id: UUID
    queue: str
    group_key: str | None
    due_in_s: float
    publish: bool
    traceparent: str | None = None


class Completed(Struct, frozen=True):
    """Effect of writing outcomes.

    Attributes:
        states: New state of every task whose lease was still held.
        released: Tasks that are due because of it and must be published.
        signalled: Runs of workflows that received a signal while they were being suspended; they are due at once.
    """

    states: dict[UUID, State]
    released: list[Enqueued]
    signalled: frozenset[UUID] = frozenset()


class Claimed(Struct, frozen=True):
    """A task leased to this worker.

    Attributes:
        attempt: Number of claims so far; the fencing token of every write of this run.
        expired: Its `expires` has passed, so that it must not be started.
        has_dependents: It has child tasks, error callbacks, or a run that waits for it.
        options: Options of the call that replace options of the task, a JSON object; None when there are none.
        limit_key: See `NewTask`.
        retried_at: When the last attempt that was retried has ended; None before the first.
    """

    id: UUID
    name: str
    queue: str
    attempt: int
    retries: int
    max_retries: int | None
    args: str
    kwargs: str
    priority: int
    eta: datetime
    expires: datetime | None
    expired: bool
    has_dependents: bool
    group_key: str | None
    correlation_id: str | None
    options: str | None
    limit_key: str
    retried_at: datetime | None = None


class Limit(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Limits of a task. They are passed to PostgreSQL as JSON.

    Attributes:
        name: Name of the task, with which the limit keys of its calls begin.
        concurrency: Maximum number of running tasks of a limit key.
        interval_s: Seconds between two starts in the long run.
        burst: Starts that may happen at once after a pause.
    """

    name: str
    concurrency: int | None = None
    interval_s: float | None = None
    burst: int | None = None


class Runnable(Struct, frozen=True):
    """Tasks that a worker runs.

    Attributes:
        names: Names of the tasks.
        limits: Limits of those that have any; the tasks beyond them are left out of a claim.
        queues: Queues whose due tasks the worker claims; None for all. Tasks of a message are claimed in any case.
    """

    names: Sequence[str]
    limits: Sequence[Limit] = ()
    queues: Sequence[str] | None = None


class Unclaimed(Struct, frozen=True, kw_only=True):
    """A task whose message was received and which was not claimed.

    Attributes:
        paused: Its queue is paused.
        limit_key: See `NewTask`.
        backlog: Number of waiting tasks of its limit key, up to 1,000.
    """

    id: UUID
    name: str
    queue: str
    group_key: str | None
    state: State
    due_in_s: float
    paused: bool
    limit_key: str
    backlog: int


class WorkerReport(Struct, frozen=True):
    """A worker that is alive.

    Attributes:
        id: Id of its process, a new one after a restart.
        name: Name of its function, or its host and process id.
        is_function: It runs in Lambda.
        queues: Queues of its tasks; None for all.
        concurrency: Number of tasks that it runs at once.
        running: Number of tasks that it runs.
    """

    id: UUID
    name: str
    is_function: bool
    queues: list[str] | None
    concurrency: int
    running: int


class Failure(Struct, frozen=True):
    """Error of a run that did not succeed.

    Attributes:
        type: Name of the error's class.
        traceback: Empty when no code of the task was running.
    """

    type: str
    message: str
    traceback: str = ""


class Outcome(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Outcome of a run. It is passed to PostgreSQL as JSON, in which a field with its default is NULL.

    Attributes:
        state: SUCCESS, FAILURE or REVOKED; RETRY asks for another run; PENDING releases a task that was not run.
        result: JSON.
        delay_s: Seconds until the next run, for RETRY and PENDING.
        publish: A message is sent for the next run.
        max_retries: New bound, set by the retry.
        args: New positional arguments of the next run, a JSON array.
        kwargs: New keyword arguments of the next run, a JSON object.
        details: Details of the run that `decant.celery` reads, a JSON object.
        has_dependents: The task may have child tasks, error callbacks, or a run that waits for it.
        has_steps: The task may have recorded steps.
        signalled: Number of signals that a suspended run of a workflow has seen: the next signal makes it due. None
            when it waits for none.
    """

    id: UUID
    attempt: int
    state: State
    result: str | None = None
    failure: Failure | None = None
    delay_s: float = 0
    publish: bool = False
    max_retries: int | None = None
    args: str | None = None
    kwargs: str | None = None
    details: str | None = None
    has_dependents: bool = True
    has_steps: bool = True
    signalled: int | None = None
