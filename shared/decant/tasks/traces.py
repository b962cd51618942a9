"""Traces of tasks: the row of a task contains the span that has enqueued it.

It is stored with the options of the call, so that every attempt, every part of a workflow and every error callback
continues the same trace. The trace of a task that was not enqueued inside of a span, such as the tick of a schedule,
has the id of the task.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import msgspec

from decant.tasks.records import NewTask
from decant.tracing import Kind, Parent, Span, parse_traceparent

__all__ = ["enqueuing", "parent_of", "stored_traceparent"]


@contextmanager
def enqueuing(parent: Span, tasks: Sequence[NewTask]) -> Iterator[Sequence[NewTask]]:
    """Record a span for tasks that are enqueued in the block; yields them as parts of the trace."""
    if not tasks:
        yield tasks
        return
    first = tasks[0]
    attributes: dict[str, Any] = {
        "messaging.system": "decant",
        "messaging.operation.type": "send",
        "messaging.destination.name": first.queue,
        "messaging.message.id": str(first.id),
    }
    if len(tasks) > 1:
        attributes["messaging.batch.message_count"] = len(tasks)
    with parent.child(f"enqueue {first.name}", Kind.PRODUCER, attributes) as span:
        yield _in_trace(tasks, span.traceparent or parent.traceparent)


def _in_trace(tasks: Iterable[NewTask], traceparent: str) -> tuple[NewTask, ...]:
    return tuple(
        msgspec.structs.replace(
            task,
            options={**task.options, "traceparent": traceparent},
            on_error=_in_trace(task.on_error, traceparent),
        )
        for task in tasks
    )


class _Stored(msgspec.Struct):
    traceparent: str | None = None


_decode = msgspec.json.Decoder(_Stored).decode


def stored_traceparent(options: str | None) -> str | None:
    """The span that has enqueued a task, from the options of its call."""
    return None if options is None else _decode(options).traceparent


def parent_of(task_id: UUID, options: str | None) -> Parent:
    """The span or the trace that the runs of a task belong to."""
    return parse_traceparent(stored_traceparent(options)) or Parent(task_id.hex)
