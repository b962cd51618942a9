"""The store in PostgreSQL: each method one statement of `sql`, on the shared engine."""

from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

import msgspec
from sqlalchemy import CursorResult, RowMapping, TextClause
from sqlalchemy.ext.asyncio import AsyncSession

from decant import db
from decant.config import settings
from decant.tasks import sql
from decant.tasks.records import Claimed, Enqueued, Failure, NewTask, Outcome, State, Status, Stop, Unclaimed
from decant.tasks.sqs import REACH_S

__all__ = ["PostgresStore"]


class PostgresStore:
    """Rows of the table `decant.task`."""

    async def insert(self, tasks: Sequence[NewTask], session: AsyncSession | None) -> list[Enqueued]:
        """Write rows; see `Store`."""
        written = {row["id"]: Enqueued(**row) for row in await self._insert(tasks, session)}
        return [written.get(task.id) or await self._standing_for(task, session) for task in tasks]

    async def _insert(self, tasks: Sequence[NewTask], session: AsyncSession | None) -> Sequence[RowMapping]:
        columns = {name: [getattr(task, name) for task in tasks] for name in NewTask.__struct_fields__}
        times = {"reach_s": REACH_S, "patience_s": settings().task_patience_s}
        return await _execute(sql.INSERT, {**columns, **times}, session)

    async def _standing_for(self, task: NewTask, session: AsyncSession | None) -> Enqueued:
        keys = {"id": task.id, "name": task.name}
        keys |= {"unique_key": task.unique_key, "idempotency_key": task.idempotency_key}
        while True:
            rows = await _execute(sql.STANDING_FOR, keys, session)
            if rows:
                return Enqueued(rows[0]["id"], task.queue, None, 0, announce=False)
            rows = await self._insert([task], session)  # the other one has just finished
            if rows:
                return Enqueued(**rows[0])

    async def unannounce(self, ids: Sequence[UUID]) -> None:
        """Note that rows have no message."""
        await _execute(sql.UNANNOUNCE, {"ids": list(ids)})

    async def claim(self, ids: Sequence[UUID], names: Sequence[str], lease_s: float, *, alone: bool) -> list[Claimed]:
        """Take rows by id."""
        given = {"ids": list(ids), "names": list(names), "lease_s": lease_s, "alone": alone}
        return [Claimed(**row) for row in await _execute(sql.CLAIM, given)]

    async def claim_due(self, names: Sequence[str], lease_s: float, count: int) -> list[Claimed]:
        """Take rows that no queue announces."""
        given = {"names": list(names), "lease_s": lease_s, "count": count}
        return [Claimed(**row) for row in await _execute(sql.CLAIM_DUE, given)]

    async def look_up(self, ids: Sequence[UUID]) -> list[Unclaimed]:
        """How rows stand."""
        rows = await _execute(sql.LOOK_UP, {"ids": list(ids)})
        return [Unclaimed(**{**row, "state": State(row["state"])}) for row in rows]

    async def settle(self, outcomes: Sequence[Outcome], session: AsyncSession | None) -> dict[UUID, State]:
        """Write how runs ended."""
        failures = [outcome.failure for outcome in outcomes]
        given = {
            "ids": [outcome.id for outcome in outcomes],
            "attempts": [outcome.attempt for outcome in outcomes],
            "states": [outcome.state.value for outcome in outcomes],
            "results": [outcome.result for outcome in outcomes],
            "error_types": [failure and failure.type for failure in failures],
            "errors": [failure and failure.message for failure in failures],
            "tracebacks": [failure and failure.traceback for failure in failures],
            "delays_s": [outcome.delay_s for outcome in outcomes],
            "announced": [outcome.announced for outcome in outcomes],
            "max_retries": [outcome.max_retries for outcome in outcomes],
            "patience_s": settings().task_patience_s,
        }
        return {row["id"]: State(row["state"]) for row in await _execute(sql.SETTLE, given, session)}

    async def stopped(self, running: Sequence[tuple[UUID, int]]) -> dict[UUID, Stop]:
        """Which runs have to stop."""
        given = {"ids": [task_id for task_id, _ in running], "attempts": [attempt for _, attempt in running]}
        return {row["id"]: Stop.LOST if row["lost"] else Stop.REVOKED for row in await _execute(sql.STOPPED, given)}

    async def progress(self, task_id: UUID, attempt: int, value: str) -> None:
        """Note how far a run is."""
        await _execute(sql.PROGRESS, {"id": task_id, "attempt": attempt, "progress": value})

    async def revoke(self, task_id: UUID, *, terminate: bool) -> None:
        """Let a task not be started any more."""
        await _execute(sql.REVOKE, {"id": task_id, "terminate": terminate})

    async def status(self, task_id: UUID) -> Status | None:
        """All that is known of a task."""
        rows = await _execute(sql.STATUS, {"id": task_id})
        return _status(rows[0]) if rows else None


async def _execute(
    statement: TextClause, given: dict[str, Any], session: AsyncSession | None = None
) -> Sequence[RowMapping]:
    if session is not None:
        result = cast("CursorResult[Any]", await session.execute(statement, given))
        return result.mappings().all() if result.returns_rows else ()
    async with db.session() as own:
        return await _execute(statement, given, own)


def _status(row: RowMapping) -> Status:
    columns = dict(row)
    type_, message, traceback = (columns.pop(name) for name in ("error_type", "error", "traceback"))
    columns["failure"] = None if type_ is None else Failure(type_, message, traceback)
    columns["state"] = State(columns["state"])
    for name in ("result", "progress"):
        columns[name] = None if columns[name] is None else msgspec.json.decode(columns[name])
    return Status(**columns)
