"""POST /tasks/redrive: runs failed tasks again; requires the scope tasks:admin."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from flask import Flask
from msgspec import Meta, Struct

from decant import auth
from decant.errors import InvalidInput
from decant.tasks.admin import redrive
from decant.web import body, lambda_handler, limit_per_caller

app = Flask(__name__)

type Aware = Annotated[datetime, Meta(tz=True)]


class TaskFilter(Struct, forbid_unknown_fields=True):
    """Conditions that tasks must meet; at least one is required."""

    ids: Annotated[list[UUID], Meta(max_length=1000)] | None = None
    name: str | None = None
    error: str | None = None
    since: Aware | None = None
    until: Aware | None = None


class Redriven(Struct):
    """Ids of the tasks that run again."""

    ids: list[str]


@app.post("/tasks/redrive")
@limit_per_caller
async def tasks_redrive() -> Redriven:
    """Redrive the tasks and return their ids."""
    await auth.require("tasks:admin")
    conditions = body(TaskFilter)
    if conditions == TaskFilter():
        raise InvalidInput({"ids": "at least one condition is required"})
    redriven = await redrive(**msgspec.structs.asdict(conditions))
    return Redriven([job.id for job in redriven])


handler = lambda_handler(app)
