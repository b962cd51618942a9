"""Records of the console: filters, and what its routes return.

As in `decant.tasks.records`, fields are stored in columns of the same name.
"""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from decant.tasks.lists import QueueStatistics
from decant.tasks.records import State

__all__ = [
    "ActionResult",
    "Counted",
    "Failing",
    "Node",
    "Overview",
    "Period",
    "Problem",
    "Relative",
    "Running",
    "ScheduleStatus",
    "Statistics",
    "TaskConditions",
    "TaskDetails",
    "Text",
    "Window",
    "WorkerStatus",
    "Workflow",
    "WorkflowSummary",
]

type Window = Literal["15m", "24h", "7d"]
type Aware = Annotated[datetime, Meta(tz=True)]


class TaskConditions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Conditions that tasks must meet; None means any value.

    Attributes:
        state: `open` stands for PENDING, STARTED and RETRY, `dead` for FAILURE and REVOKED.
        error: Part of the error's class or message; case is ignored.
        since: Created at this time or later.
        until: Created before this time.
    """

    state: Literal["PENDING", "STARTED", "RETRY", "SUCCESS", "FAILURE", "REVOKED", "open", "dead"] | None = None
    name: str | None = None
    queue: str | None = None
    error: str | None = None
    correlation_id: str | None = None
    since: Aware | None = None
    until: Aware | None = None


class Counted(Struct, frozen=True):
    """Part of a count; `before` is the value of `before` for the next part, None after the last."""

    count: int
    before: UUID | None


class ActionResult(Struct, frozen=True):
    """Tasks that an action has changed; `before` continues it, None after the last tasks."""

    changed: int
    before: UUID | None = None


class Problem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that needs attention, and why.

    Attributes:
        kind: What it is, for the link of the page.
        subject: Name of the queue, the task or the schedule.
    """

    kind: Literal["sweeper", "queue", "paused", "worker", "lost", "unknown", "failing"]
    subject: str
    title: str
    detail: str


class Failing(Struct, frozen=True):
    """Failures of a task within the last 15 minutes; `error` is the message of the last of them."""

    name: str
    failed: int
    finished: int
    error: str | None


class Running(Struct, frozen=True):
    """A task that runs; `overdue` when its lease has expired and its worker counts as lost."""

    id: UUID
    name: str
    queue: str
    attempt: int
    date_started: datetime | None
    lease_expires_at: datetime
    overdue: bool


class ScheduleStatus(Struct, frozen=True):
    """A schedule.

    Attributes:
        key: Name of its task and its definition.
        absent: The code that swept last does not have it.
        next: Its next tick; None when it is paused or absent, or its definition is not one of `decant.tasks`.
    """

    key: str
    name: str
    definition: str
    ticked_at: datetime
    paused: bool
    absent: bool
    next: datetime | None


class WorkerStatus(Struct, frozen=True):
    """A process that runs tasks, or the environments of a function that does.

    Attributes:
        name: Name of the function, or host and process id.
        is_function: It runs in Lambda, which stops environments between batches and ends them without notice.
        queues: Queues of its tasks; None for all, and for a function, whose queue is that of its messages.
        concurrency: Number of tasks that a process runs at once.
        processes: Number of environments that have reported within 15 minutes; 1 for a process.
        active: Number of them that have reported within a minute. Without any, a function is idle, and a process was
            lost.
        running: Number of tasks that the active ones run.
        started_at: Start of the oldest.
        seen_at: Last report.
    """

    name: str
    is_function: bool
    queues: list[str] | None
    concurrency: int
    processes: int
    active: int
    running: int
    started_at: datetime
    seen_at: datetime


class Overview(Struct, frozen=True):
    """The present state.

    Attributes:
        workers: Those that have reported within 15 minutes, at most 50, those that have reported last first.
        counted_at_most: No count of a queue exceeds this number.
        paused: Names of paused queues.
    """

    now: datetime
    swept_at: datetime | None
    counted_at_most: int
    problems: list[Problem]
    queues: list[QueueStatistics]
    paused: list[str]
    failing: list[Failing]
    running: list[Running]
    workers: list[WorkerStatus]
    schedules: list[ScheduleStatus]


class Period(Struct, frozen=True):
    """Tasks that finished in a period; waiting and run times in seconds, by percentile."""

    since: datetime
    succeeded: int
    failed: int
    revoked: int
    wait: tuple[float, float, float] | None
    run: tuple[float, float, float] | None


class Statistics(Struct, frozen=True):
    """Finished tasks of a span.

    Attributes:
        seconds: Length of a period.
        periods: The periods in order, without those in which no task finished.
        total: The whole span.
        queues: The whole span by queue.
    """

    window: Window
    since: datetime
    until: datetime
    seconds: int
    periods: list[Period]
    total: Period
    queues: dict[str, Period]


class Text(Struct, frozen=True):
    """Formatted JSON, redacted; `truncated` when it is not all of it."""

    text: str
    truncated: bool


class Relative(Struct, frozen=True):
    """A parent or a child of a task."""

    id: UUID
    name: str
    state: State


class Attempt(Struct, frozen=True):
    """An attempt after which the task was retried."""

    attempt: int
    date_started: datetime | None
    date_done: datetime | None
    error_type: str | None
    error: str | None


class Step(Struct, frozen=True):
    """A recorded step of a workflow function."""

    name: str
    n: int
    kind: str
    result: Text | None
    error: str | None
    attempt: int
    due_at: datetime | None
    date_started: datetime | None
    date_done: datetime


class TaskDetails(Struct, frozen=True, kw_only=True):
    """A task with its history.

    Attributes:
        application_frames: Numbers of the traceback's lines that belong to the application.
        trace_id: Trace of its spans.
        log_url: Address of CloudWatch Logs Insights with a query for the correlation id; None in the local cloud.
    """

    id: UUID
    name: str
    queue: str
    state: State
    priority: int
    attempt: int
    retries: int
    max_retries: int | None
    losses: int
    eta: datetime
    expires: datetime | None
    date_created: datetime
    date_started: datetime | None
    date_done: datetime | None
    lease_expires_at: datetime | None
    revoked_at: datetime | None
    correlation_id: str | None
    group_key: str | None
    unique_key: str | None
    idempotency_key: str | None
    root_id: UUID | None
    error_type: str | None
    error: str | None
    traceback: str | None
    application_frames: list[int]
    args: Text
    kwargs: Text
    result: Text | None
    progress: Text | None
    attempts: list[Attempt]
    parents: list[Relative]
    children: list[Relative]
    steps: list[Step]
    trace_id: UUID
    log_url: str | None


class Node(Struct, frozen=True):
    """A task of a workflow; `error` is the class of its error."""

    id: UUID
    name: str
    queue: str
    state: State
    parents: list[UUID]
    retries: int
    error: str | None = msgspec.field(name="error")
    date_started: datetime | None
    date_done: datetime | None


class Workflow(Struct, frozen=True):
    """Tasks of a workflow; at most 2,000."""

    root_id: UUID
    nodes: list[Node]


class WorkflowSummary(Struct, frozen=True):
    """A workflow in a list: a canvas of tasks, or a run of a workflow function, whose `root_id` is None.

    Attributes:
        id: Id of the workflow or the run.
        name: Name of its last task.
        tasks: Number of tasks by state; of a run, of its own state.
    """

    id: UUID
    root_id: UUID | None
    name: str
    tasks: dict[str, Any]
    date_created: datetime
