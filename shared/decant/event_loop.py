"""The event loop of a runtime, the clients that belong to it, and the tasks that an invocation leaves behind on it."""

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import suppress
from inspect import iscoroutine
from typing import Any

__all__ = ["EventLoop", "LeftoverTasks", "LoopClients", "LoopThread"]

log = logging.getLogger(__name__)


class EventLoop(asyncio.SelectorEventLoop):
    """asyncio's own loop, without the turns that `run_until_complete` takes to begin and to end: 10 µs of an event.

    `run_forever` is taken apart as asyncio permits to subclasses; a loop on public API alone costs 6 to 11 % of an
    event more. `test_loop_uses_names_that_asyncio_has` checks the names with every version of Python.

    Attributes:
        started_tasks: Number of tasks that were created on the loop.

    Source: CPython gh-110771, `BaseEventLoop._run_forever_setup`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.started_tasks = 0

    def create_task[T](self, coro: Any, **options: Any) -> asyncio.Task[T]:
        """Create a task, and count it."""
        self.started_tasks += 1
        return super().create_task(coro, **options)

    def run_until_complete[T](self, work: Awaitable[T]) -> T:
        """Run an awaitable to its end."""
        if not iscoroutine(work):
            return super().run_until_complete(work)
        task: asyncio.Task[T] = asyncio.Task.__new__(asyncio.Task)  # a name for it also when its eager start raises
        self._run_forever_setup()  # type: ignore[attr-defined]  # typeshed declares the public names alone
        try:
            task.__init__(work, loop=self, eager_start=True)  # type: ignore[misc]
            while not (task.done() or self._stopping):  # type: ignore[attr-defined]
                self._run_once()  # type: ignore[attr-defined]
        except BaseException:  # SIGINT, which the task has stored too and would log as never retrieved
            if task.done() and not task.cancelled():
                task.exception()
            raise
        finally:
            self._run_forever_cleanup()  # type: ignore[attr-defined]
        if not task.done():
            raise RuntimeError("the event loop was stopped before the coroutine had ended")
        result: T = task.result()
        return result


class LeftoverTasks:
    """Finishes the tasks that an invocation leaves behind, with a warning: a frozen process runs nothing.

    Args:
        within_s: Longest wait for them, seconds. Tasks that run longer are cancelled, and waited for as long again.
    """

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s
        self._resident: set[asyncio.Task[Any]] | None = None
        self._started_before: int | None = None

    def begin(self) -> None:
        """Note the start of an invocation; tasks that run since before the first invocation may stay."""
        if self._resident is None:
            self._resident = _other_tasks()
        self._started_before = getattr(asyncio.get_running_loop(), "started_tasks", None)  # of an EventLoop

    async def finish(self) -> None:
        """Wait for the tasks that the invocation left behind, or cancel them."""
        before = self._started_before
        if before is not None and before == getattr(asyncio.get_running_loop(), "started_tasks", None):
            return  # nearly always: looking through all tasks costs a request 5 µs
        left = _other_tasks() - (self._resident or set())
        if not left:
            return
        _, late = await asyncio.wait(left, timeout=self._within_s)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=self._within_s)
        log.warning(
            "The request left tasks behind; await them, or use a task of decant.tasks",
            extra={"awaited": sorted(map(_name, left - late)), "cancelled": sorted(map(_name, late))},
        )


def _other_tasks() -> set[asyncio.Task[Any]]:
    """The tasks on the running loop, except the current task."""
    return asyncio.all_tasks() - {asyncio.current_task()}


def _name(task: asyncio.Task[Any]) -> str:
    return getattr(task.get_coro(), "__qualname__", task.get_name())


class LoopThread:
    """An event loop that runs in a thread of its own, for other threads while the runtime's own loop is in use.

    SQLAlchemy's greenlets cannot continue in another thread, so a loop with unfinished work stays in its thread.
    """

    def __init__(self) -> None:
        self._loop = EventLoop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="decant.loop", daemon=True)
        self._thread.start()

    def run[T](self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end, and return its result; the calling thread waits."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        finally:
            future.cancel()  # where a signal has ended the wait

    def close(self) -> None:
        """End the loop after its clients."""
        asyncio.run_coroutine_threadsafe(self._loop.shutdown_asyncgens(), self._loop).result()  # closes its clients
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class LoopClients:
    """Clients that were built on the same event loop.

    Attributes:
        built: The clients by their keys.
        closers: Closes the clients; the newest is called first.
    """

    def __init__(self) -> None:
        self.built: dict[object, Any] = {}
        self.closers: list[Callable[[], Awaitable[object]]] = []
        self._guard = self._close_with_the_loop()

    async def _close_with_the_loop(self) -> AsyncGenerator[None]:
        """Close the clients when the loop shuts down its asynchronous generators, which is just before it ends."""
        try:
            yield
        finally:
            await self.aclose()

    def watch(self) -> None:
        """Start the guard; on a running loop, which then refers to it."""
        with suppress(StopIteration):  # it is suspended at its `yield`
            self._guard.__anext__().send(None)

    async def aclose(self) -> None:
        """Close all clients.

        Raises:
            ExceptionGroup: some could not be closed; all others are.
        """
        errors: list[Exception] = []
        while self.closers:
            try:
                await self.closers.pop()()
            except Exception as error:  # noqa: BLE001  # the others must be closed all the same
                errors.append(error)
        self.built.clear()
        if errors:
            raise ExceptionGroup("shared clients could not be closed", errors)
