"""Insert tasks, and finish tasks together with the update of their workflows, which is part of the same transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from decant import db
from decant.config import load
from decant.tasks.options import MAX_DELAY_S, TaskSettings, has_url
from decant.tasks.records import Completed, Enqueued, NewTask, State
from decant.tasks.sql import enqueue, workflow

__all__ = ["complete", "completed", "insert", "message_parameters"]


async def insert(tasks: Sequence[NewTask], session: AsyncSession | None, *, are_calls: bool = False) -> list[Enqueued]:
    """Insert tasks; those whose id or key exists are left out. `are_calls`: see `Store.insert`."""
    if not tasks:
        return []
    in_order = sorted(tasks, key=lambda task: task.unique_key or "")  # two callers with the same keys lock in one order
    given: dict[str, Any] = {"expected": len(tasks), "max_delay_s": MAX_DELAY_S}
    given["republish_after_s"] = load(TaskSettings).republish_after_s
    if are_calls:
        given |= {"shared": _encoded(tasks[0]), **{name: _column(in_order, name) for name in enqueue.OF_CALL}}
        has_keys = in_order[-1].unique_key or tasks[0].idempotency_key
        first, repeated = enqueue.INSERT_CALLS if has_keys else enqueue.INSERT_NEW_CALLS, enqueue.INSERT_CALLS
    else:
        given["tasks"] = _encoded(in_order)
        first = repeated = enqueue.INSERT
    (row,) = await db.execute(first, given, session, repeat_with=repeated)
    if row["inserted"] < len(tasks):
        ids = frozenset(row["ids"] or ())
        tasks = [task for task in tasks if task.id in ids]
    return [_enqueued(task, row["now"]) for task in tasks]


def _column(tasks: Sequence[NewTask], name: str) -> str:
    """The values of a field as a JSON array; PostgreSQL reads an empty one as null in all rows."""
    values = list(map(attrgetter(name), tasks))
    return _encoded(values) if any(values) else "[]"


def _encoded(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _enqueued(task: NewTask, now: datetime) -> Enqueued:
    """A task that was inserted at this time of the database's clock."""
    due_in_s = task.countdown_s if task.eta is None else (task.eta - now).total_seconds()
    publish = task.publish and not task.parents and due_in_s <= MAX_DELAY_S
    return Enqueued(task.id, task.queue, task.group_key, due_in_s, publish, task.options.get("traceparent"))


async def complete(statement: str, given: Mapping[str, Any], session: AsyncSession | None = None) -> Completed:
    """Run a statement that finishes tasks, and update their workflows in the same transaction."""
    if session is None:
        async with db.session() as own:
            return await complete(statement, given, own)
    rows = await db.execute(statement, given, session)
    released = await _update_workflows([row for row in rows if row["has_dependents"]], session)
    return completed(rows, released)


def completed(rows: Sequence[Mapping[str, Any]], released: list[Enqueued]) -> Completed:
    """The effect of a statement that finishes tasks, whose workflows have released others."""
    has_signals = bool(rows) and "signalled" in rows[0]  # in the rows of COMPLETE; `get` would cost a µs per row
    signalled = frozenset(row["id"] for row in rows if row["signalled"]) if has_signals else frozenset()
    return Completed({row["id"]: State(row["state"]) for row in rows}, released, signalled)


async def _update_workflows(finished: Sequence[Mapping[str, Any]], session: AsyncSession) -> list[Enqueued]:
    succeeded = [row["id"] for row in finished if row["state"] == State.SUCCESS]
    failed = [row["id"] for row in finished if row["state"] != State.SUCCESS]
    failures = await db.execute(workflow.FAIL_DEPENDENTS, {"ids": failed}, session) if failed else []
    callbacks = [
        callback.for_failure_of(row["origin"], publish=has_url(callback.queue))
        for row in failures
        for callback in msgspec.json.decode(row["on_error"], type=list[NewTask])
    ]
    awaiting = {row["awaited_by"] for row in (*finished, *failures)} - {None}
    woken = await _wake(list(awaiting), session) if awaiting else []
    released = await _release_dependents(succeeded, session) if succeeded else []
    return woken + released + await insert(callbacks, session)


async def _wake(ids: Sequence[UUID], session: AsyncSession) -> list[Enqueued]:
    """Signal runs of workflows whose children are finished; returns those that are due now."""
    rows = await db.execute(workflow.WAKE, {"ids": ids, **message_parameters()}, session)
    return [Enqueued(**{name: row[name] for name in Enqueued.__struct_fields__}) for row in rows if row["resumes"]]


async def _release_dependents(ids: Sequence[UUID], session: AsyncSession) -> list[Enqueued]:
    counted = await db.execute(workflow.COUNT_DOWN, {"ids": ids}, session)
    ready = [row["id"] for row in counted if row["pending_parents"] == 0]
    if not ready:
        return []
    given = {"ids": ready, "max_delay_s": MAX_DELAY_S, **message_parameters()}
    return [Enqueued(*row.values()) for row in await db.execute(workflow.RELEASE, given, session)]


def message_parameters() -> dict[str, Any]:
    """Parameters of statements by which tasks become due: the queues whose tasks get a message, and until when."""
    settings = load(TaskSettings)
    return {"queues": list(settings.queue_urls), "republish_after_s": settings.republish_after_s}
