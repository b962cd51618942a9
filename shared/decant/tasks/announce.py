"""Messages that wake a worker: each carries the id of a row, and no more.

A message that cannot be sent costs nothing but time: its row is noted as unannounced, and the sweeper sends one when
the queue is back.
"""

import asyncio
import logging
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from uuid import UUID

import msgspec

from decant.config import settings
from decant.errors import DatabaseUnavailable
from decant.tasks import sqs
from decant.tasks.records import Enqueued
from decant.tasks.store import store

__all__ = ["announce", "decode_message", "encode_message", "unannounced"]

log = logging.getLogger("decant.tasks")


unannounced = asyncio.Event()
"""Set when this process has written a row that no queue announces."""


class _Wakeup(msgspec.Struct, frozen=True):
    id: UUID


def encode_message(task_id: UUID) -> str:
    """The body of a row's message."""
    return msgspec.json.encode(_Wakeup(task_id)).decode()


def decode_message(body: str) -> UUID | None:
    """The row's id that a message carries; None when it is no message of ours."""
    try:
        return msgspec.json.decode(body, type=_Wakeup).id
    except msgspec.DecodeError:
        return None


async def announce(rows: Iterable[Enqueued]) -> None:
    """Send a message for each row that waits for one; never fails."""
    by_queue: dict[str, list[Enqueued]] = defaultdict(list)
    for row in rows:
        if not row.announce:
            unannounced.set()
        else:
            by_queue[row.queue].append(row)
    sending = [_announce(queue, waiting) for queue, waiting in by_queue.items()]
    if len(sending) == 1:
        await sending[0]  # nearly always
    else:
        await asyncio.gather(*sending)


async def _announce(queue: str, rows: Sequence[Enqueued]) -> None:
    messages = [sqs.Message(encode_message(row.id), _delay_s(row.due_in_s), row.group_key) for row in rows]
    answers = await sqs.send(settings().task_queue_urls[queue], messages)
    failed = [(row, error) for row, error in zip(rows, answers, strict=True) if error is not None]
    if not failed:
        return
    log.warning(
        "Tasks could not be announced; the sweeper will announce them",
        extra={"queue": queue, "tasks": len(failed), "error": str(failed[0][1]), "task_id": str(failed[0][0].id)},
    )
    try:
        await store().unannounce([row.id for row, _ in failed])
    except DatabaseUnavailable:
        log.warning("Nor could that be noted; they are announced later", extra={"queue": queue, "tasks": len(failed)})


def _delay_s(due_in_s: float) -> int:
    """Whole seconds of delay after which the row is due: a message that comes early is wasted."""
    return max(0, min(sqs.REACH_S, math.ceil(due_in_s)))
