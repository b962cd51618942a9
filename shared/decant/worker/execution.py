"""A run of a claimed task: the call, its time limits, and its outcome."""

import asyncio
import logging
import math
import time
from functools import partial
from typing import Any, Self

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from decant import db
from decant._sync.threads import run_in_thread
from decant.errors import DatabaseUnavailable, PoolExhausted, TaskStopped, TimeLimitExceeded
from decant.observability import correlation_ids
from decant.runtime import Context
from decant.tasks.context import Ended, Run, check_finished, running
from decant.tasks.publish import publish
from decant.tasks.records import CancelReason, Claimed, Completed, Outcome, State
from decant.tasks.store import is_temporary, store
from decant.tasks.task import Task
from decant.tasks.threads import task_threads
from decant.tasks.transaction import kept_open
from decant.worker import outcomes
from decant.worker.interruptible import Interruptible

__all__ = ["Deadline", "Execution", "describe"]

log = logging.getLogger("decant.tasks")

_GRACE_S = 0.5
"""Seconds that a cancelled run may take to end."""


_PAUSE_S = 5.0
"""Seconds until a task whose transaction could not begin is due again."""


class Deadline:
    """The time by which all outcomes must be recorded.

    Args:
        seconds: Seconds from now; infinity for a process without a time limit.
    """

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    @classmethod
    def of(cls, context: Context) -> Self:
        """The time at which Lambda kills the invocation."""
        return cls(context.get_remaining_time_in_millis() / 1000)

    def earlier(self, seconds: float) -> "Deadline":
        """A deadline of its own that lies so many seconds before this one."""
        return Deadline(self.remaining_s() - seconds)

    def remaining_s(self) -> float:
        """Seconds until the deadline; negative after it."""
        return self._at - time.monotonic()

    def shorten(self, seconds: float) -> None:
        """Let the deadline be at most this many seconds from now."""
        self._at = min(self._at, time.monotonic() + seconds)


class _LeaseLost(Exception):
    """Rolls back the transaction of a run whose lease was lost."""


