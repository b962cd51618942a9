"""Run synchronous code in a worker thread; its awaitables run in the asyncio task that waits for the thread.

A thread blocked in C, such as a socket without a timeout or a long `time.sleep`, is interrupted only when it returns to
Python. Nothing can end a thread: after its caller gave up waiting it goes on by itself.
"""

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, Future
from contextvars import Context, copy_context
from functools import partial
from types import CoroutineType
from typing import Any, NamedTuple

from greenlet import getcurrent

from decant._sync.greenlets import AwaitingGreenlet, _refused, await_, run_in_greenlet

__all__ = ["run_in_thread"]


async def run_in_thread[T](
    executor: Executor,
    work: Callable[[], T],
    *,
    context: Context | None = None,
    interrupt: type[Exception] | None = None,
) -> T:
    """Run synchronous code in a worker thread; its `await_()` runs in this task.

    An error thrown in here from outside goes to the awaitable that the thread waits for. When the thread runs Python
    code, the error's class is raised there at the next line.

    Args:
        executor: The worker threads.
        work: The call.
        context: Context variables of the work and of its awaitables; None for the caller's own, not a copy.
        interrupt: Error to raise in the thread on cancellation. The call then returns at once and leaves the thread
            alone. With None, the current or next awaitable of the thread is cancelled, and the call waits for the
            thread's end, so that a request is not torn down while its view runs. (asgiref's `sync_to_async` abandons
            the thread instead.)
    Raises:
        BaseException: the error of the work.
    """
    call = _Call(work, context, interrupt)
    running = executor.submit(call.run)
    running.add_done_callback(call.finish)
    cancelled = await call.drive(running)
    try:
        if cancelled is not None:
            raise cancelled
        result: T = running.result()
        for outcome in call.posted:
            outcome.result()
        return result
    finally:
        del running, cancelled  # their tracebacks hold this frame


class _Request(NamedTuple):
    awaitable: Awaitable[Any]
    outcome: Future[Any]

    def reject(self, error: BaseException) -> None:
        if isinstance(self.awaitable, CoroutineType):
            self.awaitable.close()
        self.outcome.set_exception(error)


