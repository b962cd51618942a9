"""Plain functions as tasks: run in threads, and told there of their soft limit.

What blocks in C, a socket without a timeout or a long `time.sleep`, only hears of it when it returns; and a thread that
nothing can end goes on after its run was given up.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from decant import loop
from decant.config import settings
from decant.errors import SoftTimeLimitExceeded, TimeLimitExceeded

__all__ = ["call_in_thread"]

_pool: ThreadPoolExecutor | None = None


async def call_in_thread(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Call a function in a thread, with the context variables of the caller."""
    call = _Call(lambda: function(*args, **kwargs))
    done = asyncio.get_running_loop().run_in_executor(_threads(), copy_context().run, call.run)
    while True:
        try:
            return await asyncio.shield(done)
        except SoftTimeLimitExceeded:
            if done.done():
                raise
            call.interrupt(SoftTimeLimitExceeded)
        except asyncio.CancelledError:
            call.interrupt(TimeLimitExceeded)
            raise


class _Call:
    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._thread: int | None = None

    def run(self) -> Any:
        with self._lock:
            self._thread = threading.get_ident()
        try:
            return self._work()
        finally:
            with self._lock:
                self._thread = None  # from here on the thread is another call's

    def interrupt(self, error: type[Exception]) -> None:
        """Raise an error in the thread, at its next line of Python.

        Source: Python/C API, PyThreadState_SetAsyncExc.
        """
        import ctypes  # noqa: PLC0415  # no worker starts with it, and few tasks are ever interrupted

        with self._lock:
            if self._thread is not None:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread), ctypes.py_object(error))


def _threads() -> ThreadPoolExecutor:
    global _pool  # noqa: PLW0603  # one pool per process
    if _pool is None:
        _pool = ThreadPoolExecutor(settings().task_concurrency, thread_name_prefix="task")
        loop.on_close(_close)
    return _pool


async def _close() -> None:
    global _pool  # likewise
    closed, _pool = _pool, None
    if closed is not None:
        closed.shutdown(wait=False, cancel_futures=True)
