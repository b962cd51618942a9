"""Store in PostgreSQL: runs the statements of `decant.tasks.sql` on the shared engine.

A statement that completes tasks also updates their workflows in the same transaction.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import RowMapping, TextClause
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from decant import db
from decant.config import load
from decant.errors import DatabaseUnavailable
from decant.tasks.lists import Page, PausedQueue, QueueStatistics, Summary, TaskFilter
from decant.tasks.options import MAX_DELAY_S, TaskSettings, has_url
from decant.tasks.records import (
    CancelReason,
    Claimed,
    Completed,
    Enqueued,
    Failure,
    Limit,
    NewTask,
    Outcome,
    State,
    Status,
    Unclaimed,
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
    workflow,
)
from decant.tasks.store.protocol import DueTicks, Store

__all__ = ["COUNT_LIMIT", "TRANSIENT", "PostgresStore", "is_temporary", "store", "using"]

COUNT_LIMIT = 10_000
"""Limit of the counts in `QueueStatistics`: a queue with more tasks is reported with this number."""

_SCAN_LIMIT = 2_000  # rows that a page reads
_ROWS_PER_TASK = 20  # that are deleted, with the steps of workflows
_INDEX = {State.FAILURE: "dead", State.REVOKED: "dead", State.SUCCESS: "all", None: "all"}


TRANSIENT = (DatabaseUnavailable, DBAPIError)
"""Errors after which the worker's own statements are executed again: PostgreSQL cannot be reached, or it cancelled the
statement, for example because of `DATABASE_STATEMENT_TIMEOUT_S`."""

_TEMPORARY = ("40", "53", "55", "57", "58")
"""SQLSTATE classes: rollback, insufficient resources, lock not available, statement timeout or shutdown, system error.

