"""The process's one event loop, and what must be closed before the process ends or is frozen into a snapshot.

Every request, every task and every shared client of a process lives on this loop, so that connections made in one
invocation serve the next. Nothing here or elsewhere calls `asyncio.run`, which would unset it. Under an ASGI server or
in an async test the process's loop is the one that runs already.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine

__all__ = ["Tasks", "close", "current", "end", "on_close", "others", "run", "settle"]

log = logging.getLogger(__name__)

type Tasks = set[asyncio.Task[object]]

_loop: asyncio.AbstractEventLoop | None = None
_closers: list[Callable[[], Awaitable[None]]] = []


def current() -> asyncio.AbstractEventLoop:
    """The running loop, or else the process's own, made at first use and set as the thread's current one again."""
    global _loop  # noqa: PLW0603  # one loop per process is what this module is for
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        if _loop is None:
            _loop = asyncio.new_event_loop()
        asyncio.set_event_loop(_loop)
        return _loop


def run[T](work: Coroutine[object, object, T]) -> T:
    """Run a coroutine to its end on the process's loop, from code outside it."""
    return current().run_until_complete(work)


def others() -> Tasks:
    """The tasks on the running loop, but for the one that asks."""
    tasks = asyncio.all_tasks()
    if len(tasks) == 1:  # nearly always: this is asked for every request
        return set()
    return tasks - {asyncio.current_task()}


async def settle(resident: Tasks, within_s: float) -> None:
    """Finish the tasks that an invocation left behind, for a frozen process runs nothing; with one warning.

    Args:
        resident: Tasks that were there before it and may stay.
        within_s: Longest wait, seconds; then they are cancelled, and waited for as long again.
    """
    stray = others() - resident
    if not stray:
        return
    _, late = await asyncio.wait(stray, timeout=within_s)
    for task in late:
        task.cancel()
    if late:
        await asyncio.wait(late, timeout=within_s)
    log.warning(
        "The request left tasks behind; await them, or use a task of decant.tasks",
        extra={"awaited": sorted(map(_name, stray - late)), "cancelled": sorted(map(_name, late))},
    )


def on_close(closer: Callable[[], Awaitable[None]]) -> None:
    """Register what closes a shared client; `close` calls the newest first, each once."""
    _closers.append(closer)


async def close() -> None:
    """Close every shared client; each is built anew at its next use.

    Raises:
        ExceptionGroup: some could not be closed; all others are.
    """
    errors: list[Exception] = []
    while _closers:
        try:
            await _closers.pop()()
        except Exception as error:  # noqa: BLE001  # whatever it is, the others must be closed
            errors.append(error)
    if errors:
        raise ExceptionGroup("shared clients could not be closed", errors)


def end() -> None:
    """Close every shared client and the loop itself, with its tasks and timers; the next use makes a new one.

    Raises:
        ExceptionGroup: some clients could not be closed; all others are, and the loop.
    """
    global _loop  # noqa: PLW0603  # likewise
    try:
        with asyncio.Runner(loop_factory=current) as runner:
            runner.run(close())
    finally:
        _loop = None


def _name(task: asyncio.Task[object]) -> str:
    return getattr(task.get_coro(), "__qualname__", task.get_name())
