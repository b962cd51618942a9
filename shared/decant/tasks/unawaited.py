"""Find coroutines that a run never awaits, such as a call of `delay()` that therefore enqueues nothing.

Python only warns of such a coroutine, by default once for every line of a process. The run did not do all of its work,
so that the worker reports an error instead of success.
"""

import gc
import inspect
import sys
import threading
import warnings
from collections.abc import Callable, Coroutine
from functools import cache
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType
from typing import Any

from decant.errors import NeverAwaited
from decant.tasks.context import Run, current_run

__all__ = ["check_finished", "tracked", "watch"]

_UNSTARTED = (CoroutineType, GeneratorType, AsyncGeneratorType)


def tracked[R](work: Coroutine[Any, Any, R], run: Run, line: str) -> Coroutine[Any, Any, R]:
    """The same work, which the run reports as unawaited until it is awaited.

    Args:
        work: A coroutine.
        run: The run that must await it.
        line: File and line of the call.
    """
    key = object()
    run.unawaited[key] = f"A call that enqueues a task was never awaited: {line}"
    return _tracked(work, run, key)


async def _tracked[R](work: Coroutine[Any, Any, R], run: Run, key: object) -> R:
    del run.unawaited[key]
    return await work


@cache
def watch() -> None:
    """Report all other coroutines to the current run when they are dropped without having been awaited.

    Python calls a function of the module `warnings` for every such coroutine. There is no public hook that works with
    all filters for warnings.

    Source: CPython, `_PyErr_WarnUnawaitedCoroutine`.
    """
    warn = warnings._warn_unawaited_coroutine  # type: ignore[attr-defined]  # noqa: SLF001  # see the docstring

    def report(coroutine: CoroutineType[Any, Any, Any]) -> None:
        run = current_run()
        if run is None or _collector.is_running:  # the collector may drop what another run left
            warn(coroutine)
        elif coroutine.cr_code is not _tracked.__code__:
            run.unawaited[object()] = _describe(coroutine, sys._getframe(1))  # noqa: SLF001  # where it was dropped
        elif coroutine.cr_frame is not None:
            coroutine.cr_frame.f_locals["work"].close()

    warnings._warn_unawaited_coroutine = report  # type: ignore[attr-defined]  # noqa: SLF001  # see the docstring
    gc.callbacks.append(_collector.note)


def check_finished(run: Run, function: Callable[..., Any], result: object) -> None:
    """Check that a task's function has done its work.

    Raises:
        NeverAwaited: the run left coroutines that were never awaited.
        TypeError: the result is a coroutine or a generator, whose code did not run.
    """
    if run.unawaited:
        raise NeverAwaited("; ".join(run.unawaited.values()))
    if isinstance(result, _UNSTARTED):
        if not isinstance(result, AsyncGeneratorType):
            result.close()
        code = getattr(inspect.unwrap(function), "__code__", None)
        place = repr(function) if code is None else f"{code.co_filename}:{code.co_firstlineno}"
        raise TypeError(f"{run.name}, defined at {place}, returned a {type(result).__name__}, which did not run")


def _describe(coroutine: CoroutineType[Any, Any, Any], dropped_in: FrameType) -> str:
    code = coroutine.cr_code
    text = f"{coroutine.__qualname__}, defined at {code.co_filename}:{code.co_firstlineno}, was never awaited"
    if dropped_in.f_globals.get("__name__", "").split(".")[0] in {"decant", "asyncio", "concurrent"}:
        return text  # it was a local variable of the task's function, which has returned
    return f"{text}; dropped at {dropped_in.f_code.co_filename}:{dropped_in.f_lineno}"


class _Collector(threading.local):
    is_running = False

    def note(self, phase: str, _info: dict[str, int]) -> None:
        self.is_running = phase == "start"


_collector = _Collector()
