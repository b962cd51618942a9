"""GET /tasks/{task_id}: the state, result or error of a task."""

from typing import Any

from flask import Flask

from decant.tasks import AsyncResult
from decant.web import lambda_handler

app = Flask(__name__)


@app.get("/tasks/<task_id>")
async def task_status(task_id: str) -> dict[str, Any]:
    """Answer how the task stands; 404 for an id that no task has."""
    status = await AsyncResult(task_id).status()
    return status.as_json()


handler = lambda_handler(app)
