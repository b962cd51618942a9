"""Functions of steps: how they are called, and how their results are encoded."""

import functools
import inspect
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from decant._sync.threads import run_in_thread
from decant.errors import TimeLimitExceeded
from decant.tasks.parameters import Parameters
from decant.tasks.task import Task
from decant.tasks.threads import task_threads

__all__ = ["StepFunction", "check_length", "describe_function"]

MAX_BYTES = 256 * 1024
"""Longest result of a step and longest payload of a signal, as JSON."""


def check_length(what: str, encoded: bytes) -> None:
    """Check the length of JSON that is stored.

    Raises:
        ValueError: it is too long.
    """
    if len(encoded) > MAX_BYTES:
        raise ValueError(
            f"The {what} has {len(encoded):,} bytes, more than {MAX_BYTES:,}: store it elsewhere, for example in a "
            "table or in S3, and pass its key"
        )


class StepFunction:
    """A function, described once.

    Attributes:
        name: Name of its steps; None when it has none.
        is_async: It is a coroutine function; another function runs in a thread.
        transactional: It takes a `session`.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        called = function.function if isinstance(function, Task) else function
        plain = called.func if isinstance(called, functools.partial) else called
        name = getattr(plain, "__name__", None)
        self.name = None if name == "<lambda>" else name
        self.is_async = inspect.iscoroutinefunction(plain) or inspect.iscoroutinefunction(
            getattr(plain, "__call__", None)  # noqa: B004  # an object whose call is a coroutine function
        )
        names = list(inspect.signature(called).parameters)
        self.transactional = "session" in names
        self._function = function
        self._parameters = Parameters(called, names)

    async def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the function; a plain function in a thread."""
        if self.is_async:
            return await self._function(*args, **kwargs)
        return await run_in_thread(
            task_threads(), partial(self._function, *args, **kwargs), interrupt=TimeLimitExceeded
        )

    def encode(self, result: Any) -> tuple[bytes, Any]:
        """Encode a result as JSON; also returns what `decode` will return for it.

        Raises:
            TypeError: it is not JSON, or not of the annotated type.
            ValueError: it is too long.
        """
        encoded, stored = self._parameters.store_result(result)
        if len(encoded) > MAX_BYTES:
            check_length(f"result of step {self.name}", encoded)
        return encoded, stored

    def decode(self, result: str | bytes | None) -> Any:
        """Decode a stored result.

        Raises:
            TypeError: it is not of the annotated type.
        """
        return self._parameters.decode_result(b"null" if result is None else result)


@lru_cache(512)
def describe_function(function: Callable[..., Any]) -> StepFunction:
    """The description of a function.

    Raises:
        TypeError: its result is not JSON by its annotation.
    """
    return StepFunction(function)
