"""The Lambda function behind a queue: a batch of SQS messages in, those that must come again out."""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from decant import runtime
from decant.runtime import Context
from decant.tasks.announce import decode_message
from decant.worker.batch import run_batch
from decant.worker.deadline import Deadline

__all__ = ["lambda_handler"]

log = logging.getLogger("decant.tasks")

type Report = dict[str, list[dict[str, str]]]


def lambda_handler() -> Callable[[dict[str, Any], Context], Report]:
    """Make the handler of a queue's function; the tasks are those that have been imported.

    The event source must have `FunctionResponseTypes: [ReportBatchItemFailures]`.
    """

    async def handle_event(event: dict[str, Any], context: Context) -> Report:
        return await handle(event["Records"], Deadline.of(context))

    return runtime.current().lambda_function(handle_event)


async def handle(records: Iterable[dict[str, Any]], deadline: Deadline) -> Report:
    """Run the tasks that messages name.

    Returns:
        The messages that must come again.
    Raises:
        DatabaseUnavailable: all of them must.
    Source: Lambda, "Reporting batch item failures for Lambda functions with an Amazon SQS trigger".
    """
    messages = defaultdict[UUID, list[str]](list)
    for record in records:
        task_id = decode_message(record["body"])
        if task_id is None:
            log.warning("Message that is not ours is dropped", extra={"message_id": record["messageId"]})
        else:
            messages[task_id].append(record["messageId"])
    failed = await run_batch(messages, deadline)
    return {"batchItemFailures": [{"itemIdentifier": message} for task_id in failed for message in messages[task_id]]}
