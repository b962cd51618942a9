"""POST /tasks/{task_id}/revoke: prevents a task from being started; requires the scope tasks:admin."""

from flask import Flask
from msgspec import Struct

from decant import auth
from decant.tasks import AsyncResult, ShownStatus
from decant.web import body, lambda_handler, limit_per_caller

app = Flask(__name__)


class RevokeOptions(Struct, forbid_unknown_fields=True):
    """Options of the request; `terminate` also cancels the present run."""

    terminate: bool = False


@app.post("/tasks/<task_id>/revoke")
@limit_per_caller
async def tasks_revoke(task_id: str) -> ShownStatus:
    """Revoke the task and return its status; 404 for an unknown id."""
    await auth.require("tasks:admin")
    options = body(RevokeOptions, default=RevokeOptions())
    job = AsyncResult(task_id)
    await job.revoke(terminate=options.terminate)
    return (await job.status()).shown()


handler = lambda_handler(app)
