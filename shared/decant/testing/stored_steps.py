"""Recorded steps of the store in memory."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import msgspec

from decant.workflows.records import NewStep, Recorded, StepStatus

__all__ = ["StoredStep"]


@dataclass(frozen=True)
class StoredStep:
    """A recorded step of a workflow."""

    new: NewStep
    due_at: datetime | None
    date_started: datetime | None
    date_done: datetime

    @property
    def result(self) -> str | None:
        """Its result, JSON."""
        return None if self.new.result is None else bytes(self.new.result).decode()

    def recorded(self, now: datetime) -> Recorded:
        """The step as a resumed run reads it."""
        new = self.new
        error = None if new.error is None else msgspec.json.encode(new.error).decode()
        left_s = None if self.due_at is None else (self.due_at - now).total_seconds()
        return Recorded(new.name, new.n, new.seq, new.kind, self.result, error, left_s)

    def status(self) -> StepStatus:
        """The step as `WorkflowRun.steps` returns it."""
        new = self.new
        return StepStatus(
            name=new.name,
            n=new.n,
            kind=new.kind,
            result=self.result and msgspec.json.decode(self.result),
            error=None if new.error is None else new.error.message,
            attempt=new.attempt,
            due_at=self.due_at,
            date_started=self.date_started,
            date_done=self.date_done,
        )

    def fails_after(self, seq: int) -> bool:
        """Whether it failed after the last step that succeeded."""
        return self.new.error is not None and self.new.kind in {"step", "child"} and self.new.seq > seq

    def copied_to(self, task_id: UUID) -> "StoredStep":
        """The step in a fork."""
        return replace(self, new=msgspec.structs.replace(self.new, task_id=task_id, attempt=1))
