"""GET /queues: how each queue stands; for who has the scope tasks:admin."""

from typing import Any

import msgspec
from flask import Flask

from decant import auth
from decant.tasks.lists import COUNTED_AT_MOST, queue_statistics
from decant.web import lambda_handler

app = Flask(__name__)


@app.get("/queues")
async def queues_list() -> dict[str, Any]:
    """Answer what waits, runs and was done within the hour; counts end at `counted_at_most`."""
    await auth.require("tasks:admin")
    return {"queues": msgspec.to_builtins(await queue_statistics()), "counted_at_most": COUNTED_AT_MOST}


handler = lambda_handler(app)
