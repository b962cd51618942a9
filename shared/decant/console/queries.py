"""What the console shows: lists, the details of a task, workflows, schedules, and the state of the queues.

All functions raise `DatabaseUnavailable` when PostgreSQL cannot be reached.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from decant import db
from decant.console import histogram, sql
from decant.console.formatting import application_frames, formatted, log_url
from decant.console.problems import problems
from decant.console.records import (
    Attempt,
    Counted,
    Failing,
    Node,
    Overview,
    Relative,
    Running,
    ScheduleStatus,
    Statistics,
    Step,
    TaskConditions,
    TaskDetails,
    Window,
    WorkerStatus,
    Workflow,
    WorkflowSummary,
)
from decant.console.ticks import next_tick
from decant.errors import TaskNotFound
from decant.tasks.admin import COUNT_LIMIT, paused_queues, queue_statistics
from decant.tasks.ids import uuid7
from decant.tasks.lists import Page, Summary
from decant.tasks.records import State
from decant.tasks.traces import parent_of
from decant.workflows.store import steps

__all__ = [
    "count_tasks",
    "list_tasks",
    "overview",
    "runs",
    "schedules",
    "statistics",
    "task_details",
    "workflow",
    "workflows",
]

_NEWEST = UUID(int=2**128 - 1)
_OLDEST = UUID(int=0)
_SCAN_LIMIT = 10_000  # rows that a page or a part of a count reads
_RECENT_LIMIT = 10_000  # finished tasks that are read for failures and for the present period
_WAITING_LIMIT = 2_000  # waiting tasks that are read for those without code
_NODE_LIMIT = 2_000
_RUNNING_LIMIT = 10
_UPCOMING_LIMIT = 8
_WORKER_LIMITS = {"count": 50, "most": 2_000}

_STATES: Mapping[str, tuple[str, list[str] | None]] = {
    "open": ("open", None),
    "dead": ("dead", None),
    **{state.value: ("open", [state.value]) for state in (State.PENDING, State.STARTED, State.RETRY)},
    **{state.value: ("dead", [state.value]) for state in (State.FAILURE, State.REVOKED)},
    State.SUCCESS.value: ("all", [State.SUCCESS.value]),
}
"""The index that lists tasks in a state, and the states to select from it."""

_WINDOWS: Mapping[Window, tuple[timedelta, int]] = {
    "15m": (timedelta(minutes=15), 60),
    "24h": (timedelta(hours=24), 900),
    "7d": (timedelta(days=7), 7200),
}


async def overview() -> Overview:
    """The present state: what needs attention, queues, running tasks and schedules."""
    (sweeper,) = await db.execute(sql.SWEEPER, {})
    upcoming = [each for each in await schedules() if each.next is not None]
    found = Overview(
        now=sweeper["now"],
        swept_at=sweeper["swept_at"],
        counted_at_most=COUNT_LIMIT,
        problems=[],
        queues=await queue_statistics(),
        paused=[each.name for each in await paused_queues()],
        failing=[Failing(**row) for row in await db.execute(sql.FAILING, {"most": _RECENT_LIMIT})],
        running=[Running(**row) for row in await db.execute(sql.RUNNING, {"count": _RUNNING_LIMIT})],
        workers=[WorkerStatus(**row) for row in await db.execute(sql.WORKERS, _WORKER_LIMITS)],
        schedules=sorted(upcoming, key=_next)[:_UPCOMING_LIMIT],
    )
    unknown = [dict(row) for row in await db.execute(sql.UNKNOWN, {"most": _WAITING_LIMIT})]
    return msgspec.structs.replace(found, problems=problems(found, unknown))


def _next(schedule: ScheduleStatus) -> datetime:
    assert schedule.next is not None  # noqa: S101  # the caller selects those that have one
    return schedule.next


async def statistics(window: Window) -> Statistics:
    """Finished tasks of the last 15 minutes, 24 hours or 7 days.

    The statistics hold the minutes that the sweeper has added. Of the minutes since then, the first 10,000 tasks are
    counted, without those that have an idempotency key.
    """
    span, seconds = _WINDOWS[window]
    until = datetime.now(UTC)
    since = until - span
    given = {"seconds": seconds, "since": since, "most": _RECENT_LIMIT}
    rows = [dict(row) for row in await db.execute(sql.PERIODS, given)]
    return Statistics(
        window,
        since,
        until,
        seconds,
        [counts.period(start) for start, counts in histogram.by("since", rows).items()],
        histogram.Counts(rows).period(since),
        {name: counts.period(since) for name, counts in histogram.by("queue", rows).items()},
    )


async def list_tasks(conditions: TaskConditions, before: UUID | None = None, count: int = 50) -> Page:
    """A page of tasks that meet the conditions, newest first; it reads at most 10,000 tasks."""
    index, given = _given(conditions, before)
    rows = await db.execute(sql.PAGES[index], given | {"count": count})
    names = Summary.__struct_fields__
    tasks = [
        Summary(**{**{name: row[name] for name in names}, "state": State(row["state"])})
        for row in rows
        if row["id"] is not None
    ]
    return Page(tasks, tasks[-1].id if len(tasks) == count else _continues(rows[0]))


async def count_tasks(conditions: TaskConditions, before: UUID | None = None) -> Counted:
    """Count the tasks among the next 10,000 that meet the conditions."""
    index, given = _given(conditions, before)
    (row,) = await db.execute(sql.COUNTS[index], given)
    return Counted(row["matching"], _continues(row))


def _continues(row: Mapping[str, Any]) -> UUID | None:
    last: UUID = row["last"]
    return last if row["scanned"] == _SCAN_LIMIT else None


def _given(conditions: TaskConditions, before: UUID | None) -> tuple[str, dict[str, Any]]:
    """The index, and the parameters of a statement: times become limits of the ids, which contain them."""
    index, states = ("all", None) if conditions.state is None else _STATES[conditions.state]
    newest = min(before or _NEWEST, _NEWEST if conditions.until is None else _first_id(conditions.until))
    return index, {
        "states": states,
        "name": conditions.name or None,
        "queue": conditions.queue or None,
        "error": conditions.error or None,
        "correlation_id": conditions.correlation_id or None,
        "before": newest,
        "after": _OLDEST if conditions.since is None else _first_id(conditions.since),
        "scan_limit": _SCAN_LIMIT,
    }


def _first_id(time: datetime) -> UUID:
    return uuid7(max(0, int(time.timestamp() * 1000)), bytes(10))


async def task_details(task_id: UUID) -> TaskDetails:
    """A task with its attempts, its relatives and the steps of its run.

    Raises:
        TaskNotFound: there is no such task.
    """
    rows = await db.execute(sql.TASK, {"id": task_id})
    if not rows:
        raise TaskNotFound(str(task_id))
    row = dict(rows[0])
    for name in ("args", "kwargs", "result", "progress"):
        row[name] = None if row[name] is None else formatted(row[name])
    row["attempts"] = msgspec.json.decode(row["attempts"], type=list[Attempt])
    row["parents"] = await _relatives(row["parents"])
    row["children"] = await _relatives(row["children"])
    row["state"] = State(row["state"])
    row["trace_id"] = UUID(parent_of(task_id, row.pop("options")).trace_id)
    return TaskDetails(
        **row,
        application_frames=application_frames(row["traceback"] or ""),
        steps=await _steps(task_id),
        log_url=log_url(row["correlation_id"], row["date_created"], row["date_done"]),
    )


async def _relatives(ids: Sequence[UUID] | None) -> list[Relative]:
    if not ids:
        return []
    rows = await db.execute(sql.RELATIVES, {"ids": list(ids)})
    return [Relative(row["id"], row["name"], State(row["state"])) for row in rows]


async def _steps(task_id: UUID) -> list[Step]:
    found = []
    for step in await steps().statuses(task_id):
        fields = {name: getattr(step, name) for name in Step.__struct_fields__}
        fields["result"] = None if step.result is None else formatted(msgspec.json.encode(step.result).decode())
        found.append(Step(**fields))
    return found


async def workflow(root_id: UUID) -> Workflow:
    """Tasks of a workflow.

    Raises:
        TaskNotFound: there is no such workflow.
    """
    rows = await db.execute(sql.NODES, {"root_id": root_id, "count": _NODE_LIMIT})
    if not rows:
        raise TaskNotFound(str(root_id))
    return Workflow(root_id, [Node(**{**row, "state": State(row["state"])}) for row in rows])


async def workflows(before: UUID | None = None, count: int = 20) -> list[WorkflowSummary]:
    """Workflows, newest first."""
    rows = await db.execute(sql.WORKFLOWS, {"before": before or _NEWEST, "count": count})
    return [
        WorkflowSummary(
            row["id"],
            row["root_id"],
            row["name"],
            {state.value: row[state.value] for state in State if row[state.value]},
            row["date_created"],
        )
        for row in rows
    ]


async def runs(before: UUID | None = None, count: int = 20) -> list[WorkflowSummary]:
    """Runs of workflow functions that have recorded steps, newest first."""
    rows = await db.execute(sql.RUNS, {"before": before or _NEWEST, "count": count})
    return [WorkflowSummary(row["id"], None, row["name"], {row["state"]: 1}, row["date_created"]) for row in rows]


async def schedules() -> list[ScheduleStatus]:
    """All schedules that a sweeper has seen, by the names of their tasks."""
    now = datetime.now(UTC)
    found = []
    for row in await db.execute(sql.SCHEDULES, {}):
        name, _, definition = row["key"].partition(" ")
        stopped = row["paused"] or row["absent"]
        upcoming = None if stopped else next_tick(definition, max(now, row["ticked_at"]))
        found.append(
            ScheduleStatus(
                row["key"],
                name,
                definition,
                row["ticked_at"],
                row["paused"],
                row["absent"] and not row["paused"],
                upcoming,
            )
        )
    return found
