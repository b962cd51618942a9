"""GET /tasks: tasks, newest first, page by page; for who has the scope tasks:admin."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from flask import Flask
from msgspec import Meta, Struct

from decant import auth
from decant.tasks import State
from decant.tasks.lists import list_tasks
from decant.web import lambda_handler, query

app = Flask(__name__)


class Filter(Struct, forbid_unknown_fields=True):
    """Which tasks; `before` is what the page before said."""

    state: State | None = None
    name: str | None = None
    queue: str | None = None
    before: UUID | None = None
    count: Annotated[int, Meta(ge=1, le=200)] = 50


@app.get("/tasks")
async def tasks_list() -> dict[str, Any]:
    """Answer a page; fewer tasks than asked for, and a `before`, when those that match are far between."""
    await auth.require("tasks:admin")
    which = query(Filter)
    page = await list_tasks(
        state=which.state, name=which.name, queue=which.queue, before=which.before, count=which.count
    )
    answer: dict[str, Any] = msgspec.to_builtins(page)
    return answer


handler = lambda_handler(app)
