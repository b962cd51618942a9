"""Rows in memory, which behave as PostgreSQL's do: the same conditions, the same fences."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from decant.tasks.records import FINISHED, Claimed, Enqueued, Failure, NewTask, Outcome, State, Status, Unclaimed, Which
from decant.tasks.sqs import REACH_S, can_announce

__all__ = ["Row"]


@dataclass(eq=False)
class Row:
    """One task; see the migration that creates `decant.task` for what each field is."""

    new: NewTask
    eta: datetime
    expires: datetime | None
    max_retries: int | None
    args: str
    waits_for: int
    date_created: datetime
    state: State = State.PENDING
    retries: int = 0
    losses: int = 0
    attempt: int = 0
    wakeups: int = 0
    wake_at: datetime | None = None
    lease_expires_at: datetime | None = None
    revoked: bool = False
    terminate: bool = False
    progress: str | None = None
    result: str | None = None
    failure: Failure | None = None
    date_started: datetime | None = None
    date_done: datetime | None = None

    @classmethod
    def of(cls, new: NewTask, now: datetime, patience: timedelta) -> "Row":
        """The row of a new task."""
        expires = new.expires
        if expires is None and new.expires_in_s is not None:
            expires = now + timedelta(seconds=new.expires_in_s)
        eta = new.eta or now + timedelta(seconds=new.countdown_s)
        row = cls(new, eta, expires, new.max_retries, new.args, len(new.parents), now)
        if not new.parents:
            row.wait(eta, now, patience, announced=new.announced)
        return row

    @property
    def waiting(self) -> bool:
        """Whether it can be claimed once it is due."""
        return self.wake_at is not None

    @property
    def dead(self) -> bool:
        """Whether it has ended, and not well."""
        return self.state in {State.FAILURE, State.REVOKED}

    @property
    def finished(self) -> bool:
        """Whether it has ended."""
        return self.state in FINISHED

    def wait(self, eta: datetime, now: datetime, patience: timedelta, *, announced: bool) -> None:
        """Be due then; when announced, look out for the message for a while before sending another."""
        reached = announced and eta <= now + timedelta(seconds=REACH_S)
        self.eta, self.wake_at = eta, eta + patience if reached else eta

    def enqueued(self, now: datetime, *, announce: bool | None = None) -> Enqueued:
        """The row as those who announce it see it."""
        ahead = self.wake_at is not None and self.wake_at > self.eta
        due_in_s = (self.eta - now).total_seconds()
        return Enqueued(
            self.new.id, self.new.queue, self.new.group_key, due_in_s, ahead if announce is None else announce
        )

    def claim(self, now: datetime, lease_s: float) -> Claimed:
        """Take it."""
        self.state, self.attempt, self.wake_at, self.date_started = State.STARTED, self.attempt + 1, None, now
        self.lease_expires_at = now + timedelta(seconds=lease_s)
        shared = {name: getattr(self.new, name) for name in ("id", "name", "queue", "kwargs", "priority")}
        shared |= {name: getattr(self.new, name) for name in ("group_key", "correlation_id")}
        shared |= {
            name: getattr(self, name) for name in ("attempt", "retries", "max_retries", "args", "eta", "expires")
        }
        expired = self.expires is not None and self.expires <= now
        return Claimed(**shared, expired=expired, leads_on=bool(self.new.children or self.new.on_error))

    def unclaimed(self, now: datetime) -> Unclaimed:
        """The row as those who could not claim it see it."""
        new = self.new
        return Unclaimed(new.id, new.name, new.queue, new.group_key, self.state, (self.eta - now).total_seconds())

    def settle(self, outcome: Outcome, now: datetime, patience: timedelta) -> None:
        """Write how its run ended."""
        ran, self.lease_expires_at = outcome.state is State.RETRY, None
        self.failure, self.result = outcome.failure, outcome.result
        self.max_retries = self.max_retries if outcome.max_retries is None else outcome.max_retries
        if outcome.state in FINISHED or self.revoked:
            self.close(outcome.state if outcome.state in FINISHED else State.REVOKED, now)
            return
        self.retries += ran
        self.wakeups = 0
        self.state = State.RETRY if self.retries else State.PENDING
        self.wait(now + timedelta(seconds=outcome.delay_s), now, patience, announced=outcome.announced)

    def close(self, state: State, now: datetime, failure: Failure | None = None) -> None:
        """End it."""
        self.state, self.date_done, self.wake_at, self.lease_expires_at = state, now, None, None
        self.failure = failure or self.failure

    def release(self, now: datetime, patience: timedelta, results: Sequence[str]) -> None:
        """Be due, with the results of its parents before its arguments."""
        if self.new.takes is not None:
            first = results[0] if self.new.takes == "result" else f"[{','.join(results)}]"
            rest = self.args[1:-1]
            self.args = f"[{first},{rest}]" if rest else f"[{first}]"
        eta = max(self.eta, now + timedelta(seconds=self.new.countdown_s))
        self.wait(eta, now, patience, announced=can_announce(self.new.queue))

    def lose(self, now: datetime) -> None:
        """Be taken from its worker."""
        self.losses, self.wakeups, self.lease_expires_at = self.losses + 1, 0, None
        message = f"The worker of run {self.attempt} was lost: it was killed, or its time ran out."
        self.failure = Failure("TaskRevoked" if self.revoked else "WorkerLost", message)
        if self.revoked:
            self.close(State.REVOKED, now)
        elif self.max_retries is not None and self.retries >= self.max_retries:
            self.close(State.FAILURE, now)
        else:
            self.state, self.retries, self.eta, self.wake_at = State.RETRY, self.retries + 1, now, now

    def matches(self, which: Which) -> bool:
        """Whether it ended badly and is among those that are meant."""
        return (
            self.dead
            and (which.ids is None or self.new.id in which.ids)
            and which.name in {None, self.new.name}
            and (which.error is None or (self.failure is not None and self.failure.type == which.error))
            and (which.since is None or (self.date_done is not None and self.date_done >= which.since))
            and (which.until is None or (self.date_done is not None and self.date_done < which.until))
        )

    def reopen(self, now: datetime, patience: timedelta, unfinished: Collection[UUID]) -> None:
        """Be as if it were new, but for its attempts."""
        self.state, self.date_done, self.failure, self.expires = State.PENDING, None, None, None
        self.retries = self.losses = self.wakeups = 0
        self.revoked = self.terminate = False
        self.eta, self.waits_for = now, sum(parent in unfinished for parent in self.new.parents)
        if not self.waits_for:
            self.wait(now, now, patience, announced=can_announce(self.new.queue))

    def status(self) -> Status:
        """All that is known of it."""
        shared: dict[str, Any] = {"id": self.new.id, "name": self.new.name, "queue": self.new.queue}
        for name in ("state", "failure", "retries", "eta", "date_created", "date_started", "date_done"):
            shared[name] = getattr(self, name)
        for name in ("result", "progress"):
            encoded = getattr(self, name)
            shared[name] = None if encoded is None else msgspec.json.decode(encoded)
        return Status(**shared)

    def owned_by(self, attempt: int) -> bool:
        """Whether a run still owns it."""
        return self.attempt == attempt and self.state is State.STARTED
