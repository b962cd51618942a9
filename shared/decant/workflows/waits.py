"""Waits of a workflow: for a time, and for a signal."""

import asyncio
import math
from datetime import timedelta
from typing import Any, overload

import msgspec

from decant.errors import WaitTimeout
from decant.tasks import checks
from decant.workflows.errors import decode_error, encode_error, raised_again
from decant.workflows.progress import Call, Progress, current_progress
from decant.workflows.records import Recorded, Wait
from decant.workflows.store import steps

__all__ = ["sleep", "wait_for"]

_CHECK_S = 0.5  # between two checks for a signal while another branch keeps the run in memory


async def sleep(
    seconds: float = 0, *, minutes: float = 0, hours: float = 0, days: float = 0, name: str = "sleep"
) -> None:
    """Sleep for any time; the end is recorded. A run that sleeps for more than 5 s occupies no worker.

    Args:
        seconds: Seconds; all parts are added.
        minutes: Minutes.
        hours: Hours.
        days: Days.
        name: Name of the step; concurrent branches need different names.
    """
    total_s = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
    checks.seconds("seconds", total_s)
    progress = current_progress()
    if progress is None:
        await asyncio.sleep(total_s)
        return
    call = await progress.call(name, "sleep")
    left_s = total_s
    if call.found is not None:
        left_s = progress.left_s(call.found)
    elif (earlier := await progress.record(progress.new(call, "sleep", delay_s=total_s))) is not None:
        left_s = earlier.left_s or 0
    if left_s > 0:
        await progress.wait(left_s)


@overload
async def wait_for(topic: str, /, *, timeout: float | timedelta | None = None, name: str | None = None) -> Any: ...  # noqa: ASYNC109  # it is durable
@overload
async def wait_for[T](
    topic: str,
    type: type[T],  # msgspec's name
    /,
    *,
    timeout: float | timedelta | None = None,  # noqa: ASYNC109  # it is durable
    name: str | None = None,
) -> T: ...
async def wait_for(
    topic: str,
    type: Any = Any,  # noqa: A002  # msgspec's name
    /,
    *,
    timeout: float | timedelta | None = None,  # noqa: ASYNC109  # it is durable
    name: str | None = None,
) -> Any:
    """Wait for a signal that `WorkflowRun.send` sends to this run, also if it was sent before.

    The signals of a topic are received in the order in which they were sent, each of them once.

    Args:
        topic: Topic of the signal.
        type: Type to which its payload is decoded.
        timeout: Longest wait: seconds, or a timedelta.
        name: Name of the step, by default that of the topic.
    Raises:
        WaitTimeout: no signal arrived in time; a later signal is kept for the next wait.
        RuntimeError: there is no run that could receive a signal.
    """
    progress = current_progress()
    if progress is None:
        raise RuntimeError("wait_for() needs a run: start the workflow, for example with decant.testing.memory()")
    timeout_s = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    call = await progress.call(name or f"wait_for:{checks.text('topic', topic)}", "signal")
    found = call.found
    if found is None or found.kind == "begun":
        found = await _Waiting(progress, call, topic).receive(timeout_s)
    if (error := decode_error(found)) is not None:
        raise raised_again(found.name, error)
    try:
        return msgspec.json.decode(found.result or "null", type=type)
    except msgspec.ValidationError as mismatch:
        await progress.change(f"The payload of {found.name} does not fit its type: {mismatch}.")


class _Waiting:
    def __init__(self, progress: Progress, call: Call, topic: str) -> None:
        claimed = progress.claimed
        self._progress = progress
        self._call = call
        self._wait = Wait(
            task_id=claimed.id, attempt=claimed.attempt, topic=topic, name=call.key.name, n=call.key.n, seq=call.seq
        )

    async def receive(self, timeout_s: float | None) -> Recorded:
        """Take a signal, or wait until there is one; returns what was recorded."""
        progress, loop, ends_at = self._progress, asyncio.get_running_loop(), math.inf
        if self._call.found is not None:
            ends_at = loop.time() + progress.left_s(self._call.found)
        while True:
            progress.record_patches()
            with progress.held():
                taken = await progress.batches.take(self._wait)
            if taken.signalled is None:
                return await progress.find_conflict(self._call.key)
            if taken.delivered:
                progress.made += 1
                return self._recorded(taken.result, None)
            if timeout_s is not None and math.isinf(ends_at):
                if timeout_s > steps().short_wait_s:
                    await progress.record(progress.new(self._call, "begun", delay_s=timeout_s))
                ends_at = loop.time() + timeout_s
            left_s = ends_at - loop.time()
            if left_s <= 0:
                return await self._time_out()
            await progress.wait(left_s, check_s=_CHECK_S, signalled=taken.signalled)

    async def _time_out(self) -> Recorded:
        error = encode_error(WaitTimeout(f"No signal {self._wait.topic} arrived in time."))
        new = self._progress.new(self._call, "signal", error=error)
        earlier = await self._progress.record(new)
        encoded = msgspec.json.encode(error).decode()
        return earlier or self._recorded(None, encoded)

    def _recorded(self, result: str | None, error: str | None) -> Recorded:
        return Recorded(self._wait.name, self._wait.n, self._wait.seq, "signal", result, error, None)
