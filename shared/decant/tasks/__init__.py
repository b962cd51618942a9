"""Durable tasks: Celery's API over PostgreSQL, the truth, and SQS, the wake-up.

@task(max_retries=3, retry_backoff=True)
async def greet(name: str) -> str: ...

job = await greet.delay("Ada")
await job.get(timeout=10)
"""

from decant.tasks.records import Failure, State, Status
from decant.tasks.result import AsyncResult
from decant.tasks.run import Request, Retry, Run, current_run
from decant.tasks.task import Task, task

__all__ = ["AsyncResult", "Failure", "Request", "Retry", "Run", "State", "Status", "Task", "current_run", "task"]
