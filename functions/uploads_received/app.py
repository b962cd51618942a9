"""Starts the import of each file that was uploaded; the bucket invokes it."""

from typing import Any

from decant import runtime
from decant.uploads import received
from domain.imports import import_users, task_of


async def start(event: dict[str, Any], _context: object) -> None:
    """Enqueue the task of each file. S3 may report a file again: a task with the same id is enqueued once."""
    for upload in received(event):
        await import_users.apply_async([upload.key], task_id=task_of(upload.key))


handler = runtime.current().lambda_function(start)