class _Call:
    """A call in a worker thread.

    A greenlet may hold any context, also that of a suspended task: the thread thus works in the very context of its
    caller, where `contextvars.Context.run` could only give it a copy whose tokens are worth nothing elsewhere.

    Attributes:
        requests: Awaitables of the thread, in order; None when it ended.
        posted: Outcomes of the requests that the thread does not wait for.
    """

    def __init__(self, work: Callable[[], Any], context: Context | None, interrupt: type[Exception] | None) -> None:
        self.requests: asyncio.Queue[_Request | None] = asyncio.Queue()
        self.posted: list[Future[Any]] = []
        self._work = work
        self._error = interrupt
        self._loop = asyncio.get_running_loop()
        self._context = getcurrent().gr_context if context is None else context
        self._lock = threading.Lock()
        self._thread: int | None = None
        self._waits = False
        self._interrupted = False
        self._abandoned = False
        self._next_error: BaseException | None = None

    def run(self) -> Any:
        """Do the work; in the worker thread."""
        here = _ThreadGreenlet(self._start)
        here.call = self
        here.gr_context = self._context
        with self._lock:
            self._thread = threading.get_ident()
        try:
            return here.switch()
        finally:
            with self._lock:
                if self._interrupted:
                    _set_async_exception(self._thread, None)  # not for the thread's next call
                self._thread = None

    def _start(self) -> Any:
        _move_locals_here()
        return self._work()

    def wait(self, awaitable: Awaitable[Any]) -> Any:
        """Await on the loop; in the worker thread."""
        request = _Request(awaitable, Future())
        with self._lock:
            self._waits = True
        self._loop.call_soon_threadsafe(self._receive, request)
        try:
            return request.outcome.result()
        finally:
            _move_locals_here()

    def post(self, awaitable: Awaitable[Any]) -> None:
        """Await on the loop without waiting; in the worker thread."""
        request = _Request(awaitable, Future())
        self.posted.append(request.outcome)
        self._loop.call_soon_threadsafe(self._receive, request)

    def finish(self, _running: "Future[Any]") -> None:
        """Notify the caller of the end of the work; in the worker thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.requests.put_nowait, None)

    def _receive(self, request: _Request) -> None:
        if self._abandoned:
            request.reject(self._cancellation())
        else:
            self.requests.put_nowait(request)

    async def drive(self, running: "Future[Any]") -> asyncio.CancelledError | None:
        """Serve the thread's requests until it ends; returns the cancellation that came meanwhile."""
        cancelled: asyncio.CancelledError | None = None
        while True:
            try:
                request = await self.requests.get()
            except GeneratorExit:
                self.abandon()
                raise
            except Exception as error:  # noqa: BLE001  # it belongs to the thread; a soft time limit is a cancellation too
                self.interrupt(type(error))
            except asyncio.CancelledError as error:
                if running.cancel():  # it still waited for a thread
                    raise
                if self._error is not None:
                    self.abandon()
                    raise
                self._next_error = cancelled = error
            else:
                if request is None:
                    return cancelled
                await self.serve(request)

    async def serve(self, request: _Request) -> None:
        """Await for the thread; in a greenlet, so that synchronous code that it calls may await again."""
        error, self._next_error = self._next_error, None
        if error is not None:
            self._resume(partial(request.reject, error))
            return
        try:
            result = await run_in_greenlet(partial(_await_here, request.awaitable), self._context)
        except GeneratorExit:
            self._resume(partial(request.outcome.set_exception, self._cancellation()))
            raise
        except asyncio.CancelledError as cancelled:
            if self._error is None or not _is_cancelled():
                self._resume(partial(request.outcome.set_exception, cancelled))
                return
            self._abandoned = True
            self._resume(partial(request.outcome.set_exception, self._cancellation()))
            raise
        except BaseException as failed:  # noqa: BLE001  # raised again in the thread
            self._resume(partial(request.outcome.set_exception, failed))
        else:
            self._resume(partial(request.outcome.set_result, result))

    def _resume(self, set_outcome: Callable[[], None]) -> None:
        with self._lock:
            self._waits = False
        set_outcome()

    def _cancellation(self) -> BaseException:
        return asyncio.CancelledError() if self._error is None else self._error()

    def interrupt(self, error: type[Exception]) -> None:
        """Raise an error in the thread, at its next line of Python or in place of the result that it waits for."""
        with self._lock:
            if self._waits:
                self._next_error = error()
            elif self._thread is not None:
                self._interrupted = True
                _set_async_exception(self._thread, error)

    def abandon(self) -> None:
        """Interrupt the thread if it may be; its later awaitables are cancelled."""
        self._abandoned = True
        if self._error is not None:
            self.interrupt(self._error)
        while not self.requests.empty():
            if (request := self.requests.get_nowait()) is not None:
                request.reject(self._cancellation())


class _ThreadGreenlet(AwaitingGreenlet):
    """Synchronous code in a worker thread."""

    call: _Call

    def wait(self, awaitable: Awaitable[Any]) -> Any:
        """Await in the caller's task, blocking this thread alone.

        Raises:
            RuntimeError: an event loop runs in the synchronous code; its coroutines use `await`.
        """
        if asyncio._get_running_loop() is not None:  # noqa: SLF001  # documented for event loops and their like
            raise _refused(awaitable)
        return self.call.wait(awaitable)

    def post(self, awaitable: Awaitable[Any]) -> None:
        """Await in the caller's task, and go on at once."""
        self.call.post(awaitable)


def _await_here(awaitable: Awaitable[Any]) -> Any:
    _move_locals_here()
    return await_(awaitable)


def _move_locals_here() -> None:
    """Let this thread see the data of every `asgiref.local.Local` in the context, which belongs to the last thread.

    asgiref hides such data from other threads, except where it moves work between threads itself.

    Source: asgiref 3.13, `asgiref.sync._restore_context`.
    """
    local = sys.modules.get("asgiref.local")
    if local is None or not hasattr(local, "_Storage"):
        return
    for variable, value in copy_context().items():
        if isinstance(value, local._Storage):  # noqa: SLF001  # there is no public name
            variable.set(local._rehome(value))  # noqa: SLF001  # there is no public name


def _is_cancelled() -> bool:
    """Whether the running task is asked from outside to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _set_async_exception(thread: int, error: type[Exception] | None) -> None:
    """Raise an error in a thread at its next line of Python, or take back an error that is not raised yet.

    Source: Python/C API, PyThreadState_SetAsyncExc.
    """
    import ctypes  # noqa: PLC0415  # 3 ms of import, and few calls are ever interrupted

    instead = ctypes.py_object() if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), instead)