Source: PostgreSQL, appendix A, error codes.
"""


def is_temporary(error: Exception) -> bool:
    """Whether the same statement may succeed later: PostgreSQL did not reject its values."""
    if isinstance(error, DBAPIError):
        return (getattr(error.orig, "sqlstate", None) or "").startswith(_TEMPORARY)
    return isinstance(error, DatabaseUnavailable)


class PostgresStore:
    """Rows of the table `decant.task`; see `Store` for the methods."""

    async def insert(self, tasks: Sequence[NewTask], session: AsyncSession | None) -> list[Enqueued]:
        inserted = {row.id: row for row in await _insert(tasks, session)}
        return [inserted.get(task.id) or await self._find_existing(task, session) for task in tasks]

    async def _find_existing(self, task: NewTask, session: AsyncSession | None) -> Enqueued:
        keys = {"id": task.id, "name": task.name}
        keys |= {"unique_key": task.unique_key, "idempotency_key": task.idempotency_key}
        while True:
            rows = await db.execute(enqueue.FIND_EXISTING, keys, session)
            if rows:
                return Enqueued(rows[0]["id"], task.queue, None, 0, publish=False)
            inserted = await _insert([task], session)  # the other task has just finished
            if inserted:
                return inserted[0]

    async def mark_unpublished(self, ids: Sequence[UUID]) -> None:
        await db.execute(enqueue.MARK_UNPUBLISHED, {"ids": list(ids)})

    async def claim(
        self, ids: Sequence[UUID], names: Sequence[str], lease_s: float, *, alone: bool, limits: Sequence[Limit] = ()
    ) -> list[Claimed]:
        given = {"ids": list(ids), "names": list(names), "lease_s": lease_s, "alone": alone, **_limits(limits)}
        rows = await db.execute(claim.CLAIM_LIMITED if limits else claim.CLAIM, given)
        return [Claimed(*row.values()) for row in rows]

    async def claim_due(
        self,
        names: Sequence[str],
        lease_s: float,
        count: int,
        queues: Sequence[str] | None = None,
        *,
        limits: Sequence[Limit] = (),
    ) -> list[Claimed]:
        given = {"names": list(names), "lease_s": lease_s, "count": count, "queues": queues, **_limits(limits)}
        rows = await db.execute(claim.CLAIM_DUE_LIMITED if limits else claim.CLAIM_DUE, given)
        return [Claimed(*row.values()) for row in rows]

    async def next_due_in_s(
        self,
        names: Sequence[str],
        within_s: float,
        queues: Sequence[str] | None = None,
        *,
        limits: Sequence[Limit] = (),
    ) -> float | None:
        given = {"names": list(names), "within_s": within_s, "queues": queues, **_limits(limits)}
        (row,) = await db.execute(claim.NEXT_DUE_LIMITED if limits else claim.NEXT_DUE, given)
        due_in_s: float | None = row["due_in_s"]
        return due_in_s

    async def look_up(self, ids: Sequence[UUID]) -> list[Unclaimed]:
        rows = await db.execute(run.LOOK_UP, {"ids": list(ids)})
        return [Unclaimed(**{**row, "state": State(row["state"])}) for row in rows]

    async def complete(self, outcomes: Sequence[Outcome], session: AsyncSession | None) -> Completed:
        in_order = sorted(outcomes, key=lambda outcome: outcome.id.int)
        given = {"outcomes": msgspec.json.encode(in_order).decode(), "republish_after_s": _republish_after_s()}
        has_dependents = any(outcome.has_dependents for outcome in outcomes)
        if session is None and not has_dependents:
            return _completed(await db.execute(run.COMPLETE, given), [])
        return await _complete(run.COMPLETE_WITH_DEPENDENTS if has_dependents else run.COMPLETE, given, session)

    async def heartbeat(self, running: Sequence[tuple[UUID, int]], lease_s: float | None) -> dict[UUID, CancelReason]:
        given = {"ids": [task_id for task_id, _ in running], "attempts": [attempt for _, attempt in running]}
        renewal = {} if lease_s is None else {"lease_s": lease_s}
        rows = await db.execute(run.RENEW if renewal else run.CANCELLED, given | renewal)
        return {row["id"]: CancelReason.LEASE_LOST if row["lost"] else CancelReason.REVOKED for row in rows}

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
            return await _insert([msgspec.structs.replace(task, root_id=root_id) for task in tasks], session)

    async def revoke(self, ids: Sequence[UUID], *, terminate: bool) -> int:
        return len((await _complete(watch.REVOKE, {"ids": list(ids), "terminate": terminate})).states)

    async def revoke_workflow(self, root_id: UUID, *, terminate: bool) -> None:
        await _complete(watch.REVOKE_WORKFLOW, {"id": root_id, "terminate": terminate})

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
        rows = await db.execute(lists.STATISTICS, {"queues": _queues(), "most": COUNT_LIMIT})
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
        return await _complete(sweep.EXPIRE_LEASES, {"count": count})

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
            return await _insert([task for new in ticks.values() for task in new], session)

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
        return await _complete(dead_letters.CLOSE, {"ids": list(reasons), "reasons": list(reasons.values())})

    async def redrive(self, conditions: TaskFilter, count: int) -> list[Enqueued]:
        given = msgspec.structs.asdict(conditions) | {"ids": conditions.ids and list(conditions.ids), "count": count}
        # As text: asyncpg converts times to UTC, which takes the first and the last of them out of datetime's range.
        times = {"since": conditions.since, "until": conditions.until}
        given |= {name: None if time is None else time.isoformat() for name, time in times.items()}
        given |= {"queues": _queues(), "republish_after_s": _republish_after_s()}
        return [Enqueued(*row.values()) for row in await db.execute(dead_letters.REDRIVE, given)]

    async def delete(self, age_s: float, count: int) -> int:
        for statement in (sweep.DELETE_RESPONSES, sweep.DELETE_LIMITS):
            await db.execute(statement, {"count": count})
        given = {"age_s": age_s, "count": count, "row_count": _ROWS_PER_TASK * count}
        return sum(row["rows"] for row in await db.execute(sweep.DELETE, given))


store = Replaceable[Store](PostgresStore)
"""The store of the current runtime."""
using = store.using


async def _insert(tasks: Sequence[NewTask], session: AsyncSession | None) -> list[Enqueued]:
    """Insert tasks; those whose id or key exists are left out."""
    if not tasks:
        return []
    in_order = sorted(tasks, key=lambda task: task.unique_key or "")  # two callers with the same keys lock in one order
    given = {"tasks": msgspec.json.encode(in_order).decode(), "expected": len(tasks), **_delays()}
    (row,) = await db.execute(enqueue.INSERT, given, session, repeatable=True)
    if row["inserted"] < len(tasks):
        ids = frozenset(row["ids"] or ())
        tasks = [task for task in tasks if task.id in ids]
    return [_enqueued(task, row["now"]) for task in tasks]


def _enqueued(task: NewTask, now: datetime) -> Enqueued:
    """A task that was inserted at this time of the database's clock."""
    due_in_s = task.countdown_s if task.eta is None else (task.eta - now).total_seconds()
    publish = task.publish and not task.parents and due_in_s <= MAX_DELAY_S
    return Enqueued(task.id, task.queue, task.group_key, due_in_s, publish, task.options.get("traceparent"))


