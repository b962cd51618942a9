"""POST /start-task: enqueues a task and responds at once."""

from typing import Annotated, Literal

from flask import Flask
from msgspec import Meta, Struct

from decant.web import body, idempotent, lambda_handler, limit_per_caller
from domain.tasks import long_task

app = Flask(__name__)


class Work(Struct, forbid_unknown_fields=True):
    """Arguments of `long_task`."""

    seconds: Annotated[float, Meta(ge=0, le=60)] = 10


class StartedTask(Struct):
    """A task that was enqueued."""

    task_id: str


@app.post("/start-task")
@limit_per_caller
@idempotent
async def start_task() -> tuple[StartedTask, Literal[202], dict[str, str]]:
    """Enqueue `long_task` with the `seconds` of the body, if there is one; 202 and its id."""
    work = body(Work, default=Work())
    job = await long_task.delay(seconds=work.seconds)
    return StartedTask(job.id), 202, {"Location": f"tasks/{job.id}"}


handler = lambda_handler(app)
