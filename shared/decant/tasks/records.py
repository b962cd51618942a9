"""What crosses the border between tasks, their store and their worker: frozen, and named as Celery names it."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

from msgspec import Struct

__all__ = [
    "FINISHED",
    "Claimed",
    "Enqueued",
    "Failure",
    "NewTask",
    "Outcome",
    "Settled",
    "State",
    "Status",
    "Stop",
    "Unclaimed",
    "Which",
]


class State(StrEnum):
    """Where a task stands. PENDING is a real row: an id that no row has raises `TaskNotFound`."""

    PENDING = "PENDING"
    STARTED = "STARTED"
    RETRY = "RETRY"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    REVOKED = "REVOKED"


class Stop(StrEnum):
    """Why a run has to stop before its end."""

    REVOKED = "revoked"
    LOST = "lost"
    TIME_LIMIT = "time limit"
    DEADLINE = "deadline"
    SHUTDOWN = "shutdown"


FINISHED = frozenset({State.SUCCESS, State.FAILURE, State.REVOKED})
"""States that no row ever leaves, but by a redrive."""


class NewTask(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A row that is to be written; it goes to PostgreSQL as JSON, and so do the tasks of an errback that it carries.

    Attributes:
        args: Positional arguments, a JSON array.
        kwargs: Arguments by name, a JSON object.
        countdown_s: Seconds from now to the first run; `eta`, an aware time, goes before it.
        expires_in_s: Seconds from now after which it is not started any more; `expires` goes before it.
        announced: Whether a message follows at once, when it is due within what SQS can delay.
        root_id: The workflow that it belongs to.
        parents: Rows that must succeed before it is due; `countdown_s` then counts from there.
        takes: What of theirs is put before its positional arguments: the one's result, or the list of all.
        children: Rows that have it as a parent.
        on_error: Tasks to start when it fails; a `takes` of theirs means its id.
    """

    id: UUID
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
    announced: bool = False
    correlation_id: str | None = None
    group_key: str | None = None
    unique_key: str | None = None
    idempotency_key: str | None = None
    root_id: UUID | None = None
    parents: tuple[UUID, ...] = ()
    takes: Literal["result", "results"] | None = None
    children: tuple[UUID, ...] = ()
    on_error: "tuple[NewTask, ...]" = ()


class Enqueued(Struct, frozen=True):
    """A row as it was written, or the earlier one that stands for it.

    Attributes:
        due_in_s: Seconds until it is due, by the database's clock.
        announce: Whether it waits for a message.
    """

    id: UUID
    queue: str
    group_key: str | None
    due_in_s: float
    announce: bool


class Which(Struct, frozen=True, kw_only=True):
    """Which tasks are meant; what is not given does not matter.

    Attributes:
        error: Name of an error's class.
        since: Done then or later.
        until: Done before then.
    """

    ids: tuple[UUID, ...] | None = None
    name: str | None = None
    error: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class Settled(Struct, frozen=True):
    """What was written of outcomes.

    Attributes:
        states: The new state of each row that its worker still owned.
        released: Rows that are due because of that, to be announced.
    """

    states: dict[UUID, State]
    released: list[Enqueued]


class Claimed(Struct, frozen=True, kw_only=True):
    """A row that this worker owns until its lease ends.

    Attributes:
        attempt: How often it has been claimed: the fence of everything this owner writes.
        expired: Its `expires` is over: it must not run.
        leads_on: Others wait for it, or are started when it fails.
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
    leads_on: bool
    group_key: str | None
    correlation_id: str | None


class Unclaimed(Struct, frozen=True):
    """A row whose message came, and that was not claimed."""

    id: UUID
    name: str
    queue: str
    group_key: str | None
    state: State
    due_in_s: float


class Failure(Struct, frozen=True):
    """Why a run did not succeed.

    Attributes:
        type: Name of the error's class.
        message: What it said.
        traceback: Where it came from; empty when no code of the task was running.
    """

    type: str
    message: str
    traceback: str = ""


class Outcome(Struct, frozen=True, kw_only=True):
    """How a run ended; it goes to PostgreSQL as JSON.

    Attributes:
        state: SUCCESS, FAILURE or REVOKED; RETRY for another run; PENDING gives back a row that was never run.
        result: JSON.
        delay_s: Seconds until the next run, for RETRY and PENDING.
        max_retries: Bound that a retry set anew.
        leads_on: Whether others may wait for the row, or be started when it fails.
    """

    id: UUID
    attempt: int
    state: State
    result: str | None = None
    failure: Failure | None = None
    delay_s: float = 0
    announced: bool = False
    max_retries: int | None = None
    leads_on: bool = True


class Status(Struct, frozen=True, kw_only=True):
    """All that is known of one task."""

    id: UUID
    name: str
    queue: str
    state: State
    result: Any
    failure: Failure | None
    retries: int
    progress: Any
    eta: datetime
    date_created: datetime
    date_started: datetime | None
    date_done: datetime | None

    def as_json(self) -> dict[str, Any]:
        """What clients may see: everything but the traceback."""
        error = None if self.failure is None else {"type": self.failure.type, "message": self.failure.message}
        return {
            "id": str(self.id),
            "name": self.name,
            "state": self.state.value,
            "result": self.result,
            "error": error,
            "retries": self.retries,
            "progress": self.progress,
            "date_created": self.date_created.isoformat(),
            "date_started": self.date_started and self.date_started.isoformat(),
            "date_done": self.date_done and self.date_done.isoformat(),
        }
