"""Code of docs/workflows.md that is neither the demo's nor a test's."""

import asyncio

from decant.tasks import task
from decant.workflows import patched, start, step, workflow


async def inspect(unit: str) -> str:
    """A step of a branch."""
    return f"{unit} is fine"


async def branches(units: list[str]) -> list[str]:
    """Concurrent branches."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(step(inspect, unit, name=f"inspect-{unit}")) for unit in units]
    return [task.result() for task in tasks]


@task
async def invoice(order: str) -> str:
    """Write an invoice, as a task of its own."""
    return f"invoice of {order}"


async def old_invoice(order: str) -> str:
    """Write an invoice as it was done before."""
    return f"old invoice of {order}"


@workflow
async def inspected(order: str, units: list[str]) -> list[str]:
    """Branches, and a branch that was changed."""
    found = await branches(units)
    if patched("invoice-v2"):  # False in runs that had passed this point before the change, True in all others
        await start(invoice, order)
    else:
        await step(old_invoice, order)
    return found
