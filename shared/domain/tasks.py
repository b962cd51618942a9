"""Background tasks of this application."""

import asyncio

from decant.tasks import task
from domain.imports import import_users
from domain.orders import fulfil

__all__ = ["fulfil", "import_users", "long_task"]


@task(max_retries=3, retry_backoff=True)
async def long_task(seconds: float = 10) -> str:
    """Sleep, as an example of slow work."""
    await asyncio.sleep(seconds)
    return "Task Complete"
