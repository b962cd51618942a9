"""Wait for a coroutine from any code, also from code that runs on an event loop, which is then blocked meanwhile."""

import threading
from asyncio import _get_running_loop
from collections.abc import Coroutine
from typing import Any

from greenlet import getcurrent

from decant import runtime
from decant._sync.greenlets import AwaitingGreenlet, await_

__all__ = ["wait"]


def wait[T](work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end and return its result.

    In synchronous views and tasks, and in the main thread, it runs as with `decant.asgi.await_`. In a coroutine, which
    blocks its event loop meanwhile, and in other threads it runs on the event loop of a thread of its own, which has
    connections of its own.
    """
    in_bridge = isinstance(getcurrent(), AwaitingGreenlet)
    if _get_running_loop() is None and (in_bridge or threading.current_thread() is threading.main_thread()):
        return await_(work)
    return runtime.current().run_in_thread(work)
