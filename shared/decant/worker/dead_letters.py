"""The function behind the dead-letter queues: closes the rows of messages that came back too often."""

import logging
from collections.abc import Callable, Iterable
from typing import Any

from decant import runtime
from decant.tasks.announce import announce, decode_message
from decant.tasks.store import store
from decant.worker.messages import Report

__all__ = ["bury", "lambda_handler"]

log = logging.getLogger("decant.tasks")


def lambda_handler() -> Callable[[dict[str, Any], object], Report]:
    """Make the handler of the dead-letter queues' function."""

    async def handle(event: dict[str, Any], _context: object) -> Report:
        await bury(event["Records"])
        return {"batchItemFailures": []}

    return runtime.current().lambda_function(handle)


async def bury(records: Iterable[dict[str, Any]]) -> None:
    """Close rows as FAILURE, with the reason; those that somebody runs, or that are not due, are left alone.

    Raises:
        DatabaseUnavailable: PostgreSQL is away; the messages come again.
    """
    reasons = {}
    for record in records:
        task_id = decode_message(record["body"])
        count = record.get("attributes", {}).get("ApproximateReceiveCount", "several")
        if task_id is None:
            log.warning("Dead letter that is not ours is dropped", extra={"message_id": record["messageId"]})
        else:
            reasons[task_id] = f"Its message came {count} times, and no worker could deal with it."
    settled = await store().bury(reasons)
    for task_id in settled.states:
        log.error("Task is given up", extra={"task_id": str(task_id), "reason": reasons[task_id]})
    await announce(settled.released)
