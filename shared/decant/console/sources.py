"""Sources of the commands of the console: the database, or the API of a stage."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol
from urllib.parse import urlencode
from uuid import UUID

import msgspec

from decant import http
from decant.console import actions, queries
from decant.console.records import (
    ActionResult,
    Counted,
    Overview,
    ScheduleStatus,
    TaskConditions,
    TaskDetails,
)
from decant.errors import UpstreamError
from decant.tasks import admin
from decant.tasks.lists import Page

__all__ = ["Api", "Database", "Source"]

type Change = Literal["pause", "resume", "run"]


class Source(Protocol):
    """What the commands read and change; see `decant.console.queries` and `decant.console.actions`."""

    async def overview(self) -> Overview:
        """The present state."""

    async def tasks(self, conditions: TaskConditions, before: UUID | None, count: int) -> Page:
        """A page of tasks."""

    async def count(self, conditions: TaskConditions, before: UUID | None) -> Counted:
        """A part of the number of tasks that meet the conditions."""

    async def task(self, task_id: UUID) -> TaskDetails:
        """A task."""

    async def act(
        self,
        action: actions.Action,
        target: Sequence[UUID] | TaskConditions,
        before: UUID | None = None,
    ) -> ActionResult:
        """Change tasks that are given by ids or conditions; `cancel` also cancels present runs."""

    async def schedules(self) -> list[ScheduleStatus]:
        """All schedules."""

    async def change_schedule(self, key: str, change: Change) -> None:
        """Pause, resume or run a schedule."""

    async def change_queue(self, name: str, change: Change) -> None:
        """Pause or resume a queue."""


class Database:
    """The database of DATABASE_URL."""

    async def overview(self) -> Overview:
        """The present state."""
        return await queries.overview()

    async def tasks(self, conditions: TaskConditions, before: UUID | None, count: int) -> Page:
        """A page of tasks."""
        return await queries.list_tasks(conditions, before, count)

    async def count(self, conditions: TaskConditions, before: UUID | None) -> Counted:
        """A part of the number of tasks that meet the conditions."""
        return await queries.count_tasks(conditions, before)

    async def task(self, task_id: UUID) -> TaskDetails:
        """A task."""
        return await queries.task_details(task_id)

    async def act(
        self, action: actions.Action, target: Sequence[UUID] | TaskConditions, before: UUID | None = None
    ) -> ActionResult:
        """Change tasks."""
        terminate = action == "cancel"
        if isinstance(target, TaskConditions):
            return await actions.act_on_matching(action, target, before, terminate=terminate)
        return await actions.act(action, target, terminate=terminate)

    async def schedules(self) -> list[ScheduleStatus]:
        """All schedules."""
        return await queries.schedules()

    async def change_schedule(self, key: str, change: Change) -> None:
        """Pause, resume or run a schedule."""
        if change == "run":
            await actions.run_schedule(key)
        else:
            await actions.pause_schedule(key, paused=change == "pause")

    async def change_queue(self, name: str, change: Change) -> None:
        """Pause or resume a queue."""
        await (admin.pause_queue if change == "pause" else admin.resume_queue)(name)


class Api:
    """The JSON routes of a stage's console.

    Args:
        url: Address of the API, without `/console`.
        token: Bearer token with the scope `tasks:read`, or `tasks:admin` for changes.
        key: Key of an API that requires one; empty for none.
    """

    def __init__(self, url: str, token: str, key: str = "") -> None:
        self._url = f"{url.rstrip('/')}/console/api"
        self._headers = {"Authorization": f"Bearer {token}"} | ({"x-api-key": key} if key else {})

    async def overview(self) -> Overview:
        """The present state."""
        return await self._get("overview", {}, Overview)

    async def tasks(self, conditions: TaskConditions, before: UUID | None, count: int) -> Page:
        """A page of tasks."""
        return await self._get("tasks", _given(conditions, before) | {"count": count}, Page)

    async def count(self, conditions: TaskConditions, before: UUID | None) -> Counted:
        """A part of the number of tasks that meet the conditions."""
        return await self._get("tasks/count", _given(conditions, before), Counted)

    async def task(self, task_id: UUID) -> TaskDetails:
        """A task."""
        return await self._get(f"tasks/{task_id}", {}, TaskDetails)

    async def act(
        self, action: actions.Action, target: Sequence[UUID] | TaskConditions, before: UUID | None = None
    ) -> ActionResult:
        """Change tasks."""
        which = "conditions" if isinstance(target, TaskConditions) else "ids"
        document = {"action": action, which: target, "before": before, "terminate": action == "cancel"}
        return await self._post("tasks/actions", document, ActionResult)

    async def schedules(self) -> list[ScheduleStatus]:
        """All schedules."""
        return (await self._get("schedules", {}, _Schedules)).schedules

    async def change_schedule(self, key: str, change: Change) -> None:
        """Pause, resume or run a schedule."""
        await self._post("schedules", {"key": key, "action": change}, _Schedules)

    async def change_queue(self, name: str, change: Change) -> None:
        """Pause or resume a queue."""
        await self._post("queues", {"name": name, "action": change}, dict[str, Any])

    async def _get[T](self, path: str, given: Mapping[str, Any], kind: type[T]) -> T:
        query = f"?{urlencode(given)}" if given else ""
        response = await http.client().get(f"{self._url}/{path}{query}", headers=self._headers)
        return _decoded(response.status_code, response.content, kind)

    async def _post[T](self, path: str, document: Any, kind: type[T]) -> T:
        headers = self._headers | {"Content-Type": "application/json"}
        content = msgspec.json.encode(document)
        response = await http.client().post(f"{self._url}/{path}", headers=headers, content=content)
        return _decoded(response.status_code, response.content, kind)


class _Schedules(msgspec.Struct):
    schedules: list[ScheduleStatus]


class _Problem(msgspec.Struct):
    detail: str = ""


_OK = 200


def _decoded[T](status: int, content: bytes, kind: type[T]) -> T:
    try:
        if status == _OK:
            return msgspec.json.decode(content, type=kind)
        problem = msgspec.json.decode(content, type=_Problem).detail
    except msgspec.DecodeError:
        problem = "the response is not that of a console; check the address"
    raise UpstreamError(f"The API responded with {status}: {problem}")


def _given(conditions: TaskConditions, before: UUID | None) -> dict[str, Any]:
    given: dict[str, Any] = msgspec.to_builtins(conditions)
    return given if before is None else given | {"before": str(before)}