class Execution:
    """A run.

    Args:
        claimed: The claimed task.
        task: Its definition.
        deadline: When the run must have ended.
    """

    def __init__(self, claimed: Claimed, task: Task[..., Any], deadline: Deadline) -> None:
        self.claimed = claimed
        self._task = task
        self._options = task.options if claimed.options is None else task.options.of_call(claimed.options)
        self._own_limit_s = self._options.time_limit or math.inf
        self._deadline = deadline
        self._least_s = min(self._own_limit_s, deadline.remaining_s() / 2)
        self._started_at: float | None = None
        self._started: asyncio.Future[None] | None = None
        self._run = Run(claimed.name, claimed.max_retries, claimed, self)
        self._interruptible: Interruptible[Outcome | None] | None = None
        self._body: asyncio.Task[Outcome | None] | None = None
        self._ending: Outcome | None = None
        self._cancelled: CancelReason | None = None

    def has_time(self) -> bool:
        """Whether the task can be started: waiting has left it half of the time, or as much as its time limit."""
        left_s = self._deadline.remaining_s()
        return left_s > 0 and left_s >= self._least_s

    def cancel(self, reason: CancelReason) -> None:
        """Cancel the run; nothing happens before its start and after its end."""
        if self._body is not None:
            self._cancelled = self._run.cancelled = reason
            self._body.cancel()

    def time_left_s(self) -> float:
        """Seconds until the run is cancelled."""
        return min(self._own_limit_s - self._seconds(), self._deadline.remaining_s())

    def end(self, outcome: Outcome | None) -> None:
        """End the run of a workflow with this outcome; with None, its lease was lost."""
        self._ending = outcome
        reason = self._cancelled = CancelReason.LEASE_LOST if outcome is None else CancelReason.SUSPENDED
        if self._body is None:  # it is being started
            asyncio.get_running_loop().call_soon(self.cancel, reason)
        else:
            self.cancel(reason)

    async def outcome(self) -> Outcome | None:
        """Run the task, in an asyncio task of its own: its context variables become those of the run.

        Returns:
            The outcome to record; None when it was recorded in the task's transaction, or the lease was lost.
        """
        if self.claimed.expired and not (self._task.resumes and self.claimed.attempt > 1):
            return outcomes.expired(self.claimed)
        correlation_ids.set((self.claimed.correlation_id, None))
        db.wait_for_turn()
        body = self._body = self._start_body()
        if not body.done():
            await self._wait(body)
        if self._ending is not None:
            return self._ending
        if not body.done() or body.cancelled():
            return self._cancelled_outcome()
        error = body.exception()
        if error is not None:
            return self._failed(error)
        if self._started_at is not None and log.isEnabledFor(logging.INFO):
            log.info("Task succeeded", extra={**describe(self.claimed), "seconds": round(self._seconds(), 3)})
        return body.result()

    def _start_body(self) -> asyncio.Task[Outcome | None]:
        run = self._run
        loop = asyncio.get_running_loop()
        if self._task.transactional:
            self._started = loop.create_future()
        if self._options.soft_time_limit is None:
            return asyncio.Task(self._call(run), loop=loop, eager_start=True)  # many tasks return without waiting
        self._interruptible = Interruptible(self._call(run))
        return asyncio.Task(self._interruptible, loop=loop, eager_start=True)

    async def _wait(self, body: asyncio.Task[Outcome | None]) -> None:
        """Wait for the end of the run, or of its time, at which it is cancelled."""
        if self._started is not None:
            waits: set[asyncio.Future[Any]] = {body, self._started}
            await asyncio.wait(waits, timeout=self._deadline.remaining_s(), return_when=asyncio.FIRST_COMPLETED)
        time_left_s = self._deadline.remaining_s()
        own_left_s = self._own_limit_s - self._seconds()
        if not body.done():
            await _end(body, min(own_left_s, time_left_s))
        if not body.done():
            self.cancel(CancelReason.TIME_LIMIT if own_left_s <= time_left_s else CancelReason.DEADLINE)
            await asyncio.wait({body}, timeout=_GRACE_S)

    def _start(self) -> None:
        """Start the time limits, right before the first line of the task's code."""
        self._started_at = time.monotonic()
        if self._started is not None:
            self._started.set_result(None)
        if self._interruptible is not None:
            self._start_soft_limit(self._interruptible)

    def _start_soft_limit(self, interruptible: Interruptible[Outcome | None]) -> None:
        loop, body, limit_s = asyncio.get_running_loop(), asyncio.current_task(), self._options.soft_time_limit
        if body is not None and limit_s is not None:
            timer = loop.call_later(limit_s, interruptible.interrupt, body, f"It ran longer than {limit_s:g} s.")
            body.add_done_callback(lambda _: timer.cancel())

    def _seconds(self) -> float:
        """Seconds since the start; 0 before it."""
        return 0.0 if self._started_at is None else time.monotonic() - self._started_at

    async def _call(self, run: Run) -> Outcome | None:
        running.set(run)
        args, kwargs = self._task.parameters.decode(self.claimed.args, self.claimed.kwargs)
        if self._options.bind:
            args = (run, *args)
        try:
            if self._task.transactional:
                return await self._call_in_transaction(run, args, kwargs)
            self._start()
            if self._task.is_async:
                return self._succeeded(run, await self._task.function(*args, **kwargs))
            work = partial(self._task.function, *args, **kwargs)
            return self._succeeded(run, await run_in_thread(task_threads(), work, interrupt=TimeLimitExceeded))
        except (SystemExit, KeyboardInterrupt) as error:  # otherwise it would end the worker
            raise TaskStopped(f"It raised {error!r}.") from error
        finally:
            if run.progress is not None:
                run.progress.close()

    async def _call_in_transaction(self, run: Run, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Outcome | None:
        async with db.session() as session:
            if not self.has_time():
                return outcomes.released(self.claimed)
            self._start()
            with kept_open(session):
                outcome = self._succeeded(run, await self._task.function(*args, **kwargs, session=session))
            completed = await self._complete(outcome, session)
            if self.claimed.id not in completed.states:
                raise _LeaseLost
        await publish(completed.released)
        return None

    async def _complete(self, outcome: Outcome, session: AsyncSession) -> Completed:
        try:
            return await store().complete([outcome], session)
        except DBAPIError as error:
            if not is_temporary(error):
                raise
            raise DatabaseUnavailable("The result could not be recorded in the task's transaction.") from error

    def _succeeded(self, run: Run, result: Any) -> Outcome:
        check_finished(run, self._task.function, result)
        encoded = None if self._options.ignore_result else self._task.parameters.encode_result(result)
        claimed = self.claimed
        return Outcome(
            id=claimed.id,
            attempt=claimed.attempt,
            state=State.SUCCESS,
            result=encoded,
            details=run.details,
            has_dependents=claimed.has_dependents,
            has_steps=run.progress is not None or claimed.attempt > 1,
        )

    def _cancelled_outcome(self) -> Outcome | None:
        match self._cancelled:
            case CancelReason.LEASE_LOST:
                self._log_lost_lease()
                return None
            case CancelReason.REVOKED:
                return outcomes.revoked(self.claimed, "It was cancelled while it ran.")
            case CancelReason.DEADLINE if self._started_at is not None:
                message = f"The invocation's time ran out after {self._seconds():.1f} s."
                return outcomes.lost(self.claimed, TimeLimitExceeded(message))
            case CancelReason.DEADLINE | CancelReason.SHUTDOWN | CancelReason.SUSPENDED:
                return outcomes.released(self.claimed)
            case CancelReason.TIME_LIMIT:
                return self._failed(TimeLimitExceeded(f"It ran longer than {self._own_limit_s:g} s."))
            case None:
                return self._failed(TaskStopped("It cancelled itself."))

    def _failed(self, error: BaseException) -> Outcome | None:
        if isinstance(error, Ended):
            return error.outcome
        if isinstance(error, _LeaseLost):
            self._log_lost_lease()
            return None
        if isinstance(error, DatabaseUnavailable) and self._task.transactional:
            return self._without_database(error)
        outcome = outcomes.failed(self.claimed, self._options, error, self._run.details)
        if outcome.state is State.RETRY:
            log.warning(
                "Task will be retried",
                extra={**describe(self.claimed), "delay_s": outcome.delay_s, "error": repr(error)},
            )
        else:
            log.error("Task failed", exc_info=error, extra=describe(self.claimed))
        return outcome

    def _without_database(self, error: DatabaseUnavailable) -> Outcome:
        if self._started_at is None:
            log.warning("Task not started; retrying", extra={**describe(self.claimed), "error": repr(error)})
            return outcomes.released(self.claimed, _PAUSE_S)
        if isinstance(error, PoolExhausted):
            return outcomes.lost(self.claimed, error)
        return outcomes.lost(self.claimed, TimeLimitExceeded("The connection was lost during its transaction."))

    def _log_lost_lease(self) -> None:
        log.warning("Lease lost; result discarded", extra=describe(self.claimed))


async def _end(body: asyncio.Task[Any], timeout_s: float) -> None:
    """Wait until the task ends, at most for this time; `asyncio.wait`, for several tasks, takes 5 µs more."""
    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    body.add_done_callback(partial(_wake, ended))
    timer = loop.call_later(timeout_s, _wake, ended) if timeout_s < math.inf else None
    try:
        await ended
    finally:
        if timer is not None:
            timer.cancel()


def _wake(waiting: asyncio.Future[None], _ended: object = None) -> None:
    if not waiting.done():
        waiting.set_result(None)


def describe(claimed: Claimed) -> dict[str, object]:
    """Fields of a run in log lines."""
    return {"task_id": str(claimed.id), "task": claimed.name, "attempt": claimed.attempt, "retries": claimed.retries}
