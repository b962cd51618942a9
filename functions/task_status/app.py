"""GET /tasks/{task_id}: the state, result or error of a task."""

from typing import Any

from flask import Flask

from decant.tasks import AsyncResult
from decant.web import lambda_handler

app = Flask(__name__)


@app.get("/tasks/<task_id>")
async def task_status(task_id: str) -> dict[str, Any]:
    """Return the task's status; 404 for an unknown id."""
    status = await AsyncResult(task_id).status()
    return status.as_json()


handler = lambda_handler(app)
