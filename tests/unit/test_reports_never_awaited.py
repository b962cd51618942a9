"""A task does not end in SUCCESS when its function returns a coroutine or a generator that never runs.

Reports: rq/rq 1697, rq/django-rq 204.
"""

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from decant.tasks import State, task
from decant.testing import memory

pytestmark = pytest.mark.usefixtures("new_tasks")

SENT: list[str] = []


def traced(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator that calls a synchronous or asynchronous function and returns its result."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return call


@traced
async def coroutine(recipient: str) -> None:
    """Send, once it is awaited."""
    SENT.append(recipient)


def generator(recipient: str) -> Iterator[int]:
    """Send, once it is iterated."""
    SENT.append(recipient)
    yield 1


async def async_generator(recipient: str) -> AsyncIterator[int]:
    """Send, once it is iterated."""
    SENT.append(recipient)
    yield 1


@pytest.mark.parametrize("ignore_result", [False, True], ids=["result stored", "result ignored"])
@pytest.mark.parametrize("function", [coroutine, generator, async_generator])
async def test_task_succeeds_only_if_its_work_was_done(function: Callable[..., Any], *, ignore_result: bool) -> None:
    """SUCCESS means that the function's body ran."""
    SENT.clear()
    options = {"name": f"reports.{function.__name__}", "ignore_result": ignore_result, "max_retries": 0}
    mail: Any = task(**options)(function)  # type: ignore[call-overload]  # options given by name

    with memory() as broker:
        job = await mail.delay("ada@example.org")
        await broker.run()
        state = await job.state

    assert (state is State.SUCCESS) == (SENT == ["ada@example.org"])
