"""The store in PostgreSQL: each method one statement of `sql`, on the shared engine."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from decant import db
from decant.config import settings
from decant.tasks.records import (
    Claimed,
    Enqueued,
    Failure,
    NewTask,
    Outcome,
    Settled,
    State,
    Status,
    Stop,
    Unclaimed,
    Which,
)
from decant.tasks.sql import bury, enqueue, run, schedule, sweep, watch
from decant.tasks.transaction import end, execute, write

__all__ = ["PostgresStore"]


class PostgresStore:
    """Rows of the table `decant.task`."""

    async def insert(self, tasks: Sequence[NewTask], session: AsyncSession | None) -> list[Enqueued]:
        """Write rows; see `Store`."""
        written = {row.id: row for row in await write(tasks, session)}
        return [written.get(task.id) or await self._standing_for(task, session) for task in tasks]

    async def _standing_for(self, task: NewTask, session: AsyncSession | None) -> Enqueued:
        keys = {"id": task.id, "name": task.name}
        keys |= {"unique_key": task.unique_key, "idempotency_key": task.idempotency_key}
        while True:
            rows = await execute(enqueue.STANDING_FOR, keys, session)
            if rows:
                return Enqueued(rows[0]["id"], task.queue, None, 0, announce=False)
            written = await write([task], session)  # the other one has just finished
            if written:
                return written[0]

    async def unannounce(self, ids: Sequence[UUID]) -> None:
        """Note that rows have no message."""
        await execute(enqueue.UNANNOUNCE, {"ids": list(ids)})

    async def claim(self, ids: Sequence[UUID], names: Sequence[str], lease_s: float, *, alone: bool) -> list[Claimed]:
        """Take rows by id."""
        given = {"ids": list(ids), "names": list(names), "lease_s": lease_s, "alone": alone}
        return [Claimed(**row) for row in await execute(run.CLAIM, given)]

    async def claim_due(self, names: Sequence[str], lease_s: float, count: int) -> list[Claimed]:
        """Take rows that no queue announces."""
        given = {"names": list(names), "lease_s": lease_s, "count": count}
        return [Claimed(**row) for row in await execute(run.CLAIM_DUE, given)]

    async def look_up(self, ids: Sequence[UUID]) -> list[Unclaimed]:
        """How rows stand."""
        rows = await execute(run.LOOK_UP, {"ids": list(ids)})
        return [Unclaimed(**{**row, "state": State(row["state"])}) for row in rows]

    async def settle(self, outcomes: Sequence[Outcome], session: AsyncSession | None) -> Settled:
        """Write how runs ended."""
        outcomes = sorted(outcomes, key=lambda outcome: outcome.id)
        given = {"outcomes": msgspec.json.encode(outcomes).decode(), "patience_s": settings().task_patience_s}
        if session is None and not any(outcome.leads_on for outcome in outcomes):
            rows = await execute(run.SETTLE, given)
            return Settled({row["id"]: State(row["state"]) for row in rows}, [])
        return await end(run.SETTLE, given, session)

    async def stopped(self, running: Sequence[tuple[UUID, int]]) -> dict[UUID, Stop]:
        """Which runs have to stop."""
        given = {"ids": [task_id for task_id, _ in running], "attempts": [attempt for _, attempt in running]}
        return {row["id"]: Stop.LOST if row["lost"] else Stop.REVOKED for row in await execute(run.STOPPED, given)}

    async def progress(self, task_id: UUID, attempt: int, value: str) -> None:
        """Note how far a run is."""
        await execute(run.PROGRESS, {"id": task_id, "attempt": attempt, "progress": value})

    async def revoke(self, task_id: UUID, *, terminate: bool) -> None:
        """Let a task not be started any more."""
        await end(watch.REVOKE, {"id": task_id, "terminate": terminate})

    async def revoke_workflow(self, root_id: UUID, *, terminate: bool) -> None:
        """Let no task of a workflow be started any more."""
        await end(watch.REVOKE_WORKFLOW, {"id": root_id, "terminate": terminate})

    async def statuses(self, ids: Sequence[UUID]) -> dict[UUID, Status]:
        """All that is known of tasks."""
        return {row["id"]: _status(row) for row in await execute(watch.STATUS, {"ids": list(ids)})}

    async def due(self, queues: Sequence[str], ahead_s: float, count: int) -> list[Enqueued]:
        """Pick rows to announce."""
        given = {"queues": list(queues), "ahead_s": ahead_s, "count": count, "patience_s": settings().task_patience_s}
        return [Enqueued(**row) for row in await execute(sweep.ANNOUNCE, given)]

    async def expire(self, count: int) -> Settled:
        """Take rows from workers that were lost."""
        return await end(sweep.EXPIRE, {"count": count})

    async def tick(
        self, names: Sequence[str], due: Callable[[str, datetime, datetime], list[NewTask]]
    ) -> list[Enqueued]:
        """Write the rows of periodic tasks' ticks."""
        async with db.session() as session:
            opened = await execute(schedule.OPEN, {"names": list(names)}, session)
            ticks = {row["name"]: due(row["name"], row["ticked_at"], row["now"]) for row in opened}
            last = {name: new[-1].eta for name, new in ticks.items() if new}
            await execute(schedule.TICKED, {"names": list(last), "ticked_at": list(last.values())}, session)
            return await write([new for each in ticks.values() for new in each], session)

    async def note(self, ids: Sequence[UUID], error: str) -> None:
        """Note why tasks are not run."""
        await execute(bury.NOTE, {"ids": list(ids), "error": error})

    async def bury(self, reasons: Mapping[UUID, str]) -> Settled:
        """Close tasks whose messages came back too often."""
        return await end(bury.BURY, {"ids": list(reasons), "reasons": list(reasons.values())})

    async def redrive(self, which: Which, count: int) -> list[Enqueued]:
        """Put tasks back."""
        queues = list(settings().task_queue_urls)
        given = {
            **msgspec.structs.asdict(which),
            "ids": which.ids and list(which.ids),
            "count": count,
            "queues": queues,
        }
        patience_s = settings().task_patience_s
        return [Enqueued(**row) for row in await execute(bury.REDRIVE, {**given, "patience_s": patience_s})]

    async def delete(self, age_s: float, count: int) -> int:
        """Delete rows that were done long ago."""
        return len(await execute(sweep.DELETE, {"age_s": age_s, "count": count}))


def _status(row: RowMapping) -> Status:
    columns = dict(row)
    type_, message, traceback = (columns.pop(name) for name in ("error_type", "error", "traceback"))
    columns["failure"] = None if type_ is None else Failure(type_, message, traceback)
    columns["state"] = State(columns["state"])
    for name in ("result", "progress"):
        columns[name] = None if columns[name] is None else msgspec.json.decode(columns[name])
    return Status(**columns)
