"""Just enough of SQS: SendMessageBatch, signed here and sent over connections of our own.

Sending takes no thread, and none of the 400 ms that importing boto3's client costs a cold start; nor the 120 of httpx.

Source: Amazon SQS API reference, SendMessageBatch; AWS JSON protocol 1.0.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import batched
from typing import Any
from urllib.parse import urlsplit

import msgspec

from decant._aws import AwsSettings
from decant._aws.credentials import CredentialsUnavailable, credentials
from decant._aws.sigv4 import Scope, signed
from decant.config import load, settings
from decant.tasks.wire import WireError, post

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
    answer = await _call("SendMessageBatch", queue_url, {"QueueUrl": queue_url, "Entries": entries})
    taken: list[QueueUnavailable | None] = [None] * len(messages)
    for failed in answer.get("Failed", ()):
        taken[int(failed["Id"])] = QueueUnavailable(f"{failed['Code']}: {failed.get('Message', '')}")
    return taken


async def _call(action: str, queue_url: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
    content = msgspec.json.encode(given)
    url = load(AwsSettings).endpoint_url or "{0.scheme}://{0.netloc}/".format(urlsplit(queue_url))
    headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": f"AmazonSQS.{action}"}
    try:
        answer = await post(url, await _sign(url, headers, content), content, _TIMEOUT_S)
        if answer.status != HTTPStatus.OK:
            text = answer.body[:500].decode(errors="replace")
            raise QueueUnavailable(f"{action} was answered with {answer.status}: {text}")
        return msgspec.json.decode(answer.body, type=dict[str, Any])
    except (CredentialsUnavailable, WireError, msgspec.DecodeError) as error:
        raise QueueUnavailable(f"{action}: {error}") from error


async def _sign(url: str, headers: Mapping[str, str], content: bytes) -> Mapping[str, str]:
    scope = Scope(service="sqs", region=load(AwsSettings).region, at=datetime.now(UTC))
    return signed(url, headers, content, await credentials(), scope)
