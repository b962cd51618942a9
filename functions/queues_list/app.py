"""GET /queues: counts of all queues' tasks; requires the scope tasks:admin."""

from typing import Any

import msgspec
from flask import Flask

from decant import auth
from decant.tasks.admin import COUNT_LIMIT, queue_statistics
from decant.web import lambda_handler, limit_per_caller

app = Flask(__name__)


@app.get("/queues")
@limit_per_caller
async def queues_list() -> dict[str, Any]:
    """Return the numbers of waiting, running and recently finished tasks, limited to `counted_at_most`."""
    await auth.require("tasks:admin")
    return {"queues": msgspec.to_builtins(await queue_statistics()), "counted_at_most": COUNT_LIMIT}


handler = lambda_handler(app)
