"""Find code of asynchronous tasks that blocks the event loop."""

import logging
import time
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any

__all__ = ["BLOCKED_S", "watched"]

log = logging.getLogger("decant.celery")

BLOCKED_S = 1.0
"""Seconds between two awaits after which a warning is logged."""


@coroutine
def watched[T](work: Coroutine[Any, Any, T], task: str) -> Generator[Any, Any, T]:
    """Run a coroutine, and log where it has kept the event loop from running anything else.

    Args:
        work: The coroutine.
        task: Name of the task, for the log.
    """
    value: Any = None
    error: BaseException | None = None
    while True:
        started = time.monotonic()
        try:
            pending = work.send(value) if error is None else work.throw(error)
        except StopIteration as done:
            result: T = done.value
            return result
        finally:
            if (seconds := time.monotonic() - started) > BLOCKED_S:
                _report(work, task, seconds)
        value, error = None, None
        try:
            value = yield pending
        except GeneratorExit:
            work.close()
            raise
        except BaseException as thrown:  # noqa: BLE001  # every error belongs to the coroutine
            error = thrown


def _report(work: Coroutine[Any, Any, Any], task: str, seconds: float) -> None:
    code, frame = getattr(work, "cr_code", None), getattr(work, "cr_frame", None)
    file = None if code is None else code.co_filename
    line = f"before line {frame.f_lineno}" if frame is not None else "before its end"
    extra = {"task": task, "seconds": round(seconds, 1), "file": file, "place": line}
    log.warning("The task blocked the event loop: await what it waits for, or define it with `def`", extra=extra)
