"""Send messages to SQS.

Source: Amazon SQS API reference, SendMessageBatch.
"""

import asyncio
from collections.abc import Sequence
from itertools import batched
from typing import Any
from urllib.parse import urlsplit

import msgspec

from decant._aws import api
from decant.config import settings
from decant.errors import AwsUnavailable

__all__ = ["REACH_S", "Message", "QueueUnavailable", "can_announce", "send"]

REACH_S = 900
"""Longest delay of a message, seconds. Source: SQS SendMessage, DelaySeconds."""

_BATCH = 10  # messages that one call takes
_CALLS_AT_ONCE = 16
_TIMEOUT_S = 5  # somebody waits for delay() to return, and the sweeper sends what we do not


def can_announce(queue: str) -> bool:
    """Whether the queue has an address; the rows of one without are taken from the table itself."""
    return queue in settings().task_queue_urls


class QueueUnavailable(Exception):
    """The queue did not take a message; sending it again may help, and sending it twice does no harm."""


class Message(msgspec.Struct, frozen=True):
    """What goes on a queue.

    Attributes:
        delay_s: Whole seconds until it can be received, 900 at most.
        group_key: Makes the queue fair between groups.
    """

    body: str
    delay_s: int = 0
    group_key: str | None = None

    def entry(self, number: int) -> dict[str, Any]:
        """The message as the API takes it; the number names it in the answer."""
        group = {} if self.group_key is None else {"MessageGroupId": self.group_key}
        return {"Id": str(number), "MessageBody": self.body, "DelaySeconds": self.delay_s, **group}


async def send(queue_url: str, messages: Sequence[Message]) -> list[QueueUnavailable | None]:
    """Send messages, ten a call and several calls at once.

    Returns:
        For each message in order, None, or why it was not taken.
    """
    gate = asyncio.Semaphore(_CALLS_AT_ONCE)

    async def call(chunk: Sequence[Message]) -> list[QueueUnavailable | None]:
        async with gate:
            try:
                return await _send_batch(queue_url, chunk)
            except QueueUnavailable as error:
                return [error] * len(chunk)

    if len(messages) <= _BATCH:
        return await call(messages)
    answers = await asyncio.gather(*(call(chunk) for chunk in batched(messages, _BATCH, strict=False)))
    return [answer for chunk in answers for answer in chunk]


async def _send_batch(queue_url: str, messages: Sequence[Message]) -> list[QueueUnavailable | None]:
    entries = [message.entry(number) for number, message in enumerate(messages)]
    address = "{0.scheme}://{0.netloc}/".format(urlsplit(queue_url))
    given = {"QueueUrl": queue_url, "Entries": entries}
    try:
        answer = await api.call("sqs", "AmazonSQS.SendMessageBatch", given, url=address, timeout_s=_TIMEOUT_S)
    except AwsUnavailable as error:
        raise QueueUnavailable(error.reason) from error
    taken: list[QueueUnavailable | None] = [None] * len(messages)
    for failed in answer.get("Failed", ()):
        taken[int(failed["Id"])] = QueueUnavailable(f"{failed['Code']}: {failed.get('Message', '')}")
    return taken
