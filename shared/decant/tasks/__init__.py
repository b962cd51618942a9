"""Durable tasks: Celery's API over PostgreSQL, the truth, and SQS, the wake-up.

@task(max_retries=3, retry_backoff=True)
async def greet(name: str) -> str: ...

job = await greet.delay("Ada")
await job.get(timeout=10)
"""

from decant.tasks.canvas import Signature, chain, chord, group
from decant.tasks.join import join
from decant.tasks.records import Failure, State, Status
from decant.tasks.result import AsyncResult
from decant.tasks.run import Request, Retry, Run, current_run
from decant.tasks.task import Task, task
from decant.tasks.workflow_result import GroupResult, WorkflowResult

__all__ = [
    "AsyncResult",
    "Failure",
    "GroupResult",
    "Request",
    "Retry",
    "Run",
    "Signature",
    "State",
    "Status",
    "Task",
    "WorkflowResult",
    "chain",
    "chord",
    "current_run",
    "group",
    "join",
    "task",
]
