"""GET /tasks/{task_id}: the state, result or error of a task."""

from flask import Flask

from decant.tasks import AsyncResult, ShownStatus
from decant.web import lambda_handler

app = Flask(__name__)


@app.get("/tasks/<task_id>")
async def task_status(task_id: str) -> ShownStatus:
    """Return the task's status; 404 for an unknown id."""
    status = await AsyncResult(task_id).status()
    return status.shown()


handler = lambda_handler(app)
