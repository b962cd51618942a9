"""One run of one claimed row: the call, its limits, and how it ended."""

import asyncio
import logging
import math
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any

from decant import db, loop
from decant._sync.threads import run_in_thread
from decant.config import settings
from decant.errors import DatabaseUnavailable, SoftTimeLimitExceeded, TaskStopped, TimeLimitExceeded
from decant.observability import correlate
from decant.tasks.announce import announce
from decant.tasks.records import Claimed, Outcome, State, Stop
from decant.tasks.run import Run, running
from decant.tasks.store import store
from decant.tasks.task import Task
from decant.worker import verdict
from decant.worker.interruptible import Interruptible

__all__ = ["Execution", "describe"]

log = logging.getLogger("decant.tasks")

_GRACE_S = 0.5
"""How long a cancelled run may take to let go."""


class _LeaseLost(Exception):
    """Rolls back the transaction of a run that has no right to commit it any more."""


class Execution:
    """A run under way.

    Args:
        claimed: The row.
        task: What it runs.
        time_left_s: Seconds that the invocation has for it.
        transactions: Lets only so many runs hold a connection that some are left to write down how runs ended.
    """

    def __init__(
        self, claimed: Claimed, task: Task[..., Any], time_left_s: float, transactions: asyncio.Semaphore
    ) -> None:
        self.claimed = claimed
        self._task = task
        self._transactions = transactions
        self._own_limit_s = task.options.time_limit or math.inf
        self._time_left_s = time_left_s
        self._began_at = 0.0
        self._body: asyncio.Task[Outcome | None] | None = None
        self._stop: Stop | None = None

    def stop(self, why: Stop) -> None:
        """Cancel the run."""
        if self._body is not None:
            self._stop = why
            self._body.cancel()

    async def outcome(self) -> Outcome | None:
        """Run it.

        Returns:
            How it ended, still to be written down; None when that was done in its transaction, or must not be.
        """
        if self.claimed.expired:
            return verdict.revoked(self.claimed, "It had expired before it could be started.")
        with correlate(self.claimed.correlation_id), running(self.claimed) as run:
            return await self._end(self._start(run))

    def _start(self, run: Run) -> asyncio.Task[Outcome | None]:
        running_loop = asyncio.get_running_loop()
        self._began_at = running_loop.time()
        within = Interruptible(self._call(run))
        body = self._body = asyncio.Task(within, loop=running_loop, eager_start=True)  # many end without ever waiting
        soft_limit_s = self._task.options.soft_time_limit
        if soft_limit_s is not None and not body.done():
            error = SoftTimeLimitExceeded(f"It ran longer than {soft_limit_s:g} s.")
            timer = running_loop.call_at(self._began_at + soft_limit_s, within.interrupt, body, error)
            body.add_done_callback(lambda _: timer.cancel())
        return body

    async def _end(self, body: asyncio.Task[Outcome | None]) -> Outcome | None:
        if not body.done():
            await asyncio.wait({body}, timeout=min(self._own_limit_s, self._time_left_s) - self._seconds())
        if not body.done():
            self.stop(Stop.TIME_LIMIT if self._own_limit_s <= self._time_left_s else Stop.DEADLINE)
            await asyncio.wait({body}, timeout=_GRACE_S)
        if not body.done() or body.cancelled():
            return self._stopped()
        error = body.exception()
        if error is None:
            if log.isEnabledFor(logging.INFO):
                log.info("Task succeeded", extra={**describe(self.claimed), "seconds": round(self._seconds(), 3)})
            return body.result()
        return self._failed(error)

    def _seconds(self) -> float:
        return asyncio.get_running_loop().time() - self._began_at

    async def _call(self, run: Run) -> Outcome | None:
        args, kwargs = self._task.parameters.decode(self.claimed.args, self.claimed.kwargs)
        if self._task.options.bind:
            args = (run, *args)
        try:
            if self._task.transactional:
                await self._call_in_transaction(args, kwargs)
                return None
            if self._task.is_async:
                return self._succeeded(await self._task.function(*args, **kwargs))
            work = partial(self._task.function, *args, **kwargs)
            return self._succeeded(await run_in_thread(_threads(), work, interrupt=TimeLimitExceeded))
        except SystemExit as error:  # on its way up it would end the whole worker
            raise TaskStopped(f"It called sys.exit({error.code!r}).") from error

    async def _call_in_transaction(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        async with self._transactions, db.session() as session:
            outcome = self._succeeded(await self._task.function(*args, **kwargs, session=session))
            settled = await store().settle([outcome], session)
            if self.claimed.id not in settled.states:
                raise _LeaseLost
        await announce(settled.released)

    def _succeeded(self, result: Any) -> Outcome:
        kept = None if self._task.options.ignore_result else self._task.parameters.encode_result(result)
        return verdict.succeeded(self.claimed, kept)

    def _stopped(self) -> Outcome | None:
        match self._stop:
            case Stop.LOST:
                self._warn_of_lost_lease()
                return None
            case Stop.REVOKED:
                return verdict.revoked(self.claimed, "It was cancelled while it ran.")
            case Stop.SHUTDOWN:
                return verdict.gave_back(self.claimed)
            case Stop.DEADLINE:
                return verdict.lost(self.claimed, f"The invocation's time ran out after {self._time_left_s:.1f} s.")
            case Stop.TIME_LIMIT:
                return self._failed(TimeLimitExceeded(f"It ran longer than {self._own_limit_s:g} s."))
            case None:
                return self._failed(TaskStopped("It cancelled itself."))

    def _failed(self, error: BaseException) -> Outcome | None:
        if isinstance(error, _LeaseLost):
            self._warn_of_lost_lease()
            return None
        if isinstance(error, DatabaseUnavailable) and self._task.transactional:
            return verdict.lost(self.claimed, "The database went away under its transaction.")
        outcome = verdict.failed(self.claimed, self._task, error)
        if outcome.state is State.RETRY:
            log.warning(
                "Task is run again", extra={**describe(self.claimed), "delay_s": outcome.delay_s, "error": repr(error)}
            )
        else:
            log.error("Task failed", exc_info=error, extra=describe(self.claimed))
        return outcome

    def _warn_of_lost_lease(self) -> None:
        log.warning("Task was no longer this worker's; how it ended is not kept", extra=describe(self.claimed))


def describe(claimed: Claimed) -> dict[str, object]:
    """What a log line says of a run."""
    return {"task_id": str(claimed.id), "task": claimed.name, "attempt": claimed.attempt, "retries": claimed.retries}


@cache
def _threads() -> ThreadPoolExecutor:
    """Threads for plain functions, one pool per process."""
    pool = ThreadPoolExecutor(settings().task_concurrency, thread_name_prefix="task")

    async def close() -> None:  # `on_close` awaits it
        _threads.cache_clear()
        pool.shutdown(wait=False, cancel_futures=True)

    loop.on_close(close)
    return pool
