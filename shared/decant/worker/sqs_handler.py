"""The Lambda function of a queue: claims and runs the tasks of a batch of SQS messages."""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from types import MappingProxyType
from typing import Any
from uuid import UUID

from decant import runtime
from decant.runtime import Context
from decant.tasks.limits import retry_within_s
from decant.tasks.publish import decode_message, publish
from decant.tasks.records import FINISHED, Claimed, Enqueued, State, Unclaimed
from decant.tasks.registry import load_modules, notify, registry, runnable
from decant.tasks.store import TRANSIENT, store
from decant.tracing import Parent, parse_traceparent
from decant.worker.execution import Deadline
from decant.worker.presence import presence
from decant.worker.runner import Runner
from decant.worker.traces import claiming, record_unclaimed

__all__ = ["Report", "handle", "lambda_handler", "run_batch"]

log = logging.getLogger("decant.tasks")

_CLAIM_RETRY_S = 5.0  # a claim is retried for this time while PostgreSQL is unavailable
_PAUSE_S = 0.5
_CLOCK_TOLERANCE_S = 1.0  # a message may arrive this much too early, because clocks differ

type Report = dict[str, list[dict[str, str]]]


def lambda_handler() -> Callable[[dict[str, Any], Context], Report]:
    """Create the handler of a queue's function. It runs the tasks of all imported modules and of `TASK_MODULES`.

    The event source must have `FunctionResponseTypes: [ReportBatchItemFailures]`.
    """
    started = False

    async def handle_event(event: dict[str, Any], context: Context) -> Report:
        nonlocal started
        if not started:  # not before a snapshot, which must contain no connection
            started = True
            notify("init")
            notify("ready")
        return await handle(event["Records"], Deadline.of(context))

    load_modules()
    return runtime.current().lambda_function(handle_event)


async def handle(records: Iterable[dict[str, Any]], deadline: Deadline) -> Report:
    """Run the tasks of a batch of messages.

    Returns:
        Batch item failures: messages that SQS must deliver again.
    Raises:
        DatabaseUnavailable: SQS must deliver all messages again.
    Source: Lambda, "Reporting batch item failures for Lambda functions with an Amazon SQS trigger".
    """
    received, parents = list[tuple[UUID, str]](), dict[UUID, Parent]()
    for record in records:
        task_id = decode_message(record.get("body"))
        if task_id is None:
            log.warning("Unknown message dropped", extra={"message_id": record["messageId"]})
        else:
            received.append((task_id, record["messageId"]))
            if (parent := parse_traceparent(_attribute(record, "traceparent"))) is not None:
                parents[task_id] = parent
    failed = await run_batch({task_id for task_id, _ in received}, deadline, parents)
    return {"batchItemFailures": [{"itemIdentifier": message} for task_id, message in received if task_id in failed]}


def _attribute(record: dict[str, Any], name: str) -> str | None:
    attribute = record.get("messageAttributes", {}).get(name, {})
    value: str | None = attribute.get("stringValue")
    return value


async def run_batch(
    ids: set[UUID], deadline: Deadline, parents: Mapping[UUID, Parent] = MappingProxyType({})
) -> set[UUID]:
    """Claim and run the tasks of an SQS batch.

    Finished, running and early tasks are skipped and their messages deleted. A task whose last worker crashed runs
    last and alone, so that a poison task cannot take others down twice.

    Args:
        ids: Tasks of the messages.
        deadline: When the invocation is killed.
        parents: Spans that sent the messages, by task.
    Returns:
        Ids to report as batch item failures.
    Raises:
        DatabaseUnavailable: no task could be claimed; all messages must be delivered again.
    """
    async with Runner(deadline) as runner:
        claimed = await _claim(sorted(ids, key=attrgetter("int")), runner.lease_s)
        record_unclaimed(parents, {task.id for task in claimed})
        await runner.run(claimed)
        for task in await _claimable(ids - {task.id for task in claimed}, runner.failed):
            await _run_alone(task, runner)
        if runner.time_left_s > 0:
            await presence().report(0)
    return runner.failed


async def _claim(ids: Sequence[UUID], lease_s: float) -> list[Claimed]:
    retrying = Deadline(min(_CLAIM_RETRY_S, lease_s / 4))
    while True:
        try:
            claim = store().claim(ids, runnable(), lease_s, alone=len(ids) == 1)
            return await claiming(claim)
        except TRANSIENT as error:
            if retrying.remaining_s() < _PAUSE_S:
                raise
            log.warning("Could not claim tasks; retrying", extra={"error": repr(error)})
            await asyncio.sleep(_PAUSE_S)


async def _claimable(ids: set[UUID], failed: set[UUID]) -> list[Unclaimed]:
    """Tasks that were not claimed and can be claimed alone; adds to `failed` those whose messages must return."""
    if not ids:
        return []
    try:
        tasks = await store().look_up(sorted(ids))
        paused = [task.id for task in tasks if task.paused]
        if paused:  # the sweeper publishes them after the pause
            await store().mark_unpublished(paused)
    except TRANSIENT:
        failed |= ids
        return []
    for missing in ids - {task.id for task in tasks}:
        log.warning("Message of a task that does not exist dropped", extra={"task_id": str(missing)})
    closed = FINISHED | {State.STARTED}
    waiting = [task for task in tasks if task.state not in closed and not task.paused]
    unknown = [task for task in waiting if task.name not in registry]
    if unknown:
        await _report_unknown(unknown)
        failed.update(task.id for task in unknown)
    return [task for task in waiting if task.name in registry and task.due_in_s <= _CLOCK_TOLERANCE_S]


async def _run_alone(task: Unclaimed, runner: Runner) -> None:
    if runner.time_left_s > task.due_in_s:
        await asyncio.sleep(max(0.0, task.due_in_s))
        claimed = await _claim([task.id], runner.lease_s)
        await runner.run(claimed)
        if not claimed and task.limit_key:
            await _publish_later(task)
    else:
        await publish([Enqueued(task.id, task.queue, task.group_key, 0, publish=True)])


async def _publish_later(task: Unclaimed) -> None:
    """Publish a task again that a limit has held back, at a random time until which its backlog can be started."""
    limit = registry[task.name].limit
    if limit is not None:
        delay_s = random.uniform(1, 1 + retry_within_s(limit, task.backlog))  # noqa: S311  # no secret
        await publish([Enqueued(task.id, task.queue, task.group_key, delay_s, publish=True)])


async def _report_unknown(tasks: Sequence[Unclaimed]) -> None:
    """Record why messages return to the queue, until a deployment adds these tasks or SQS dead-letters the messages."""
    for task in tasks:
        extra = {"task_id": str(task.id), "task": task.name, "queue": task.queue}
        log.warning("Unknown task name; the message returns to the queue", extra=extra)
    try:
        await store().record_unknown([task.id for task in tasks], "The worker has no task of this name.")
    except TRANSIENT:
        log.warning("Could not record why tasks wait", extra={"tasks": len(tasks)})
