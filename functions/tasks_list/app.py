"""GET /tasks: tasks, newest first, page by page; requires the scope tasks:admin."""

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from flask import Flask
from msgspec import Meta, Struct

from decant import auth
from decant.tasks import State
from decant.tasks.admin import Page, list_tasks
from decant.web import etag, lambda_handler, limit_per_caller, page, query

app = Flask(__name__)


class Filter(Struct, forbid_unknown_fields=True):
    """Conditions that tasks must meet; `before` comes from the previous page."""

    state: State | None = None
    name: str | None = None
    queue: str | None = None
    before: UUID | None = None
    count: Annotated[int, Meta(ge=1, le=200)] = 50


@app.get("/tasks")
@limit_per_caller
async def tasks_list() -> tuple[Page, Literal[200], dict[str, str]]:
    """Return a page of tasks; it may be short although more follow, which `before` and the header Link show."""
    await auth.require("tasks:admin")
    found = await list_tasks(**msgspec.structs.asdict(query(Filter)))
    _, links = page(found.tasks, before=found.before)
    return found, 200, links | etag(found)


handler = lambda_handler(app)
