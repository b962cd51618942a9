"""Workflows for tests, with effects that tests can count."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import anyio
import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from decant.tasks import task
from decant.tasks.options import TaskOptions
from decant.tasks.registry import registry
from decant.workflows import (
    Workflow,
    continue_as_new,
    now,
    patched,
    random,
    sleep,
    start,
    step,
    step_key,
    uuid,
    wait_for,
    workflow,
)

CALLS: list[str] = []
"""Names of the steps that were called, in order; in this process."""


def deploy(function: Callable[..., Awaitable[Any]], name: str = "changing", **options: Any) -> Workflow[..., Any]:
    """Make a function the code of the workflow of this name."""
    deployed = registry[name] = Workflow(function, TaskOptions(name=name, **options))
    return deployed


class Approval(msgspec.Struct):
    """Payload of a signal."""

    by: str


class Declined(Exception):
    """An error with an attribute."""

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


async def note(name: str) -> str:
    """Count a call and return its name."""
    CALLS.append(name)
    return name


def note_in_thread(name: str) -> str:
    """Count a call in a thread."""
    CALLS.append(name)
    return name


async def note_time(time: datetime) -> datetime:
    """Count a call and return a time."""
    CALLS.append("time")
    return time


async def write(name: str, *, session: AsyncSession) -> str:
    """Insert a row."""
    CALLS.append(name)
    await session.execute(text("INSERT INTO effect (name) VALUES (:name)"), {"name": name})
    return name


async def decline(code: int) -> None:
    """Fail with an error that has an attribute."""
    CALLS.append("decline")
    raise Declined("no", code=code)


@workflow
async def two_steps() -> list[str]:
    """Two steps with a sleep between them."""
    first = await step(note, "a")
    await sleep(days=3)
    return [first, await step(note_in_thread, "b")]


@workflow
async def approved(timeout_s: float | None = None) -> str:
    """A step, and a signal."""
    await step(note, "a")
    approval = await wait_for("approved", Approval, timeout=timeout_s)
    return approval.by


@workflow
async def several_signals(count: int) -> list[int]:
    """Receive signals of one topic, one after the other."""
    return [await wait_for("number", int) for _ in range(count)]


@workflow
async def typed() -> str:
    """A step that returns a time, before and after a sleep."""
    time = await step(note_time, datetime(2026, 1, 1, tzinfo=UTC))
    await sleep(60)
    return type(time).__name__


@workflow
async def handles_error() -> int:
    """Handle the error of a step, before and after a sleep."""
    try:
        await step(decline, 7)
    except Declined as error:
        code = error.code
    await sleep(60)
    return code


@workflow(max_retries=0)
async def fails() -> None:
    """A step that succeeds, and a step that fails."""
    await step(note, "a")
    await step(decline, 7)


@workflow
async def fan_out(count: int) -> list[str]:
    """Branches with a step, a sleep and a step; one of them never sleeps."""

    async def branch(number: int) -> str:
        await step(note, f"a{number}", name=f"a{number}")
        if number:
            await sleep(60 * number, name=f"sleep{number}")
        return await step(note, f"b{number}", name=f"b{number}")

    async with asyncio.TaskGroup() as group:
        branches = [group.create_task(branch(number)) for number in range(count)]
    return [branch.result() for branch in branches]


@workflow
async def anyio_branches(count: int) -> list[str]:
    """The same branches in a task group of anyio, one of which fails within a scope that is cancelled."""
    results = [""] * count

    async def branch(number: int) -> None:
        with anyio.move_on_after(0.01 if number == 0 else None) as scope:
            await step(asyncio.sleep if number == 0 else note, 3600 if number == 0 else "a", name=f"a{number}")
            await sleep(60 * number, name=f"sleep{number}")
        results[number] = "cancelled" if scope.cancelled_caught else await step(note, f"b{number}", name=f"b{number}")

    async with anyio.create_task_group() as group:
        for number in range(count):
            group.start_soon(branch, number)
    return results


@workflow
async def counter(number: int, *, last: int) -> int:
    """Receive a signal, and begin again with the next number until the last."""
    await step(note, f"step {number}", name="step")
    received = await wait_for("number", int)
    if received < last:
        await continue_as_new(received, last=last)
    return received


@workflow
async def child(number: int) -> int:
    """Sleep, and return the argument."""
    await sleep(60)
    return number


@task(max_retries=0)
async def failing_child() -> None:
    """Fail."""
    raise Declined("no", code=1)


@workflow
async def parent(count: int) -> list[int]:
    """Start children, and wait for all of them."""
    children = [await start(child, number) for number in range(count)]
    return [await one for one in children]


@workflow
async def parent_of_failure() -> str:
    """Wait for a child that fails."""
    try:
        await (await start(failing_child))
    except Exception as error:  # noqa: BLE001  # returned
        return type(error).__name__
    return ""


@workflow
async def values() -> list[Any]:
    """Recorded values, before and after a sleep."""
    found: list[Any] = [await now(), await uuid(), await random()]
    await sleep(60)
    again = await step(echo, found)
    return [again == msgspec.to_builtins(found)]


async def echo(value: Any) -> Any:
    """Return the argument."""
    return value


@workflow
async def keys() -> list[str]:
    """The keys of two steps of one name."""
    return [await step(own_key), await step(own_key)]


async def own_key() -> str:
    """Key of the step."""
    return step_key()


@task
async def task_with_steps() -> str:
    """A task that is no workflow may have steps."""
    await step(note, "a")
    await sleep(60)
    return await step(note, "b")


@workflow
async def onboard(user_id: UUID, *, plan: str = "free") -> str:
    """Arguments, a patch and steps."""
    await step(note, str(user_id))
    if patched("second"):
        await step(note, "patched")
    return await step(note, plan, name="plan")
