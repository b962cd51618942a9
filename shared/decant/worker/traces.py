"""Spans of claims, retries and runs. Every run belongs to the trace in which its task was enqueued.

A batch of several tasks has a span in a trace of its own, with a link to each of them.
"""

import os
import time
from collections.abc import Awaitable, Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from decant.tasks.records import Claimed, Outcome, State
from decant.tasks.traces import parent_of
from decant.tracing import Kind, Parent, Tracer, parse_xray, tracer
from decant.worker.execution import Execution

__all__ = ["claiming", "record_unclaimed", "run_traced"]

_MOST_LINKS = 128


async def claiming(claim: Awaitable[list[Claimed]]) -> list[Claimed]:
    """Wait for a claim, and record its spans: one in the trace of every claimed task, and the time before a retry."""
    if (traced := tracer()) is None:
        return await claim
    started_ns = time.time_ns()
    claimed = await claim
    if claimed:
        _record_claims(traced, claimed, started_ns)
    return claimed


def _record_claims(traced: Tracer, claimed: Sequence[Claimed], started_ns: int) -> None:
    parents = [parent_of(task.id, task.options) for task in claimed]
    batch: tuple[Parent, ...] = ()
    if len(claimed) > 1:
        links = [parent for parent in parents[:_MOST_LINKS] if parent.span_id]
        invocation = parse_xray(os.environ.get("_X_AMZN_TRACE_ID"))
        size = {"messaging.batch.message_count": len(claimed)}
        whole = traced.start("claim", Kind.CONSUMER, size, parent=invocation, links=links, start_ns=started_ns)
        batch = (whole.parent,)
        whole.end()
    for task, parent in zip(claimed, parents, strict=True):
        attributes = {**_attributes(task), "decant.claimed": True}
        span = traced.start(
            f"claim {task.name}", Kind.CONSUMER, attributes, parent=parent, links=batch, start_ns=started_ns
        )
        span.end()
        if task.retried_at is not None and task.retries:
            retried_ns = int(task.retried_at.timestamp() * 1e9)
            waited = traced.start(f"retry {task.name}", Kind.INTERNAL, attributes, parent=parent, start_ns=retried_ns)
            waited.end(max(started_ns, retried_ns))


def record_unclaimed(parents: Mapping[UUID, Parent], claimed: Collection[UUID]) -> None:
    """Record the messages that were received and not claimed, such as duplicates, in the traces of their tasks.

    Args:
        parents: Spans that sent the messages, by task.
        claimed: Tasks that were claimed.
    """
    unclaimed = parents.keys() - set(claimed)
    traced = tracer() if unclaimed else None
    if traced is not None:
        for task_id in unclaimed:
            attributes = {"messaging.message.id": str(task_id), "decant.claimed": False}
            traced.start("claim", Kind.CONSUMER, attributes, parent=parents[task_id]).end()


async def run_traced(traced: Tracer, execution: Execution) -> Outcome | None:
    """The outcome of a run, which is the current span of its code."""
    claimed = execution.claimed
    parent = parent_of(claimed.id, claimed.options)
    with traced.start(f"run {claimed.name}", Kind.CONSUMER, _attributes(claimed), parent=parent) as span:
        outcome = await execution.outcome()
        span.set({"decant.state": None if outcome is None else outcome.state.value})
        if outcome is not None and outcome.failure is not None and outcome.state is not State.PENDING:
            span.fail(outcome.failure.type, outcome.failure.message)
    return outcome


def _attributes(claimed: Claimed) -> dict[str, Any]:
    return {
        "messaging.system": "decant",
        "messaging.destination.name": claimed.queue,
        "messaging.message.id": str(claimed.id),
        "decant.task": claimed.name,
        "decant.attempt": claimed.attempt,
        "decant.retries": claimed.retries,
        "decant.correlation_id": claimed.correlation_id,
    }
