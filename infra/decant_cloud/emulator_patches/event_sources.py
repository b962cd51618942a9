"""Queues as event sources, as Lambda polls them: by long polling, and several batches at a time.

LocalStack polls every second or so, and hands over one batch after another, whatever `MaximumConcurrency` says.

Source: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
"""

import logging
import threading
from collections.abc import Callable
from typing import Any

from localstack.services.lambda_.event_source_mapping.esm_worker_factory import EsmWorkerFactory
from localstack.services.lambda_.event_source_mapping.pollers.poller import EmptyPollResultsException
from localstack.services.lambda_.event_source_mapping.pollers.sqs_poller import SqsPoller
from localstack.utils.patch import patch

__all__ = ["poll_as_lambda_does"]

BATCHES_AT_A_TIME = 5
"""Where the mapping names no MaximumConcurrency; AWS starts with 5 and adds more."""

WAIT_S = 20
"""Longest long poll that SQS has."""

log = logging.getLogger(__name__)


def poll_as_lambda_does() -> None:
    """Change LocalStack's SQS poller; mappings that are made from now on work so."""
    patch(EsmWorkerFactory.get_esm_worker)(_with_slots)
    patch(SqsPoller.poll_events)(_poll)
    patch(SqsPoller.handle_messages)(_handle)


def _with_slots(get_esm_worker: Callable[..., Any], factory: EsmWorkerFactory) -> Any:
    worker = get_esm_worker(factory)
    if isinstance(worker.poller, SqsPoller):
        limit = (factory.esm_config.get("ScalingConfig") or {}).get("MaximumConcurrency", BATCHES_AT_A_TIME)
        worker.poller.slots = threading.Semaphore(limit)
        if not worker.poller.maximum_batching_window:
            hooks = worker.poller.source_client.meta.events
            hooks.register("provide-client-params.sqs.ReceiveMessage", _wait_for_messages)
    return worker


def _wait_for_messages(params: dict[str, Any], **_context: Any) -> None:
    params["WaitTimeSeconds"] = WAIT_S


def _poll(poll_events: Callable[..., None], poller: Any) -> None:
    with poller.slots:
        pass  # a message is only received when there is room for its batch; nobody else takes that room
    try:
        poll_events(poller)
    except EmptyPollResultsException:
        if poller.maximum_batching_window:
            raise  # the worker backs off; a long poll has waited already


def _handle(handle_messages: Callable[..., None], poller: Any, messages: list[dict[str, Any]]) -> None:
    if poller.is_fifo_queue:  # in order, one after another
        handle_messages(poller, messages)
        return

    def work() -> None:
        try:
            handle_messages(poller, messages)
        except Exception as error:  # noqa: BLE001  # as LocalStack's own loop does: the messages come again
            log.warning("A batch of %s failed: %s", poller.source_arn, error)
        finally:
            poller.slots.release()

    poller.slots.acquire()
    threading.Thread(target=work, name="event-source-batch", daemon=True).start()
