"""The one task of Decant's own."""

from typing import Any

from decant.tasks.plan import JOIN
from decant.tasks.task import task

__all__ = ["join"]


@task(name=JOIN, max_retries=None)
async def join(results: list[Any]) -> list[Any]:
    """Return what it is given: several rows' results become one row's."""
    return results
