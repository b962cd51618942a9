"""This app's background work."""

import asyncio

from decant.tasks import task

__all__ = ["long_task"]


@task(max_retries=3, retry_backoff=True)
async def long_task(seconds: float = 10) -> str:
    """Work that takes its time."""
    await asyncio.sleep(seconds)
    return "Task Complete"
