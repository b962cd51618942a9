"""Store in PostgreSQL: runs the statements of `decant.tasks.sql` on the shared engine.

A statement that completes tasks also updates their workflows in the same transaction; see `completion`.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from decant import db
from decant.config import load
from decant.tasks.lists import Page, PausedQueue, QueueStatistics, Summary, TaskFilter
from decant.tasks.options import TaskSettings
from decant.tasks.records import (
    CancelReason,
    Claimed,
    Completed,
    Enqueued,
    Failure,
    NewTask,
    Outcome,
    Runnable,
    State,
    Unclaimed,
    WorkerReport,
)
from decant.tasks.replaceable import Replaceable
from decant.tasks.sql import (
    claim,
    dead_letters,
    enqueue,
    lists,
    queues,
    run,
    schedule,
    statistics,
    sweep,
    watch,
    workers,
    workflow,
)
from decant.tasks.status import Status
from decant.tasks.store.completion import complete, completed, insert, message_parameters
from decant.tasks.store.protocol import DueTicks, Store

__all__ = ["COUNT_LIMIT", "PostgresStore", "store", "using"]

COUNT_LIMIT = 10_000
"""Limit of the counts in `QueueStatistics`: a queue with more tasks is reported with this number."""

_SCAN_LIMIT = 2_000  # rows that a page reads
_STEPS_PER_TASK = 20  # that are deleted together, on average
_INDEX = {State.FAILURE: "dead", State.REVOKED: "dead", State.SUCCESS: "all", None: "all"}


class PostgresStore:
    """Rows of the table `decant.task`; see `Store` for the methods."""

    async def insert(
        self, tasks: Sequence[NewTask], session: AsyncSession | None, *, are_calls: bool = False
    ) -> list[Enqueued]:
        written = await insert(tasks, session, are_calls=are_calls)
        if len(written) == len(tasks):
            return written
        inserted = {row.id: row for row in written}
        return [inserted.get(task.id) or await self._find_existing(task, session) for task in tasks]

    async def _find_existing(self, task: NewTask, session: AsyncSession | None) -> Enqueued:
        keys = {"id": task.id, "name": task.name}
        keys |= {"unique_key": task.unique_key, "idempotency_key": task.idempotency_key}
        while True:
            rows = await db.execute(enqueue.FIND_EXISTING, keys, session)
            if rows:
                return Enqueued(rows[0]["id"], task.queue, None, 0, publish=False)
            inserted = await insert([task], session)  # the other task has just finished
            if inserted:
                return inserted[0]

    async def mark_unpublished(self, ids: Sequence[UUID]) -> None:
        await db.execute(enqueue.MARK_UNPUBLISHED, {"ids": list(ids)})

    async def claim(self, ids: Sequence[UUID], tasks: Runnable, lease_s: float, *, alone: bool) -> list[Claimed]:
        given = {"ids": list(ids), "lease_s": lease_s, "alone": alone, **_runnable(tasks)}
        rows = await db.execute(claim.CLAIM_LIMITED if tasks.limits else claim.CLAIM, given)
        return [Claimed(*row.values()) for row in rows]

    async def claim_due(self, tasks: Runnable, lease_s: float, count: int) -> list[Claimed]:
        given = {"lease_s": lease_s, "count": count, **_runnable(tasks)}
        rows = await db.execute(claim.CLAIM_DUE_LIMITED if tasks.limits else claim.CLAIM_DUE, given)
        return [Claimed(*row.values()) for row in rows]

    async def next_due_in_s(self, tasks: Runnable, within_s: float) -> float | None:
        given = {"within_s": within_s, **_runnable(tasks)}
        (row,) = await db.execute(claim.NEXT_DUE_LIMITED if tasks.limits else claim.NEXT_DUE, given)
        due_in_s: float | None = row["due_in_s"]
        return due_in_s

    async def look_up(self, ids: Sequence[UUID]) -> list[Unclaimed]:
        rows = await db.execute(run.LOOK_UP, {"ids": list(ids)})
        return [Unclaimed(**{**row, "state": State(row["state"])}) for row in rows]

    async def complete(self, outcomes: Sequence[Outcome], session: AsyncSession | None) -> Completed:
        in_order = sorted(outcomes, key=lambda outcome: outcome.id.int)
        given = {"outcomes": msgspec.json.encode(in_order).decode(), "republish_after_s": _republish_after_s()}
        if any(outcome.has_dependents for outcome in outcomes):
            return await complete(run.COMPLETE_WITH_DEPENDENTS, given, session)
        return completed(await db.execute(run.COMPLETE, given, session), [])

    async def heartbeat(self, running: Sequence[tuple[UUID, int]], lease_s: float | None) -> dict[UUID, CancelReason]:
        given = {"ids": [task_id for task_id, _ in running], "attempts": [attempt for _, attempt in running]}
        renewal = {} if lease_s is None else {"lease_s": lease_s}
        rows = await db.execute(run.RENEW if renewal else run.CANCELLED, given | renewal)
        return {row["id"]: CancelReason.LEASE_LOST if row["lost"] else CancelReason.REVOKED for row in rows}

    async def report_worker(self, report: WorkerReport) -> None:
        await db.execute(workers.REPORT, msgspec.structs.asdict(report))

    async def remove_worker(self, worker_id: UUID) -> None:
        await db.execute(workers.REMOVE, {"id": worker_id})

    async def set_progress(self, task_id: UUID, attempt: int, value: str, session: AsyncSession | None = None) -> bool:
        return bool(await db.execute(run.PROGRESS, {"id": task_id, "attempt": attempt, "progress": value}, session))

    async def forget(self, task_id: UUID) -> None:
        await db.execute(watch.FORGET, {"id": task_id})

    async def continue_as(self, task_id: UUID, attempt: int, name: str, tasks: Sequence[NewTask]) -> list[Enqueued]:
        given = {"id": task_id, "attempt": attempt, "name": name, "parent": tasks[-1].id}
        async with db.session() as session:
            rows = await db.execute(workflow.CONTINUE_AS, given, session)
            if not rows:
                return []
            root_id = rows[0]["root_id"]
            return await insert([msgspec.structs.replace(task, root_id=root_id) for task in tasks], session)

    async def revoke(self, ids: Sequence[UUID], *, terminate: bool) -> int:
        return len((await complete(watch.REVOKE, {"ids": list(ids), "terminate": terminate})).states)

    async def revoke_workflow(self, root_id: UUID, *, terminate: bool) -> None:
        await complete(watch.REVOKE_WORKFLOW, {"id": root_id, "terminate": terminate})

    async def statuses(self, ids: Sequence[UUID]) -> dict[UUID, Status]:
        return {row["id"]: _status(row) for row in await db.execute(watch.STATUS, {"ids": list(ids)})}

    async def page(
        self, state: State | None, name: str | None, queue: str | None, before: UUID | None, count: int
    ) -> Page:
        given = {"state": state, "name": name, "queue": queue, "before": before, "count": count}
        statement = lists.LISTS[_INDEX.get(state, "open")]
        rows = await db.execute(statement, {**given, "scan_limit": _SCAN_LIMIT})
        tasks = [_summary(row) for row in rows if row["id"] is not None]
        if len(tasks) == count:
            return Page(tasks, tasks[-1].id)
        return Page(tasks, rows[0]["last"] if rows[0]["scanned"] == _SCAN_LIMIT else None)

    async def statistics(self) -> list[QueueStatistics]:
        rows = await db.execute(lists.STATISTICS, {"queues": list(load(TaskSettings).queue_urls), "most": COUNT_LIMIT})
        return [QueueStatistics(**row) for row in rows]

    async def pause(self, queue: str) -> None:
        await db.execute(queues.PAUSE, {"name": queue})

    async def resume(self, queue: str) -> None:
        await db.execute(queues.RESUME, {"name": queue})

    async def paused(self) -> list[PausedQueue]:
        return [PausedQueue(**row) for row in await db.execute(queues.LIST_PAUSED, {})]

    async def unpublished(self, queues: Sequence[str], ahead_s: float, count: int) -> list[Enqueued]:
        given = {"queues": list(queues), "ahead_s": ahead_s, "count": count, "republish_after_s": _republish_after_s()}
        return [Enqueued(*row.values()) for row in await db.execute(sweep.UNPUBLISHED, given)]

    async def expire_leases(self, count: int) -> Completed:
        return await complete(sweep.EXPIRE_LEASES, {"count": count})

    async def tick(self, keys: Sequence[str], due: DueTicks) -> list[Enqueued]:
        given = {"keys": list(keys)}
        async with db.session() as session:
            await db.execute(schedule.MARK_ABSENT, given, session)
            if not keys:
                return []
            await db.execute(schedule.ADD, given, session)
            locked = await db.execute(schedule.LOCK, given, session)
            ticks = {row["key"]: due(row["key"], row["ticked_at"], row["now"]) for row in locked}
            last = {row["key"]: ticks[row["key"]][-1].eta if ticks[row["key"]] else row["ticked_at"] for row in locked}
            await db.execute(schedule.TICKED, {"keys": list(last), "ticked_at": list(last.values())}, session)
            return await insert([task for new in ticks.values() for task in new], session)

    async def summarize(self) -> int:
        periods = statistics.PERIODS_S
        async with db.session() as session:
            (lock,) = await db.execute(statistics.LOCK_STATISTICS, {}, session)
            if not lock["locked"]:
                return 0
            added = await db.execute(statistics.SUMMARIZE, {"periods": list(periods)}, session)
            given = {"periods": list(periods), "kept_s": list(periods.values())}
            await db.execute(statistics.FORGET_STATISTICS, given, session)
            await db.execute(statistics.SWEPT, {}, session)
        return len(added)

    async def record_unknown(self, ids: Sequence[UUID], error: str) -> None:
        await db.execute(dead_letters.RECORD_UNKNOWN, {"ids": list(ids), "error": error})

    async def close_dead_lettered(self, reasons: Mapping[UUID, str]) -> Completed:
        return await complete(dead_letters.CLOSE, {"ids": list(reasons), "reasons": list(reasons.values())})

    async def redrive(self, conditions: TaskFilter, count: int) -> list[Enqueued]:
        given = msgspec.structs.asdict(conditions) | {"ids": conditions.ids and list(conditions.ids), "count": count}
        # As text: asyncpg converts times to UTC, which takes the first and the last of them out of datetime's range.
        times = {"since": conditions.since, "until": conditions.until}
        given |= {name: None if time is None else time.isoformat() for name, time in times.items()}
        given |= message_parameters()
        return [Enqueued(*row.values()) for row in await db.execute(dead_letters.REDRIVE, given)]

    async def delete(self, age_s: float, count: int) -> int:
        for statement in (sweep.DELETE_RESPONSES, sweep.DELETE_LIMITS):
            await db.execute(statement, {"count": count})
        given = {"age_s": age_s, "count": count, "step_count": _STEPS_PER_TASK * count}
        (deleted,) = await db.execute(sweep.DELETE, given)
        rows: int = deleted["rows"]
        return rows


store = Replaceable[Store](PostgresStore)
"""The store of the current runtime."""
using = store.using


def _runnable(tasks: Runnable) -> dict[str, Any]:
    limits = {"limits": msgspec.json.encode(tasks.limits).decode()} if tasks.limits else {}
    return {"names": tasks.names, "queues": tasks.queues, **limits}


def _republish_after_s() -> float:
    return load(TaskSettings).republish_after_s


def _summary(row: Mapping[str, Any]) -> Summary:
    fields = {name: row[name] for name in Summary.__struct_fields__}
    return Summary(**{**fields, "state": State(row["state"])})


def _status(row: Mapping[str, Any]) -> Status:
    fields = dict(row)
    type_, message, traceback = (fields.pop(name) for name in ("error_type", "error", "traceback"))
    fields["failure"] = None if type_ is None else Failure(type_, message, traceback)
    fields["state"] = State(fields["state"])
    for name in ("result", "progress", "details"):
        fields[name] = None if fields[name] is None else msgspec.json.decode(fields[name])
    return Status(**fields)
