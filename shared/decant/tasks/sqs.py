"""Send messages to SQS.

Source: Amazon SQS API reference, SendMessageBatch.
"""

import asyncio
import hashlib
import re
from collections.abc import Sequence
from itertools import batched
from typing import Any
from urllib.parse import urlsplit

import msgspec

from decant._aws import api
from decant.errors import AwsUnavailable

__all__ = ["MAX_DELAY_S", "Message", "send"]

MAX_DELAY_S = 900
"""Longest delay of a message, seconds. Source: SQS SendMessage, DelaySeconds."""

_MESSAGE_GROUP = re.compile("[!-~]{1,128}")
_BATCH = 10  # messages per call
_CALLS_AT_ONCE = 16
_TIMEOUT_S = 5  # the caller of delay() waits, and the sweeper publishes the task later


class Message(msgspec.Struct, frozen=True):
    """A message to send.

    Attributes:
        delay_s: Whole seconds until it can be received, at most 900.
        group_key: Message group of a fair queue.
    """

    body: str
    delay_s: int = 0
    group_key: str | None = None

    def entry(self, number: int) -> dict[str, Any]:
        """The message as an entry of SendMessageBatch; the response refers to it by the number."""
        group = {} if self.group_key is None else {"MessageGroupId": _message_group(self.group_key)}
        return {"Id": str(number), "MessageBody": self.body, "DelaySeconds": self.delay_s, **group}


def _message_group(key: str) -> str:
    """A valid name of a message group: the key, or its digest. SQS would reject the other messages of the call too."""
    return key if _MESSAGE_GROUP.fullmatch(key) else f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"


async def send(queue_url: str, messages: Sequence[Message]) -> list[AwsUnavailable | None]:
    """Send messages, ten per call and several calls concurrently. Sending a message twice does no harm.

    Returns:
        For every message in order, None, or the error for which it was not accepted.
    """
    if len(messages) <= _BATCH:
        return await _send_batch(queue_url, messages)
    gate = asyncio.Semaphore(_CALLS_AT_ONCE)

    async def call(chunk: Sequence[Message]) -> list[AwsUnavailable | None]:
        async with gate:
            return await _send_batch(queue_url, chunk)

    results = await asyncio.gather(*(call(chunk) for chunk in batched(messages, _BATCH, strict=False)))
    return [result for chunk in results for result in chunk]


async def _send_batch(queue_url: str, messages: Sequence[Message]) -> list[AwsUnavailable | None]:
    entries = [message.entry(number) for number, message in enumerate(messages)]
    address = "{0.scheme}://{0.netloc}/".format(urlsplit(queue_url))
    given = {"QueueUrl": queue_url, "Entries": entries}
    try:
        response = await api.call("sqs", "AmazonSQS.SendMessageBatch", given, url=address, timeout_s=_TIMEOUT_S)
    except AwsUnavailable as error:
        return [error] * len(messages)
    results: list[AwsUnavailable | None] = [None] * len(messages)
    for failed in response.get("Failed", ()):
        reason = f"SendMessageBatch: {failed['Code']} {failed.get('Message', '')}"
        results[int(failed["Id"])] = AwsUnavailable(reason.rstrip(), failed["Code"])
    return results
