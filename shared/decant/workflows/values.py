"""Recorded values: the time, random numbers, and the branches of changed code."""

import random as random_numbers
from datetime import UTC, datetime
from typing import Any, NoReturn
from uuid import UUID, uuid4

from decant.tasks.registry import registry
from decant.workflows.progress import current_progress
from decant.workflows.steps import step
from decant.workflows.store import steps

__all__ = ["continue_as_new", "now", "patched", "random", "uuid"]


async def _now() -> datetime:
    return datetime.now(UTC)


async def _uuid() -> UUID:
    return uuid4()


async def _random() -> float:
    return random_numbers.random()  # noqa: S311  # documented as random.random()


async def now() -> datetime:
    """The present time, the same in every claim of the run."""
    return await step(_now, name="now")


async def uuid() -> UUID:
    """A random UUID, the same in every claim of the run."""
    return await step(_uuid, name="uuid")


async def random() -> float:
    """A random number from 0 to 1, the same in every claim of the run; it must not protect a secret."""
    return await step(_random, name="random")


def patched(name: str) -> bool:
    """Whether the run takes the new branch of changed code.

        if patched("invoice-v2"):
            await start(invoice, user_id)

    A run that had passed this point before the change takes the old branch, all others take the new branch.

    Raises:
        RuntimeError: the run is that of a task; only a `@workflow` has read its recorded steps.
    """
    progress = current_progress()
    if progress is None:
        return True
    if not progress.is_loaded:
        raise RuntimeError("patched() needs a @workflow, whose recorded steps are read before its code starts")
    return progress.patch(name)


async def continue_as_new(*args: Any, **kwargs: Any) -> NoReturn:
    """End this claim, delete the recorded steps, and run the workflow again with these arguments and the same id.

    A run with an endless loop has no bound of steps that way. Signals that were not received yet are kept.

    Raises:
        TypeError: the arguments do not fit the workflow's parameters.
        RuntimeError: there is no run.
    """
    progress = current_progress()
    if progress is None:
        raise RuntimeError("continue_as_new() needs a run")
    claimed = progress.claimed
    encoded = registry[claimed.name].parameters.encode(args, kwargs)
    await steps().restart(claimed.id, claimed.attempt, *encoded)
    await progress.release()
