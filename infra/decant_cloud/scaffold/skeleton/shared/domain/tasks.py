"""Background tasks."""

from decant.tasks import task

__all__ = ["greet"]


@task(max_retries=3, retry_backoff=True)
async def greet(name: str = "world") -> str:
    """Return a greeting, as an example."""
    return f"Hello, {name}!"
