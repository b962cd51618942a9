"""The Lambda function of the dead-letter queues: closes tasks whose messages were dead-lettered."""

import logging
from collections.abc import Callable, Iterable
from typing import Any

from decant import runtime
from decant.tasks.publish import decode_message, publish
from decant.tasks.store import store
from decant.worker.sqs_handler import Report

__all__ = ["close_dead_lettered", "lambda_handler"]

log = logging.getLogger("decant.tasks")


def lambda_handler() -> Callable[[dict[str, Any], object], Report]:
    """Create the handler of the dead-letter queues' function."""

    async def handle(event: dict[str, Any], _context: object) -> Report:
        await close_dead_lettered(event["Records"])
        return {"batchItemFailures": []}

    return runtime.current().lambda_function(handle)


async def close_dead_lettered(records: Iterable[dict[str, Any]]) -> None:
    """Move tasks that are registered in no worker to FAILURE, with the reason.

    All other tasks are not changed: those that run or are not due, and those whose messages were dead-lettered because
    PostgreSQL or the worker's function was unavailable. The sweeper publishes them again.

    Raises:
        DatabaseUnavailable: SQS must deliver the messages again.
    """
    reasons = {}
    for record in records:
        task_id = decode_message(record.get("body"))
        count = record.get("attributes", {}).get("ApproximateReceiveCount", "several")
        if task_id is None:
            log.warning("Unknown message dropped", extra={"message_id": record["messageId"]})
        else:
            reasons[task_id] = f"Its message was received {count} times, and no worker could process it."
    completed = await store().close_dead_lettered(reasons)
    for task_id in completed.states:
        extra = {"task_id": str(task_id), "reason": reasons[task_id]}
        log.error("Task moved to FAILURE by the dead-letter handler", extra=extra)
    await publish(completed.released)
