"""A worker without SQS, for a process that also serves requests: claims due tasks of the table, and sweeps it.

PostgreSQL notifies it of tasks that other processes enqueue. It also polls, for retries, tasks that are due later, and
notifications that were lost with their connection.
"""

import asyncio
import logging
import math
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NoReturn

from decant.config import load
from decant.db.notifications import listen
from decant.tasks.options import TaskSettings
from decant.tasks.publish import work_available
from decant.tasks.records import Claimed
from decant.tasks.registry import load_modules, notify, runnable
from decant.tasks.sql.notify import CHANNEL
from decant.tasks.store import TRANSIENT, store
from decant.worker.execution import Deadline
from decant.worker.presence import presence
from decant.worker.runner import Runner
from decant.worker.sweeper import sweep

__all__ = ["run_forever"]

log = logging.getLogger("decant.tasks")

_LEASE_S = 30.0  # a killed worker's tasks run again after at most this time, a sweep's interval and a poll
_HEARTBEATS = 4  # at least so many in a lease
_SWEEP_INTERVAL_S = 25  # ticks are inserted 60 s ahead, and a lease of 30 s is found expired within a minute


async def run_forever(
    poll_s: float = 1.0, *, queues: Sequence[str] | None = None, draining: asyncio.Event | None = None
) -> None:
    """Run due tasks until cancelled. The runs are then cancelled too, and their tasks released.

    A run has no time limit but the task's own. The heartbeat renews its lease; code that blocks the event loop for
    longer than the lease, 30 seconds, loses it. SIGINT cancels the worker, unless the process has its own handler.

    Args:
        poll_s: Longest time between two polls, seconds. New tasks start at once; behind a pooler, which passes no
            notifications on, those of other processes at the next poll.
        queues: Only tasks on these queues are run; None for all.
        draining: When it is set and `work_available()` too, no task is started any more, and the worker returns when
            all runs have ended.
    """
    load_modules()
    notify("init")
    lease_s = max(_LEASE_S, _HEARTBEATS * load(TaskSettings).heartbeat_s)
    running, wake = set[asyncio.Task[None]](), work_available()
    with _cancelled_by_sigint():
        background: set[asyncio.Task[None]] = {
            asyncio.create_task(_sweep_forever()),
            asyncio.create_task(listen(CHANNEL, wake.set)),
            asyncio.create_task(presence().report(0, queues)),
        }
        async with Runner(Deadline(math.inf), lease_s, run_ended=wake, queues=queues) as runner:
            try:
                notify("ready")
                while draining is None or not draining.is_set():
                    wake.clear()
                    waits = runner.awaits_places
                    if not waits and (claimed := await _claim_due(runner, queues)):
                        running.add(batch := asyncio.create_task(runner.run(claimed)))
                        batch.add_done_callback(running.discard)
                        await asyncio.sleep(0)  # many tasks return without waiting, and their slots are free then
                    if not wake.is_set():
                        await _wait(wake, poll_s if waits or runner.free <= 0 else await _pause_s(poll_s, queues))
                if running:
                    await asyncio.wait(running)
            finally:
                for each in background:
                    each.cancel()
                runner.stop()
                await asyncio.wait({*background, *running})
                await presence().withdraw()
                notify("shutdown")


@contextmanager
def _cancelled_by_sigint() -> Iterator[None]:
    """Cancel the current task on SIGINT in place of raising `KeyboardInterrupt` in the code of some task.

    Raises:
        KeyboardInterrupt: the signal was received; the block has ended.
    """
    worker, loop, received = asyncio.current_task(), asyncio.get_running_loop(), threading.Event()
    in_main = threading.current_thread() is threading.main_thread()
    if worker is None or not in_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def cancel() -> None:
        loop.remove_signal_handler(signal.SIGINT)  # a second signal interrupts code that blocks the loop
        received.set()
        worker.cancel()

    loop.add_signal_handler(signal.SIGINT, cancel)
    try:
        yield
    except asyncio.CancelledError:
        if received.is_set():
            raise KeyboardInterrupt from None
        raise
    finally:
        loop.remove_signal_handler(signal.SIGINT)


async def _claim_due(runner: Runner, queues: Sequence[str] | None) -> list[Claimed]:
    if runner.free <= 0:
        return []
    try:
        return await runner.claim_due(runner.free, queues)
    except TRANSIENT as error:
        log.warning("Could not claim tasks; retrying", extra={"error": repr(error)})
        return []


async def _pause_s(poll_s: float, queues: Sequence[str] | None) -> float:
    """Seconds until the next poll, or until the next task is due."""
    try:
        due_in_s = await store().next_due_in_s(runnable(queues), poll_s)
    except TRANSIENT:
        return poll_s
    return poll_s if due_in_s is None else max(0.0, due_in_s)


async def _wait(wake: asyncio.Event, pause_s: float) -> None:
    """Wait until a task was enqueued by this process, a run has ended, or the next poll is due."""
    with suppress(TimeoutError):
        async with asyncio.timeout(pause_s):
            await wake.wait()


async def _sweep_forever() -> NoReturn:
    while True:
        try:
            await sweep(Deadline(_SWEEP_INTERVAL_S))
        except Exception:  # a schedule of the application can raise any error
            log.exception("Could not sweep; the next sweep continues")
        work_available().set()
        await asyncio.sleep(_SWEEP_INTERVAL_S)
