"""Insert tasks and publish SQS messages for them.

A message holds only the task id. When SQS is unavailable the task is marked unpublished and the sweeper publishes it
later.
"""

import asyncio
import logging
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from decant import runtime
from decant.errors import DatabaseUnavailable
from decant.tasks import sqs
from decant.tasks.commit import after_commit
from decant.tasks.options import task_settings
from decant.tasks.records import Enqueued, NewTask
from decant.tasks.store import store

__all__ = ["decode_message", "encode_message", "enqueue", "publish", "work_available"]

log = logging.getLogger("decant.tasks")


class _WorkAvailable(asyncio.Event):
    """Event of an event loop."""

    async def close(self) -> None:
        """Nothing to release."""


class _Message(msgspec.Struct, frozen=True):
    id: UUID


_decoder = msgspec.json.Decoder(_Message)


def encode_message(task_id: UUID) -> str:
    """The body of a task's message."""
    return msgspec.json.encode(_Message(task_id)).decode()


def decode_message(body: object) -> UUID | None:
    """The task id of a message; None when the body is not a message of Decant, however large or deeply nested it is."""
    try:
        return _decoder.decode(body).id  # type: ignore[arg-type]  # not text: TypeError
    except (msgspec.DecodeError, UnicodeError, RecursionError, TypeError):
        return None


def work_available() -> asyncio.Event:
    """Event of the running loop that is set when a task whose queue has no address is inserted or released."""
    return runtime.current().client(_WorkAvailable, _WorkAvailable, _WorkAvailable.close)


async def enqueue(tasks: Sequence[NewTask], session: AsyncSession | None) -> list[UUID]:
    """Insert tasks, and publish them when they are committed.

    Returns:
        Ids of the tasks, or of existing tasks with the same id or key.
    Raises:
        DatabaseUnavailable: nothing was written, and retrying helps once PostgreSQL is back.
    """
    written = await store().insert(tasks, session)
    if session is None:
        await publish(written)
    else:
        after_commit(session, lambda: publish(written))
    return [task.id for task in written]


async def publish(tasks: Iterable[Enqueued]) -> None:
    """Send a message for every task that needs it. Failures are logged and left to the sweeper."""
    by_queue = defaultdict[str, list[Enqueued]](list)
    for task in tasks:
        if not task.publish:
            work_available().set()
        else:
            by_queue[task.queue].append(task)
    sending = [_publish(queue, waiting) for queue, waiting in by_queue.items()]
    if len(sending) == 1:
        await sending[0]  # the common case, without tasks of asyncio
    else:
        await asyncio.gather(*sending)


async def _publish(queue: str, tasks: Sequence[Enqueued]) -> None:
    messages = [sqs.Message(encode_message(task.id), _delay_s(task.due_in_s), task.group_key) for task in tasks]
    results = await sqs.send(task_settings().queue_urls[queue], messages)
    failed = [(task, error) for task, error in zip(tasks, results, strict=True) if error is not None]
    if not failed:
        return
    first, error = failed[0]
    log.warning(
        "Could not publish tasks; the sweeper will publish them",
        extra={"queue": queue, "tasks": len(failed), "error": error.reason, "task_id": str(first.id)},
    )
    try:
        await store().mark_unpublished([task.id for task, _ in failed])
    except DatabaseUnavailable:
        log.warning("Could not mark tasks as unpublished", extra={"queue": queue, "tasks": len(failed)})


def _delay_s(due_in_s: float) -> int:
    """Whole seconds after which the task is due: a message that arrives too early is not used."""
    return max(0, min(sqs.MAX_DELAY_S, math.ceil(due_in_s)))
