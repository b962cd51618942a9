"""Keep asynchronous events that arrive while their function is updated.

The poller of the version before may receive an event that its thread pool no longer accepts. The engine then hides the
event for the function's timeout and a minute, and a custom resource waits as long. LocalEmu also stops that poller, up
to two seconds, before another function can be updated.

Changes: `services/lambda_/invocation/event_manager.py`.
Gain: an event that arrives during an update is handled at once instead of after a minute or more.
Source: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async.html
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

from decant_cloud.emulator_patches.engine import find, replaces

WAIT_S = 2
"""Longest poll: the engine waits three seconds for a poller to stop."""

EVENTS_AT_A_TIME = 10

get_fake_sqs_client = find("services.lambda_.invocation.internal_sqs_queue", "get_fake_sqs_client")


@replaces("services.lambda_.invocation.event_manager", "Poller.run")
def _run(_engines: object, poller: Any, *_arguments: Any) -> None:
    sqs, url = get_fake_sqs_client(), poller.event_queue_url
    queue = sqs.queue_manager.get_queue(url)
    hidden_s = poller.version_manager.function_version.config.timeout + 60
    while not poller._shutdown_event.is_set():  # noqa: SLF001  # the engine has no public name for it
        received = sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=EVENTS_AT_A_TIME, WaitTimeSeconds=WAIT_S, VisibilityTimeout=hidden_s
        )
        for message in received["Messages"] or ():
            release = partial(queue.update_visibility_timeout, message["ReceiptHandle"], 0)
            try:
                handled = poller.invoker_pool.submit(poller.handle_message, message)
            except RuntimeError:  # the poller was stopped meanwhile
                release()
            else:
                handled.add_done_callback(partial(_release_if_cancelled, release))


def _release_if_cancelled(release: Callable[[], None], handled: Future[None]) -> None:
    if handled.cancelled():
        release()


@replaces("services.lambda_.invocation.event_manager", "LambdaEventManager.stop_for_update")
def _stop_for_update(stop: Callable[[Any], None], manager: Any) -> None:
    """Do not make the update wait for the end of a poll."""
    threading.Thread(target=stop, args=(manager,), name="stop-poller", daemon=True).start()
