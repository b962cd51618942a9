"""Asynchronous invocations that come while their function is updated.

LocalStack's old poller may take an event that it will not hand over any more, and hides it for the function's timeout
and a minute: whoever waits for what it does, such as a custom resource, waits as long.

Source: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async.html
"""

from concurrent.futures import Future
from functools import partial
from typing import Any

from localstack.services.lambda_.invocation.event_manager import Poller
from localstack.services.lambda_.invocation.internal_sqs_queue import get_fake_sqs_client

__all__ = ["keep_async_events"]

WAIT_S = 2
"""Longest that a poller which is stopped waits on: LocalStack gives it three seconds to end."""

EVENTS_AT_A_TIME = 10


def keep_async_events() -> None:
    """Change LocalStack's pollers; functions that are made from now on lose nothing."""
    Poller.run = _run


def _run(poller: Any, *_arguments: Any) -> None:
    sqs, url = get_fake_sqs_client(), poller.event_queue_url
    queue = sqs.queue_manager.get_queue(url)
    hidden_s = poller.version_manager.function_version.config.timeout + 60
    while not poller._shutdown_event.is_set():  # noqa: SLF001  # it has no other way
        received = sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=EVENTS_AT_A_TIME, WaitTimeSeconds=WAIT_S, VisibilityTimeout=hidden_s
        )
        for message in received["Messages"] or ():
            give_back = partial(queue.update_visibility_timeout, message["ReceiptHandle"], 0)
            try:
                handled = poller.invoker_pool.submit(poller.handle_message, message)
            except RuntimeError:  # it was stopped meanwhile
                give_back()
            else:
                handled.add_done_callback(partial(_give_back_if_cancelled, give_back))


def _give_back_if_cancelled(give_back: Any, handled: Future[None]) -> None:
    if handled.cancelled():
        give_back()
