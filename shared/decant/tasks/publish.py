"""Insert tasks and publish SQS messages for them.

A message holds only the task id. When SQS is unavailable the task is marked unpublished and the sweeper publishes it
later.
"""

import asyncio
import hashlib
import logging
import math
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import batched
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from decant import db, runtime
from decant._aws import api
from decant.config import load
from decant.errors import AwsUnavailable, DatabaseUnavailable
from decant.outbox import Outbox
from decant.outbox import current as outbox
from decant.tasks.commit import after_commit
from decant.tasks.options import MAX_DELAY_S, TaskSettings
from decant.tasks.records import Enqueued, NewTask
from decant.tasks.store import store
from decant.tasks.traces import enqueuing
from decant.tracing import Kind, current, span

__all__ = ["decode_message", "encode_message", "enqueue", "publish", "publishing", "work_available"]

log = logging.getLogger("decant.tasks")

_MESSAGE_GROUP = re.compile("[!-~]{1,128}")
_BATCH = 10  # messages per call
_CALLS_AT_ONCE = 16
_TIMEOUT_S = 5  # the caller of delay() waits, and the sweeper publishes the task later


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


async def enqueue(tasks: Sequence[NewTask], session: AsyncSession | None, *, are_calls: bool = False) -> list[UUID]:
    """Insert tasks, and publish them when they are committed.

    Args:
        tasks: The tasks.
        session: Session in whose transaction they are inserted; None for that of `db.joined_session()`.
        are_calls: See `Store.insert`.
    Returns:
        Ids of the tasks, or of existing tasks with the same id or key.
    Raises:
        DatabaseUnavailable: nothing was written, and retrying helps once PostgreSQL is back.
    """
    if (parent := current.get()) is None:
        return await _enqueue(tasks, session, are_calls=are_calls)
    with enqueuing(parent, tasks) as traced:
        return await _enqueue(traced, session, are_calls=are_calls)


async def _enqueue(tasks: Sequence[NewTask], session: AsyncSession | None, *, are_calls: bool) -> list[UUID]:
    session = session or db.current_session()
    written = await store().insert(tasks, session, are_calls=are_calls)
    await publish(written, session)
    return [task.id for task in written]


@asynccontextmanager
async def publishing() -> AsyncIterator[None]:
    """Publish the tasks that are enqueued in the block in batches, at the latest at its end.

    A request publishes the tasks that it enqueues so already, at the latest before its response is sent. When the
    process is killed before, the sweeper publishes them.
    """
    messages = Outbox()
    token = outbox.set(messages)
    try:
        yield
    finally:
        outbox.reset(token)
        messages.close()
        await messages.flush()


async def publish(tasks: Sequence[Enqueued], session: AsyncSession | None = None) -> None:
    """Send a message for every task that needs it. Failures are logged and left to the sweeper.

    Args:
        tasks: The tasks.
        session: Session in whose transaction they were written, after whose commit they are published; None for that
            of `db.joined_session()`. Without one, they are committed already.
    """
    session = session or db.current_session()
    if session is None:
        await _publish_soon(tasks)
    else:
        after_commit(session, lambda: _publish_soon(tasks))


async def _publish_soon(tasks: Sequence[Enqueued]) -> None:
    """Publish tasks now, or with others of the same request."""
    messages = outbox.get()
    if messages is not None and any(task.publish for task in tasks):
        await messages.send(tasks, _publish_all)
    else:
        await _publish_all(tasks)


async def _publish_all(tasks: Iterable[Enqueued]) -> None:
    by_queue = defaultdict[str, list[Enqueued]](list)
    for task in tasks:
        by_queue[task.queue if task.publish else ""].append(task)
    if by_queue.pop("", None):
        work_available().set()
    sending = [_publish(queue, waiting) for queue, waiting in by_queue.items()]
    if len(sending) == 1:
        await sending[0]  # the common case, without tasks of asyncio
    else:
        await asyncio.gather(*sending)


async def _publish(queue: str, tasks: Sequence[Enqueued]) -> None:
    attributes = {"messaging.system": "aws_sqs", "messaging.destination.name": queue}
    with span(f"publish {queue}", attributes, Kind.CLIENT):
        errors = await _send(load(TaskSettings).queue_urls[queue], tasks)
    failed = [(task, error) for task, error in zip(tasks, errors, strict=True) if error is not None]
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


async def _send(queue_url: str, tasks: Sequence[Enqueued]) -> list[AwsUnavailable | None]:
    """Send messages, ten per call and several calls concurrently. Sending a message twice does no harm.

    Returns:
        For every task in order, None, or the error for which its message was not accepted.
    """
    if len(tasks) <= _BATCH:
        return await _send_batch(queue_url, tasks)
    gate = asyncio.Semaphore(_CALLS_AT_ONCE)

    async def call(chunk: Sequence[Enqueued]) -> list[AwsUnavailable | None]:
        async with gate:
            return await _send_batch(queue_url, chunk)

    results = await asyncio.gather(*(call(chunk) for chunk in batched(tasks, _BATCH, strict=False)))
    return [result for chunk in results for result in chunk]


async def _send_batch(queue_url: str, tasks: Sequence[Enqueued]) -> list[AwsUnavailable | None]:
    """Call SendMessageBatch.

    Source: Amazon SQS API reference, SendMessageBatch.
    """
    given = {"QueueUrl": queue_url, "Entries": [_entry(number, task) for number, task in enumerate(tasks)]}
    address = "{0.scheme}://{0.netloc}/".format(urlsplit(queue_url))
    try:
        response = await api.call("sqs", "AmazonSQS.SendMessageBatch", given, url=address, timeout_s=_TIMEOUT_S)
    except AwsUnavailable as error:
        return [error] * len(tasks)
    results: list[AwsUnavailable | None] = [None] * len(tasks)
    for failed in response.get("Failed", ()):
        reason = f"SendMessageBatch: {failed['Code']} {failed.get('Message', '')}"
        results[int(failed["Id"])] = AwsUnavailable(reason.rstrip(), failed["Code"])
    return results


def _entry(number: int, task: Enqueued) -> dict[str, Any]:
    """A message as an entry of SendMessageBatch; the response refers to it by the number."""
    group = {} if task.group_key is None else {"MessageGroupId": _message_group(task.group_key)}
    delay_s = max(0, min(MAX_DELAY_S, math.ceil(task.due_in_s)))  # a message that arrives too early is not used
    entry = {"Id": str(number), "MessageBody": encode_message(task.id), "DelaySeconds": delay_s, **group}
    if task.traceparent is not None:
        entry["MessageAttributes"] = {"traceparent": {"DataType": "String", "StringValue": task.traceparent}}
    return entry


def _message_group(key: str) -> str:
    """A valid name of a message group: the key, or its digest. SQS would reject the other messages of the call too."""
    return key if _MESSAGE_GROUP.fullmatch(key) else f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"
