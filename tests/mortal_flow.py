"""A workflow whose worker kills itself at one of its points.

A point is a place in the workflow's code, in the function of a step, or before or after a statement of the worker. This
module needs only the library, so that a Lambda function of the local cloud can contain it.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from decant import db
from decant.tasks.store.postgres import PostgresStore
from decant.workflows import sleep, step, wait_for, workflow
from decant.workflows.store import PostgresSteps, StepTransaction

__all__ = ["PLAIN", "POINTS", "TRANSACTIONS", "MortalSteps", "MortalStore", "mortal", "plain"]

TRANSACTIONS = [*(f"t{n}" for n in range(5)), *(f"f{n}" for n in range(3))]
"""Effects in the transaction of their step."""

PLAIN = [f"p{n}" for n in range(5)]
"""Effects that are committed before their step is recorded."""


class Points:
    """Counts the points that are reached, and kills the process at one of them."""

    def __init__(self) -> None:
        self.fatal = 0
        self.reached: list[str] = []
        self.report = 1  # file descriptor

    def reach(self, name: str) -> None:
        """Reach a point."""
        self.reached.append(name)
        if len(self.reached) == self.fatal:
            os.write(self.report, f"{name}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)


POINTS = Points()


async def in_transaction(name: str, *, session: AsyncSession) -> str:
    """An effect in the transaction of the step."""
    POINTS.reach(f"inside {name}, before the effect")
    await session.execute(text("INSERT INTO effect (name) VALUES (:name)"), {"name": name})
    POINTS.reach(f"inside {name}, after the effect")
    return name


async def plain(name: str) -> str:
    """An effect that is committed before the step is recorded."""
    POINTS.reach(f"inside {name}, before the effect")
    async with db.session() as session:
        await session.execute(text("INSERT INTO effect (name) VALUES (:name)"), {"name": name})
    POINTS.reach(f"inside {name}, after the effect")
    return name


@workflow(name="mortal")
async def mortal() -> list[str]:
    """Ten steps, a sleep, a signal and a fan-out."""
    results = []
    for name in TRANSACTIONS[:5]:
        POINTS.reach(f"before {name}")
        results.append(await step(in_transaction, name, name=name))
    await sleep(days=1)
    POINTS.reach("after the sleep")
    results += [await step(plain, name) for name in PLAIN]
    results.append(await wait_for("go", str))
    POINTS.reach("after the signal")
    async with asyncio.TaskGroup() as group:
        branches = [group.create_task(step(in_transaction, name, name=name)) for name in TRANSACTIONS[5:]]
    POINTS.reach("after the fan-out")
    return results + [branch.result() for branch in branches]


def around(call: Callable[..., Awaitable[Any]], name: str) -> Callable[..., Awaitable[Any]]:
    """Points before and after a statement."""

    async def called(*args: Any, **kwargs: Any) -> Any:
        POINTS.reach(f"before {name}")
        result = await call(*args, **kwargs)
        POINTS.reach(f"after {name}")
        return result

    return called


class MortalStore(PostgresStore):
    """The store, with points around the statements of a run."""

    def __init__(self) -> None:
        for name in ("claim", "claim_due", "complete"):
            setattr(self, name, around(getattr(self, name), name))


class MortalSteps(PostgresSteps):
    """The store of steps, with points around its statements and commits."""

    def __init__(self) -> None:
        for name in ("load", "record", "take"):
            setattr(self, name, around(getattr(self, name), name))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[StepTransaction]:
        """A transaction with points before and after its commit."""
        async with super().transaction() as opened:
            yield opened
            POINTS.reach("before commit")
        POINTS.reach("after commit")
