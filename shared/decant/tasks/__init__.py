"""Durable tasks with Celery's API: PostgreSQL stores the tasks, SQS messages start the workers.

    @task(max_retries=3, retry_backoff=True)
    async def greet(name: str) -> str: ...

    job = await greet.delay("Ada")
    await job.get(timeout=10)

The row of a task is on disk before `delay` returns, and a task runs at least once.
"""

from decant.tasks.context import Request, Retry, Run, current_run
from decant.tasks.publish import publishing
from decant.tasks.records import Failure, State
from decant.tasks.registry import join, task
from decant.tasks.result import AsyncResult, GroupResult, WorkflowResult
from decant.tasks.schedule import cron, every
from decant.tasks.signatures import Signature, chain, chord, group
from decant.tasks.status import ShownStatus, Status
from decant.tasks.task import Task

__all__ = [
    "AsyncResult",
    "Failure",
    "GroupResult",
    "Request",
    "Retry",
    "Run",
    "ShownStatus",
    "Signature",
    "State",
    "Status",
    "Task",
    "WorkflowResult",
    "chain",
    "chord",
    "cron",
    "current_run",
    "every",
    "group",
    "join",
    "publishing",
    "task",
]
