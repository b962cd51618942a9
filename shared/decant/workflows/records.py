"""Records of steps and signals; the fields are stored in columns of the same name, as in `decant.tasks.records`."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from msgspec import Struct

__all__ = ["Kind", "NewStep", "Recorded", "StepError", "StepKey", "StepStatus", "Taken", "Wait"]

type Kind = Literal["step", "begun", "sleep", "signal", "patch", "child"]
"""Kinds of rows. A row of kind "begun" belongs to a step that has not ended: it was interrupted, waits for its next
try, or waits for a signal until a time. The result of the step replaces it."""


class StepKey(Struct, frozen=True, gc=False):
    """Key of a step within its run.

    Attributes:
        name: Its name.
        n: Number of earlier calls with this name.
    """

    name: str
    n: int


class StepError(Struct, frozen=True, omit_defaults=True):
    """Error of a step.

    Attributes:
        type: Module and qualified name of the class, `package.module:Name`.
        args: Arguments of the error, as far as they are JSON.
        state: Attributes of the error that are JSON.
        tries: Number of tries so far.
    """

    type: str
    message: str
    traceback: str = ""
    args: list[Any] | None = None
    state: dict[str, Any] | None = None
    tries: int = 0


class NewStep(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A step to record. It is passed to PostgreSQL as JSON.

    Attributes:
        seq: Number of earlier calls of the run, for display and for forks.
        attempt: The claim of the run; the fencing token.
        result: JSON; None for null.
        delay_s: Seconds from now until the end of a sleep or a wait, or until the next try.
        seconds: Duration of the step.
    """

    task_id: UUID
    name: str
    n: int
    seq: int
    attempt: int
    kind: Literal["step", "begun", "sleep", "signal", "patch", "child"]
    result: msgspec.Raw | None = None
    error: StepError | None = None
    delay_s: float | None = None
    seconds: float | None = None

    @property
    def key(self) -> StepKey:
        """The key of the step."""
        return StepKey(self.name, self.n)


class Recorded(Struct, frozen=True):
    """A recorded step, as a resumed run reads it.

    Attributes:
        result: JSON; None for null.
        left_s: Seconds until `due_at`, negative after it.
    """

    name: str
    n: int
    seq: int
    kind: str
    result: str | None
    error: str | None
    left_s: float | None

    @property
    def key(self) -> StepKey:
        """The key of the step."""
        return StepKey(self.name, self.n)


class Wait(Struct, frozen=True, kw_only=True):
    """A call of `wait_for` that takes a signal if there is any. It is passed to PostgreSQL as JSON."""

    task_id: UUID
    attempt: int
    topic: str
    name: str
    n: int
    seq: int


class Taken(Struct, frozen=True):
    """What a call of `wait_for` has found.

    Attributes:
        signalled: Number of signals sent to the run so far; None when its lease was lost.
        delivered: A signal was taken.
        result: Payload of the signal, JSON.
    """

    signalled: int | None
    delivered: bool
    result: str | None


class StepStatus(Struct, frozen=True, kw_only=True):
    """A recorded step, for users.

    Attributes:
        n: Number of earlier steps of this name.
        kind: Kind of the row; "begun" for a step that was interrupted or waits.
        error: Message of its error.
        attempt: The claim of the run in which it was recorded.
        due_at: End of the sleep or the wait, or time of the next try.
    """

    name: str
    n: int
    kind: str
    result: Any
    error: str | None
    attempt: int
    due_at: datetime | None
    date_started: datetime | None
    date_done: datetime
