"""Suspension of a run: its branches wait, no step is in progress, and the run occupies no worker until the next claim.

The code of a run is cancelled as asyncio cancels a task, which no `except Exception` catches, and its task becomes due
at the end of the first wait. The next claim runs the code again from its start, and every recorded step returns its
result.
"""

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any, NoReturn

from msgspec import Struct

from decant.config import load
from decant.tasks.context import Control, Run, running
from decant.tasks.failures import describe
from decant.tasks.options import MAX_DELAY_S, TaskSettings, has_url
from decant.tasks.records import Claimed, Outcome, State
from decant.workflows.records import Recorded, StepKey
from decant.workflows.store import steps

__all__ = ["Call", "SuspendableRun"]

_LONGEST_S = 100 * 365 * 86_400
_INTERRUPT_S = 0.3
"""Seconds before the end of the run's time at which its steps are interrupted."""


class Call(Struct, frozen=True):
    """A call of a step in this claim.

    Attributes:
        seq: Number of earlier calls.
        found: What earlier claims have recorded for it.
    """

    key: StepKey
    seq: int
    found: Recorded | None


class _Wait(Struct, frozen=True):
    """A wait of a branch.

    Attributes:
        due: Its end by the clock of the event loop; infinity when only a signal ends it.
        signalled: Number of signals that it has seen; None when no signal ends it.
    """

    due: float
    signalled: int | None


