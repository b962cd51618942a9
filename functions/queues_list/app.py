"""GET /queues: counts of all queues' tasks; requires the scope tasks:admin."""

from flask import Flask
from msgspec import Struct

from decant import auth
from decant.tasks.admin import COUNT_LIMIT, QueueStatistics, queue_statistics
from decant.web import lambda_handler, limit_per_caller

app = Flask(__name__)


class Queues(Struct):
    """The queues.

    Attributes:
        counted_at_most: No count exceeds this number.
    """

    queues: list[QueueStatistics]
    counted_at_most: int


@app.get("/queues")
@limit_per_caller
async def queues_list() -> Queues:
    """Return the numbers of waiting, running and recently finished tasks, limited to `counted_at_most`."""
    await auth.require("tasks:admin")
    return Queues(await queue_statistics(), COUNT_LIMIT)


handler = lambda_handler(app)
