"""The process's one event loop, and what must be closed before the process ends or is frozen into a snapshot.

Every request, every task and every shared client of a process lives on this loop, so that connections made in one
invocation serve the next. Nothing here or elsewhere calls `asyncio.run`, which would unset it. Under an ASGI server or
in an async test the process's loop is the one that runs already.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from inspect import iscoroutine
from typing import Any

__all__ = ["Strays", "close", "current", "end", "on_close", "run"]

log = logging.getLogger(__name__)

_loop: asyncio.AbstractEventLoop | None = None
_closers: list[Callable[[], Awaitable[None]]] = []
_started_tasks = 0


def current() -> asyncio.AbstractEventLoop:
    """The running loop, or else the process's own, made at first use and set as the thread's current one again."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        asyncio.set_event_loop(_own())
        return _own()


def run[T](work: Coroutine[object, object, T]) -> T:
    """Run a coroutine to its end on the process's loop, from code outside it."""
    return _own().run_until_complete(work)


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


class Strays:
    """Finishes the tasks that an invocation leaves behind, with one warning: a frozen process runs nothing.

    Args:
        within_s: Longest wait for them, seconds; then they are cancelled, and waited for as long again.
    """

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s
        self._resident: set[asyncio.Task[Any]] | None = None
        self._started_before = 0

    def begin(self) -> None:
        """Take note that an invocation begins; tasks that run since before the first one may stay."""
        if self._resident is None:
            self._resident = _others()
        self._started_before = _started_tasks

    async def finish(self) -> None:
        """Wait for what the invocation left behind, or cancel it."""
        if _started_tasks == self._started_before and asyncio.get_running_loop().get_task_factory() is _start_task:
            return  # nearly always: looking through all tasks costs a request 5 µs
        stray = _others() - (self._resident or set())
        if not stray:
            return
        _, late = await asyncio.wait(stray, timeout=self._within_s)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=self._within_s)
        log.warning(
            "The request left tasks behind; await them, or use a task of decant.tasks",
            extra={"awaited": sorted(map(_name, stray - late)), "cancelled": sorted(map(_name, late))},
        )


class _Loop(asyncio.SelectorEventLoop):
    """asyncio's own loop, which begins at once what it is to run, and ends with it.

    asyncio's `run_until_complete` takes one turn to begin and another to end: 10 µs of every event. `run_forever` is
    here taken apart in the way that asyncio offers to subclasses.
    Source: CPython gh-110771, `BaseEventLoop._run_forever_setup`.
    """

    def run_until_complete[T](self, work: Awaitable[T]) -> T:
        if not iscoroutine(work):
            return super().run_until_complete(work)
        self._run_forever_setup()  # type: ignore[attr-defined]  # typeshed knows the public names alone
        try:
            task = asyncio.Task(work, loop=self, eager_start=True)
            while not (task.done() or self._stopping):  # type: ignore[attr-defined]
                self._run_once()  # type: ignore[attr-defined]
        finally:
            self._run_forever_cleanup()  # type: ignore[attr-defined]
        if not task.done():
            raise RuntimeError("the event loop was stopped before what it ran had ended")
        result: T = task.result()
        return result


def _own() -> asyncio.AbstractEventLoop:
    global _loop  # noqa: PLW0603  # one loop per process is what this module is for
    if _loop is None:
        _loop = _Loop()
        _loop.set_task_factory(_start_task)
    return _loop


def _start_task[T](
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T], **options: Any
) -> "asyncio.Future[T]":
    """Start a task as the loop would by itself, and count it."""
    global _started_tasks  # noqa: PLW0603  # likewise
    _started_tasks += 1
    return asyncio.Task(work, loop=loop, **options)


def _others() -> set[asyncio.Task[Any]]:
    """The tasks on the running loop, but for the one that asks."""
    return asyncio.all_tasks() - {asyncio.current_task()}


def _name(task: asyncio.Task[Any]) -> str:
    return getattr(task.get_coro(), "__qualname__", task.get_name())