class SuspendableRun(ABC):
    """A claim of a run.

    Args:
        run: The run.
        claimed: Its task.
        control: The worker's control of the run.
    Attributes:
        made: Number of steps recorded since the claim.
        in_progress: Steps in progress, and for each the call to record when it is interrupted.
        held_by: Number of steps, statements and short waits that keep the run in memory.
    """

    def __init__(self, run: Run, claimed: Claimed, control: Control) -> None:
        self.claimed = claimed
        self.made = 0
        self.ended = False
        self._run = run
        self._control = control
        self._loop = asyncio.get_running_loop()
        self.in_progress: dict[StepKey | None, Call | None] = {}
        self.held_by = 0
        self._waits: dict[asyncio.Future[None], _Wait] = {}
        self._pause: asyncio.TimerHandle | None = None
        self._timer: asyncio.TimerHandle | None = None
        time_left_s = control.time_left_s()
        self._margin_s = min(load(TaskSettings).margin_s, time_left_s / 2)
        if math.isfinite(time_left_s):
            self._timer = self._loop.call_later(max(0.0, time_left_s - _INTERRUPT_S), self._interrupt)

    @abstractmethod
    def record_interrupted(self, calls: Collection[Call]) -> list[asyncio.Future[bool]]:
        """Record steps that are interrupted although they had all the time of the claim."""

    def close(self) -> None:
        """Stop the timers at the end of the claim."""
        self.ended = True
        for timer in (self._timer, self._pause):
            if timer is not None:
                timer.cancel()

    def check_open(self) -> None:
        """Check that the claim has not ended.

        Raises:
            CancelledError: it has; code that has caught the cancellation goes on.
        """
        if self.ended:
            raise asyncio.CancelledError("The run has ended.")

    def executing(self, call: Call, *, once: bool = False) -> "_Held":
        """Count a step as in progress; of a step with `once`, the interruption is recorded already."""
        self.in_progress[call.key] = None if once else call
        return _Held(self, call.key)

    def held(self) -> "_Held":
        """Keep the run in memory during a statement or a short wait."""
        return _Held(self, None)

    async def have_time(self, timeout_s: float | None) -> None:
        """Let a step start only when there is time for it; otherwise the next claim continues.

        The first step of a claim starts in any case, so that every claim makes progress.
        """
        if self.made and self._control.time_left_s() < (self._margin_s if timeout_s is None else timeout_s):
            await self.wait(0, wakes=False)

    async def wait(
        self, left_s: float, *, check_s: float = math.inf, signalled: int | None = None, wakes: bool = True
    ) -> None:
        """Wait in memory, or suspend the run.

        Args:
            left_s: Seconds until the end of the wait; infinity when only a signal ends it.
            check_s: Seconds until the wait returns to check its condition, while it is in memory.
            signalled: Number of signals that it has seen; None when no signal ends it.
            wakes: The wait may end in this claim; otherwise only the next claim continues.
        Raises:
            CancelledError: the run is suspended.
        """
        self.check_open()
        pause_s = max(0.0, min(left_s, check_s)) if wakes else math.inf
        if wakes and left_s <= steps().short_wait_s:
            with self.held():
                return await asyncio.sleep(pause_s)
        future: asyncio.Future[None] = self._loop.create_future()
        self._waits[future] = _Wait(self._loop.time() + left_s, signalled)
        timer = None if math.isinf(pause_s) else self._loop.call_later(pause_s, _wake, future)
        try:
            self._suspend_now_or_later()
            await future
        finally:
            del self._waits[future]
            if timer is not None:
                timer.cancel()

    def _suspend_now_or_later(self) -> None:
        """Suspend at once when the current branch is the only one."""
        current = asyncio.current_task()
        others = (task for task in asyncio.all_tasks() if task is not current)
        if any(task.get_context().get(running) is self._run for task in others):
            self.suspend_later()
        else:
            self._suspend()

    def suspend_later(self) -> None:
        """Suspend after a pause without a step; another branch may be about to start its next step."""
        if self._can_suspend():
            if self._pause is not None:
                self._pause.cancel()
            self._pause = self._loop.call_later(steps().pause_s, self._suspend)

    def _can_suspend(self) -> bool:
        return bool(self._waits) and not (self.ended or self.held_by)

    def _suspend(self) -> None:
        if self._can_suspend():
            left_s = min(wait.due for wait in self._waits.values()) - self._loop.time()
            seen = [wait.signalled for wait in self._waits.values() if wait.signalled is not None]
            self._finish(self._released(max(0.0, min(left_s, _LONGEST_S)), min(seen, default=None)))

    async def release(self, delay_s: float = 0, error: Exception | None = None) -> NoReturn:
        """End the claim: the next claim continues after a delay, and the status of the run shows the error until then.

        Raises:
            CancelledError: always.
        """
        self._finish(self._released(delay_s, error=error))
        self.check_open()
        raise AssertionError

    def lose_lease(self) -> NoReturn:
        """End the claim without an outcome.

        Raises:
            CancelledError: always.
        """
        self._finish(None)
        self.check_open()
        raise AssertionError

    def _released(self, delay_s: float, signalled: int | None = None, error: Exception | None = None) -> Outcome:
        claimed = self.claimed
        return Outcome(
            id=claimed.id,
            attempt=claimed.attempt,
            state=State.PENDING,
            failure=None if error is None else describe(error),
            delay_s=delay_s,
            publish=delay_s <= MAX_DELAY_S and has_url(claimed.queue),
            has_dependents=claimed.has_dependents,
            signalled=signalled,
        )

    def _interrupt(self) -> None:
        """The time is nearly up: the next claim continues."""
        if self.made:
            self._finish(self._released(0))
        elif self.in_progress:
            calls = [call for call in self.in_progress.values() if call is not None]
            asyncio.gather(*self.record_interrupted(calls)).add_done_callback(self._release_after)

    def _release_after(self, recording: asyncio.Future[Any]) -> None:
        if not recording.cancelled() and recording.exception() is None:
            self._finish(self._released(0))

    def _finish(self, outcome: Outcome | None) -> None:
        if not self.ended:
            self.close()
            self._control.end(outcome)
            for future in self._waits:
                future.cancel()


class _Held:
    """A block that keeps a run in memory; as a generator it would take 8 % of the processor time of a step."""

    __slots__ = ("_key", "_run")

    def __init__(self, run: SuspendableRun, key: StepKey | None) -> None:
        self._run = run
        self._key = key

    def __enter__(self) -> None:
        self._run.held_by += 1

    def __exit__(self, *_error: object) -> None:
        self._run.held_by -= 1
        self._run.in_progress.pop(self._key, None)
        self._run.suspend_later()


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
