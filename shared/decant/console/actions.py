"""What the console changes: run tasks now, cancel and redrive them, and pause and resume schedules."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from decant import db
from decant.config import load
from decant.console import sql
from decant.console.queries import list_tasks
from decant.console.records import ActionResult, TaskConditions
from decant.errors import NotFound
from decant.tasks import admin
from decant.tasks.ids import uuid7
from decant.tasks.options import TaskSettings
from decant.tasks.publish import enqueue, publish
from decant.tasks.records import Enqueued
from decant.tasks.registry import load_modules
from decant.tasks.sql.schedule import PAUSE
from decant.tasks.store import store
from decant.worker.sweeper import scheduled_task

__all__ = ["Action", "act", "act_on_matching", "pause_schedule", "run_schedule"]

type Action = Literal["retry", "cancel", "redrive"]

_BATCH = 200


async def act(action: Action, ids: Sequence[UUID], *, terminate: bool = False) -> ActionResult:
    """Change tasks; those whose state does not permit the action are left as they are.

    Args:
        action: `retry` lets tasks be due now that wait for a time or for their next attempt; `cancel` revokes
            unfinished tasks; `redrive` runs tasks again that failed or were revoked, and workflows as a whole.
        ids: Ids of the tasks.
        terminate: For `cancel`, also cancel present runs, at the next heartbeat of their workers.
    Raises:
        DatabaseUnavailable: nothing was changed, and retrying helps once PostgreSQL is back.
    """
    if not ids:
        return ActionResult(0)
    if action == "cancel":
        return ActionResult(await store().revoke(ids, terminate=terminate))
    if action == "redrive":
        return ActionResult(len(await admin.redrive(ids)))
    settings = load(TaskSettings)
    given = {
        "ids": list(ids),
        "queues": list(settings.queue_urls),
        "republish_after_s": settings.republish_after_s,
    }
    due = [Enqueued(*row.values()) for row in await db.execute(sql.RUN_NOW, given)]
    await publish(due)
    return ActionResult(len(due))


async def act_on_matching(
    action: Action, conditions: TaskConditions, before: UUID | None, *, terminate: bool = False
) -> ActionResult:
    """Change the next 200 tasks that meet the conditions; `before` of the result continues with older tasks."""
    page = await list_tasks(conditions, before or uuid7(), _BATCH)
    changed = await act(action, [task.id for task in page.tasks], terminate=terminate)
    return ActionResult(changed.changed, page.before)


async def pause_schedule(key: str, *, paused: bool) -> None:
    """Pause or resume a schedule: its ticks during a pause are left out.

    Raises:
        NotFound: there is no such schedule.
    """
    if not await db.execute(PAUSE, {"key": key, "paused": paused}):
        raise NotFound(f"There is no schedule {key!r}.")


async def run_schedule(key: str) -> UUID:
    """Enqueue the task of a schedule now, beside its ticks; returns its id.

    Raises:
        NotFound: there is no such schedule, or its task is not in TASK_MODULES or the function's imports.
    """
    load_modules()
    new = scheduled_task(key)
    if new is None:
        raise NotFound(f"There is no schedule {key!r} in the imported modules; set TASK_MODULES.")
    (task_id,) = await enqueue([new], None)
    return task_id
