"""Statements on the table, and what they bring about in the same transaction: a row's end moves its whole workflow."""

from collections.abc import Mapping, Sequence
from typing import Any, cast
from uuid import UUID

import msgspec
from sqlalchemy import CursorResult, RowMapping, TextClause
from sqlalchemy.ext.asyncio import AsyncSession

from decant import db
from decant.config import settings
from decant.tasks.records import Enqueued, NewTask, Settled, State
from decant.tasks.sql import enqueue, workflow
from decant.tasks.sqs import REACH_S, can_announce

__all__ = ["end", "errback", "execute", "write"]


async def execute(
    statement: TextClause, given: Mapping[str, Any], session: AsyncSession | None = None, *, repeatable: bool = False
) -> Sequence[RowMapping]:
    """Run one statement, in the session's transaction or in its own.

    Args:
        statement: The statement.
        given: Its parameters.
        session: The session whose transaction it joins.
        repeatable: See `db.execute`.
    Raises:
        DatabaseUnavailable: PostgreSQL is away; retrying helps once it is back.
    """
    if session is None:
        return await db.execute(statement, given, repeatable=repeatable)
    result = cast("CursorResult[Any]", await session.execute(statement, given))
    return result.mappings().all() if result.returns_rows else ()


async def write(tasks: Sequence[NewTask], session: AsyncSession | None = None) -> list[Enqueued]:
    """Insert rows; those whose id or key is taken are left out."""
    if not tasks:
        return []
    in_order = sorted(tasks, key=lambda task: task.unique_key or "")  # two callers with the same keys take turns
    given = {"tasks": msgspec.json.encode(in_order).decode(), **_times()}
    return [Enqueued(**row) for row in await execute(enqueue.INSERT, given, session, repeatable=True)]


async def end(statement: TextClause, given: Mapping[str, Any], session: AsyncSession | None = None) -> Settled:
    """Run a statement that brings rows to an end, and do what follows from it in their workflows."""
    if session is None:
        async with db.session() as own:
            return await end(statement, given, own)
    rows = await execute(statement, given, session)
    released = await _follow([row for row in rows if row["leads_on"]], session)
    return Settled({row["id"]: State(row["state"]) for row in rows}, released)


async def _follow(ended: Sequence[RowMapping], session: AsyncSession) -> list[Enqueued]:
    succeeded = [row["id"] for row in ended if row["state"] == State.SUCCESS]
    failed = [row["id"] for row in ended if row["state"] != State.SUCCESS]
    if succeeded and failed:
        await execute(workflow.LOCK, {"ids": succeeded + failed}, session)
    started = await _fail_along(failed, session) if failed else []
    return started + (await _count_down(succeeded, session) if succeeded else [])


async def _fail_along(ids: Sequence[UUID], session: AsyncSession) -> list[Enqueued]:
    failures = await execute(workflow.FAIL_ALONG, {"ids": ids}, session)
    return await write([errback(row["origin"], new) for row in failures for new in _decoded(row["on_error"])], session)


async def _count_down(ids: Sequence[UUID], session: AsyncSession) -> list[Enqueued]:
    counted = await execute(workflow.COUNT_DOWN, {"ids": ids}, session)
    free = [row["id"] for row in counted if row["waits_for"] == 0]
    if not free:
        return []
    given = {"ids": free, "queues": list(settings().task_queue_urls), **_times()}
    return [Enqueued(**row) for row in await execute(workflow.RELEASE, given, session)]


def errback(origin: UUID, new: NewTask) -> NewTask:
    """The row of a task that is started because another failed."""
    args = [str(origin), *msgspec.json.decode(new.args)] if new.takes else msgspec.json.decode(new.args)
    encoded = msgspec.json.encode(args).decode()
    return msgspec.structs.replace(new, args=encoded, takes=None, announced=can_announce(new.queue))


def _times() -> dict[str, float]:
    return {"reach_s": REACH_S, "patience_s": settings().task_patience_s}


def _decoded(tasks: str) -> list[NewTask]:
    return msgspec.json.decode(tasks, type=list[NewTask])
