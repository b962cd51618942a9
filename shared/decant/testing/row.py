"""A row of the store in memory, which behaves as one of PostgreSQL."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from decant.config import load
from decant.tasks.lists import Summary, TaskFilter
from decant.tasks.options import MAX_DELAY_S, TaskSettings, has_url
from decant.tasks.records import (
    EXPIRED,
    FINISHED,
    Claimed,
    Enqueued,
    Failure,
    NewTask,
    Outcome,
    State,
    Unclaimed,
)
from decant.tasks.status import Status
from decant.testing.stored_steps import StoredStep
from decant.workflows.records import StepKey
from decant.workflows.store import Signal

__all__ = ["Row"]

_A_LIFETIME = timedelta(days=50 * 365)


@dataclass(eq=False)
class Row:
    """A task; the columns are described in the migration that creates `decant.task`."""

    new: NewTask
    eta: datetime
    expires: datetime | None
    max_retries: int | None
    args: str
    kwargs: str
    pending_parents: int
    date_created: datetime
    state: State = State.PENDING
    retries: int = 0
    lost_count: int = 0
    attempt: int = 0
    publish_count: int = 0
    publish_at: datetime | None = None
    lease_expires_at: datetime | None = None
    revoked: bool = False
    terminate: bool = False
    progress: str | None = None
    details: str | None = None
    result: str | None = None
    failure: Failure | None = None
    date_started: datetime | None = None
    date_done: datetime | None = None
    signalled: int = 0
    suspended: bool = False
    retried_at: datetime | None = None
    steps: dict[StepKey, StoredStep] = field(default_factory=dict)
    signals: dict[UUID, Signal] = field(default_factory=dict)
    taken: set[UUID] = field(default_factory=set)

    @classmethod
    def of(cls, new: NewTask, now: datetime) -> "Row":
        """The row of a new task."""
        eta = new.eta or now + timedelta(seconds=new.countdown_s)
        row = cls(new, eta, new.expires, new.max_retries, new.args, new.kwargs, len(new.parents), now)
        if not new.parents:
            row.expire_from(now)
            row.wait(eta, now, publish=new.publish)
        return row

    @property
    def waiting(self) -> bool:
        """Whether it can be claimed once it is due."""
        return self.publish_at is not None

    @property
    def unsuccessful(self) -> bool:
        """Whether it ended in FAILURE or REVOKED."""
        return self.state in {State.FAILURE, State.REVOKED}

    @property
    def fails(self) -> bool:
        """Whether its error callbacks are enqueued: it failed or expired, and was not revoked by a caller."""
        return self.state is State.FAILURE or (self.failure is not None and self.failure.type == EXPIRED)

    @property
    def finished(self) -> bool:
        """Whether it is in a final state."""
        return self.state in FINISHED

    @property
    def is_stuck(self) -> bool:
        """Whether the run of a workflow does not continue by the passing of time."""
        changed = self.failure is not None and self.failure.type == "WorkflowChanged"
        return changed or (self.suspended and self.eta > self.date_created + _A_LIFETIME)

    @property
    def traceparent(self) -> str | None:
        """The span that enqueued it."""
        return self.new.options.get("traceparent")

    @property
    def has_dependents(self) -> bool:
        """Whether it has child tasks, error callbacks, or a run that waits for it."""
        return bool(self.new.children or self.new.on_error or self.new.awaited_by)

    def read[T: msgspec.Struct](self, record: type[T], **computed: Any) -> T:
        """A record of this row: its fields are read from the row, else from the task that was inserted."""
        names = set(record.__struct_fields__) - computed.keys()
        stored = {name: getattr(self if hasattr(self, name) else self.new, name) for name in names}
        return record(**stored, **computed)

    def expire_from(self, start: datetime) -> None:
        """Count a relative `expires` from this time; an absolute one takes precedence."""
        if self.new.expires is None and self.new.expires_in_s is not None:
            self.expires = start + timedelta(seconds=self.new.expires_in_s)

    def wait(self, eta: datetime, now: datetime, *, publish: bool) -> None:
        """Be due at `eta`; a published task is published again some time later."""
        delayed_message = publish and eta <= now + timedelta(seconds=MAX_DELAY_S)
        self.eta, self.publish_at = eta, eta + self.republish_after() if delayed_message else eta

    @staticmethod
    def republish_after() -> timedelta:
        """Time after which a task that was not claimed is published again."""
        return timedelta(seconds=load(TaskSettings).republish_after_s)

    def enqueued(self, now: datetime, *, publish: bool | None = None) -> Enqueued:
        """The row as it is published."""
        published = self.publish_at is not None and self.publish_at > self.eta
        return self.read(Enqueued, due_in_s=self._due_in_s(now), publish=published if publish is None else publish)

    def claim(self, now: datetime, lease_s: float) -> Claimed:
        """Claim it."""
        self.state, self.attempt, self.publish_at, self.date_started = State.STARTED, self.attempt + 1, None, now
        self.lease_expires_at = now + timedelta(seconds=lease_s)
        options = msgspec.json.encode(self.new.options).decode() if self.new.options else None
        return self.read(Claimed, expired=self.expires is not None and self.expires <= now, options=options)

    def unclaimed(self, now: datetime, *, paused: bool, backlog: int) -> Unclaimed:
        """The row as it is read when it was not claimed."""
        return self.read(Unclaimed, due_in_s=self._due_in_s(now), paused=paused, backlog=backlog)

    def _due_in_s(self, now: datetime) -> float:
        return (self.eta - now).total_seconds()

    def complete(self, outcome: Outcome, now: datetime) -> None:
        """Write the outcome of its run."""
        ran, self.lease_expires_at = outcome.state is State.RETRY, None
        self.failure, self.result, self.details = outcome.failure, outcome.result, outcome.details
        self.args, self.kwargs = outcome.args or self.args, outcome.kwargs or self.kwargs
        self.max_retries = self.max_retries if outcome.max_retries is None else outcome.max_retries
        if outcome.state in FINISHED or self.revoked:
            self.close(outcome.state if outcome.state in FINISHED else State.REVOKED, now)
            return
        self.retries += ran
        self.retried_at = now if ran else self.retried_at
        self.publish_count = 0
        self.state = State.RETRY if self.retries else State.PENDING
        self.suspended = outcome.signalled == self.signalled
        delay_s = outcome.delay_s if self.suspended or outcome.signalled is None else 0
        self.wait(now + timedelta(seconds=delay_s), now, publish=outcome.publish)

    def receive_signal(self, now: datetime) -> bool:
        """Count a signal to a run of a workflow; whether the run was suspended, and is due now."""
        resumes = self.suspended and self.waiting
        self.signalled, self.suspended = self.signalled + 1, False
        if resumes:
            self.wait(now, now, publish=has_url(self.new.queue))
        return resumes

    def close(self, state: State, now: datetime, failure: Failure | None = None) -> None:
        """Move it to a final state."""
        self.state, self.date_done, self.publish_at, self.lease_expires_at = state, now, None, None
        self.failure = failure or self.failure

    def release(self, now: datetime, results: Sequence[str]) -> None:
        """Be due, with the results of its parents before its arguments."""
        if self.new.result_argument is not None:
            first = results[0] if self.new.result_argument == "result" else f"[{','.join(results)}]"
            rest = self.args[1:-1]
            self.args = f"[{first},{rest}]" if rest else f"[{first}]"
        self.expire_from(now)
        eta = max(self.eta, now + timedelta(seconds=self.new.countdown_s))
        self.wait(eta, now, publish=has_url(self.new.queue))

    def wait_for(self, parent: UUID, name: str) -> None:
        """Wait for another task, and run again under another name with its result."""
        root_id = self.new.root_id or self.new.id
        self.new = msgspec.structs.replace(
            self.new, name=name, parents=(parent,), result_argument="result", root_id=root_id, countdown_s=0
        )
        self.state = State.RETRY if self.retries else State.PENDING
        self.args, self.kwargs, self.pending_parents = "[]", "{}", 1
        self.lease_expires_at = self.publish_at = self.expires = None

    def lose_worker(self, now: datetime) -> None:
        """Retry or close it, because its lease has expired."""
        counted = not any(step.new.attempt == self.attempt and step.new.kind != "begun" for step in self.steps.values())
        self.lost_count, self.publish_count, self.lease_expires_at = self.lost_count + counted, 0, None
        message = f"The worker of run {self.attempt} was lost: it was killed, or its time ran out."
        self.failure = Failure("TaskRevoked" if self.revoked else "WorkerLost", message)
        if self.revoked:
            self.close(State.REVOKED, now)
        elif counted and self.max_retries is not None and self.retries >= self.max_retries:
            self.close(State.FAILURE, now)
        else:
            self.retries += counted
            self.state, self.eta, self.publish_at = State.RETRY if self.retries else State.PENDING, now, now

    def matches(self, conditions: TaskFilter) -> bool:
        """Whether it was unsuccessful and meets the conditions."""
        done, error = self.date_done, self.failure and self.failure.type
        return (
            self.unsuccessful
            and (conditions.ids is None or self.new.id in conditions.ids)
            and conditions.name in {None, self.new.name}
            and conditions.error in {None, error}
            and (conditions.since is None or (done is not None and done >= conditions.since))
            and (conditions.until is None or (done is not None and done < conditions.until))
        )

    def reopen(self, now: datetime, unfinished: Collection[UUID]) -> None:
        """Reset it to PENDING; `attempt` is kept."""
        if self.fails:
            self.new = msgspec.structs.replace(self.new, on_error=())
        self.state, self.date_done, self.failure, self.expires = State.PENDING, None, None, None
        self.retries = self.lost_count = self.publish_count = 0
        self.revoked = self.terminate = False
        last = max((step.new.seq for step in self.steps.values() if step.new.error is None), default=-1)
        self.steps = {key: step for key, step in self.steps.items() if not step.fails_after(last)}
        self.eta, self.pending_parents = now, sum(parent in unfinished for parent in self.new.parents)
        if not self.pending_parents:
            self.wait(now, now, publish=has_url(self.new.queue))

    def status(self) -> Status:
        """The row as `AsyncResult.status` returns it."""
        decoded = {name: value and msgspec.json.decode(value) for name, value in self._encoded().items()}
        return self.read(Status, **decoded)

    def _encoded(self) -> dict[str, str | None]:
        return {"result": self.result, "progress": self.progress, "details": self.details}

    def summary(self) -> Summary:
        """The row as `list_tasks` returns it."""
        failure = self.failure
        return self.read(Summary, error_type=failure and failure.type, error=failure and failure.message)

    def leased_to(self, attempt: int) -> bool:
        """Whether the run with this attempt still has the lease."""
        return self.attempt == attempt and self.state is State.STARTED
