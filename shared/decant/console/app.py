"""The Flask app of the console: a page at `/console`, and its JSON routes below `/console/api/`.

The page and its files contain no data and need no token. Every JSON route requires a bearer token with a scope.
"""

from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from flask import Flask, Response, abort, request, send_from_directory
from msgspec import Meta, Struct

from decant import auth
from decant.console import actions, queries, records, traces
from decant.console.logs import log_lines
from decant.console.shared import shared_results
from decant.errors import InvalidInput
from decant.tasks.admin import pause_queue, paused_queues, resume_queue
from decant.tasks.lists import Page
from decant.web import body, etag, query

__all__ = ["FILES", "console_app"]

_STATIC = Path(__file__).parent / "static"
FILES = sorted(path.name for path in _STATIC.iterdir() if path.suffix in {".js", ".css"})
"""Files of the page."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

type Tagged[T] = tuple[T, Literal[200], dict[str, str]]


class _Span(Struct, forbid_unknown_fields=True):
    window: records.Window = "15m"


class _TaskQuery(records.TaskConditions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    before: UUID | None = None
    count: Annotated[int, Meta(ge=1, le=200)] = 50


class _CountQuery(records.TaskConditions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    before: UUID | None = None


class _WorkflowQuery(Struct, forbid_unknown_fields=True):
    kind: Literal["canvas", "run"] = "canvas"
    before: UUID | None = None
    count: Annotated[int, Meta(ge=1, le=50)] = 20


class _RequestQuery(Struct, forbid_unknown_fields=True):
    before: Annotated[int, Meta(ge=1)] | None = None
    count: Annotated[int, Meta(ge=1, le=200)] = 50


class _TaskAction(Struct, forbid_unknown_fields=True):
    """An action on tasks, given by ids or by conditions; `before` continues it."""

    action: actions.Action
    ids: Annotated[list[UUID], Meta(max_length=1000)] | None = None
    conditions: records.TaskConditions | None = None
    before: UUID | None = None
    terminate: bool = False


class _ScheduleAction(Struct, forbid_unknown_fields=True):
    key: str
    action: Literal["pause", "resume", "run"]


class _QueueAction(Struct, forbid_unknown_fields=True):
    name: str
    action: Literal["pause", "resume"]


class _ScheduleResult(Struct):
    """The schedules, and the id of the task that was enqueued."""

    schedules: list[records.ScheduleStatus]
    task_id: UUID | None = None


class _Paused(Struct):
    """Names of the paused queues."""

    paused: list[str]


class _Scopes(Struct):
    """Whether the token permits actions."""

    admin: bool


class _Logs(Struct):
    lines: list[str]


class _Requests(Struct):
    requests: list[traces.RequestTrace]


class _Workflows(Struct):
    workflows: list[records.WorkflowSummary]


def console_app(*, read: str, admin: str) -> Flask:
    """Make the app of the console.

    Args:
        read: Scope with which a token may read.
        admin: Scope with which a token may read and act.
    """
    app = Flask("console", static_folder=None)
    app.config["DECANT_TRACED"] = False  # pages poll
    _add_page(app)
    guard = _Guard(read, admin)
    views = (_add_state_views, _add_task_views, _add_workflow_views, _add_trace_views)
    app.after_request(_forget_shared)
    for add in (*views, _add_task_actions, _add_other_actions):
        add(app, guard)
    return app


def _forget_shared(response: Response) -> Response:
    """Let pages see the effect of an action at once."""
    if request.method == "POST":
        shared_results().forget()
    return response


class _Guard:
    """Requires a scope."""

    def __init__(self, read: str, admin: str) -> None:
        self._read, self._admin = read, admin

    async def is_admin(self) -> bool:
        """Require the scope to read; returns whether the token has the scope to act."""
        granted = await auth.scopes()
        if self._admin not in granted:
            await auth.require(self._read)
        return self._admin in granted

    async def require_admin(self) -> None:
        """Require the scope to act."""
        await auth.require(self._admin)


def _add_page(app: Flask) -> None:
    @app.get("/console")
    async def console_page() -> Response:
        return _sent("page.html", 60)

    @app.get("/console/<name>")
    async def console_file(name: str) -> Response:
        if name not in FILES:
            abort(HTTPStatus.NOT_FOUND)
        return _sent(name, 300)


def _sent(name: str, max_age: int) -> Response:
    response = send_from_directory(_STATIC, name, max_age=max_age)
    response.headers.update(_HEADERS)
    return response


def _add_state_views(app: Flask, guard: _Guard) -> None:
    @app.get("/console/api/scopes")
    async def console_scopes() -> _Scopes:
        return _Scopes(await guard.is_admin())

    @app.get("/console/api/overview")
    async def console_overview() -> Tagged[records.Overview]:
        await guard.is_admin()
        found = await shared_results().get("overview", queries.overview)
        return found, 200, etag(msgspec.structs.replace(found, now=found.swept_at or found.now))

    @app.get("/console/api/statistics")
    async def console_statistics() -> Tagged[records.Statistics]:
        await guard.is_admin()
        window = query(_Span).window
        found = await shared_results().get(window, partial(queries.statistics, window))
        return found, 200, etag(found)

    @app.get("/console/api/schedules")
    async def console_schedules() -> Tagged[_ScheduleResult]:
        await guard.is_admin()
        found = await queries.schedules()
        return _ScheduleResult(found), 200, etag(found)


def _add_task_views(app: Flask, guard: _Guard) -> None:
    @app.get("/console/api/tasks")
    async def console_tasks() -> Tagged[Page]:
        await guard.is_admin()
        wanted = query(_TaskQuery)
        found = await queries.list_tasks(wanted, wanted.before, wanted.count)
        return found, 200, etag(found)

    @app.get("/console/api/tasks/count")
    async def console_count() -> records.Counted:
        await guard.is_admin()
        wanted = query(_CountQuery)
        return await queries.count_tasks(wanted, wanted.before)

    @app.get("/console/api/tasks/<uuid:task_id>")
    async def console_task(task_id: UUID) -> Tagged[records.TaskDetails]:
        await guard.is_admin()
        found = await queries.task_details(task_id)
        return found, 200, etag(found)

    @app.get("/console/api/tasks/<uuid:task_id>/logs")
    async def console_logs(task_id: UUID) -> _Logs:
        await guard.is_admin()
        return _Logs(await log_lines(await queries.task_details(task_id)))


def _add_workflow_views(app: Flask, guard: _Guard) -> None:
    @app.get("/console/api/workflows")
    async def console_workflows() -> Tagged[_Workflows]:
        await guard.is_admin()
        wanted = query(_WorkflowQuery)
        listed = queries.workflows if wanted.kind == "canvas" else queries.runs
        found = await listed(wanted.before, wanted.count)
        return _Workflows(found), 200, etag(found)

    @app.get("/console/api/workflows/<uuid:root_id>")
    async def console_workflow(root_id: UUID) -> Tagged[records.Workflow]:
        await guard.is_admin()
        found = await queries.workflow(root_id)
        return found, 200, etag(found)


def _add_trace_views(app: Flask, guard: _Guard) -> None:
    @app.get("/console/api/traces")
    async def console_traces() -> Tagged[_Requests]:
        await guard.is_admin()
        wanted = query(_RequestQuery)
        found = await traces.requests(wanted.before, wanted.count)
        return _Requests(found), 200, etag(found)

    @app.get("/console/api/traces/<uuid:trace_id>")
    async def console_trace(trace_id: UUID) -> Tagged[traces.Trace]:
        await guard.is_admin()
        found = await traces.trace(trace_id)
        return found, 200, etag(found)


def _add_task_actions(app: Flask, guard: _Guard) -> None:
    @app.post("/console/api/tasks/actions")
    async def console_act() -> records.ActionResult:
        await guard.require_admin()
        wanted = body(_TaskAction)
        if wanted.ids is not None:
            return await actions.act(wanted.action, wanted.ids, terminate=wanted.terminate)
        if wanted.conditions is None:
            raise InvalidInput({"ids": "ids or conditions are required"})
        return await actions.act_on_matching(
            wanted.action, wanted.conditions, wanted.before, terminate=wanted.terminate
        )


def _add_other_actions(app: Flask, guard: _Guard) -> None:
    @app.post("/console/api/queues")
    async def console_change_queue() -> _Paused:
        await guard.require_admin()
        wanted = body(_QueueAction)
        await (pause_queue if wanted.action == "pause" else resume_queue)(wanted.name)
        return _Paused([each.name for each in await paused_queues()])

    @app.post("/console/api/schedules")
    async def console_change_schedule() -> _ScheduleResult:
        await guard.require_admin()
        wanted = body(_ScheduleAction)
        task_id = None
        if wanted.action == "run":
            task_id = await actions.run_schedule(wanted.key)
        else:
            await actions.pause_schedule(wanted.key, paused=wanted.action == "pause")
        return _ScheduleResult(await queries.schedules(), task_id)