async def _complete(statement: TextClause, given: Mapping[str, Any], session: AsyncSession | None = None) -> Completed:
    """Run a statement that finishes tasks, and update their workflows in the same transaction."""
    if session is None:
        async with db.session() as own:
            return await _complete(statement, given, own)
    rows = await db.execute(statement, given, session)
    released = await _update_workflows([row for row in rows if row["has_dependents"]], session)
    return _completed(rows, released)


def _completed(rows: Sequence[RowMapping], released: list[Enqueued]) -> Completed:
    signalled = frozenset(row["id"] for row in rows if row.get("signalled"))
    return Completed({row["id"]: State(row["state"]) for row in rows}, released, signalled)


async def _update_workflows(finished: Sequence[RowMapping], session: AsyncSession) -> list[Enqueued]:
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
    return woken + released + await _insert(callbacks, session)


async def _wake(ids: Sequence[UUID], session: AsyncSession) -> list[Enqueued]:
    """Signal runs of workflows whose children are finished; returns those that are due now."""
    given = {"ids": ids, "queues": _queues(), "republish_after_s": _republish_after_s()}
    rows = await db.execute(workflow.WAKE, given, session)
    return [Enqueued(**{name: row[name] for name in Enqueued.__struct_fields__}) for row in rows if row["resumes"]]


async def _release_dependents(ids: Sequence[UUID], session: AsyncSession) -> list[Enqueued]:
    counted = await db.execute(workflow.COUNT_DOWN, {"ids": ids}, session)
    ready = [row["id"] for row in counted if row["pending_parents"] == 0]
    if not ready:
        return []
    given = {"ids": ready, "queues": _queues(), **_delays()}
    return [Enqueued(*row.values()) for row in await db.execute(workflow.RELEASE, given, session)]


def _limits(limits: Sequence[Limit]) -> dict[str, str]:
    return {"limits": msgspec.json.encode(limits).decode()} if limits else {}


def _delays() -> dict[str, float]:
    return {"max_delay_s": MAX_DELAY_S, "republish_after_s": _republish_after_s()}


def _republish_after_s() -> float:
    return load(TaskSettings).republish_after_s


def _queues() -> list[str]:
    return list(load(TaskSettings).queue_urls)


def _summary(row: RowMapping) -> Summary:
    fields = {name: row[name] for name in Summary.__struct_fields__}
    return Summary(**{**fields, "state": State(row["state"])})


def _status(row: RowMapping) -> Status:
    fields = dict(row)
    type_, message, traceback = (fields.pop(name) for name in ("error_type", "error", "traceback"))
    fields["failure"] = None if type_ is None else Failure(type_, message, traceback)
    fields["state"] = State(fields["state"])
    for name in ("result", "progress", "details"):
        fields[name] = None if fields[name] is None else msgspec.json.decode(fields[name])
    return Status(**fields)
