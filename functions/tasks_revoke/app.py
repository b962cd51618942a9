"""POST /tasks/{task_id}/revoke: lets a task not be started any more; for who has the scope tasks:admin."""

from typing import Any

from flask import Flask, request
from msgspec import Struct

from decant import auth
from decant.tasks import AsyncResult
from decant.web import body, lambda_handler

app = Flask(__name__)


class How(Struct, forbid_unknown_fields=True):
    """Whether a run that is going on is cancelled too."""

    terminate: bool = False


@app.post("/tasks/<task_id>/revoke")
async def tasks_revoke(task_id: str) -> dict[str, Any]:
    """Revoke it, and answer how it stands then; 404 for an id that no task has."""
    await auth.require("tasks:admin")
    how = body(How) if request.content_length else How()
    job = AsyncResult(task_id)
    await job.revoke(terminate=how.terminate)
    return (await job.status()).as_json()


handler = lambda_handler(app)
