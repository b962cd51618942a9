"""POST /tasks/redrive: runs failed tasks again; for who has the scope tasks:admin."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from flask import Flask
from msgspec import Meta, Struct

from decant import auth
from decant.errors import InvalidInput
from decant.tasks.redrive import redrive
from decant.web import body, lambda_handler

app = Flask(__name__)

type Aware = Annotated[datetime, Meta(tz=True)]


class Which(Struct, forbid_unknown_fields=True):
    """Which tasks; what is not said does not matter, and something must be."""

    ids: Annotated[list[UUID], Meta(max_length=1000)] | None = None
    name: str | None = None
    error: str | None = None
    since: Aware | None = None
    until: Aware | None = None


@app.post("/tasks/redrive")
async def tasks_redrive() -> dict[str, Any]:
    """Put them back, and answer their ids."""
    await auth.require("tasks:admin")
    which = body(Which)
    if which == Which():
        raise InvalidInput({"ids": "say which tasks, by this or another field"})
    back = await redrive(which.ids, name=which.name, error=which.error, since=which.since, until=which.until)
    return {"ids": [job.id for job in back]}


handler = lambda_handler(app)
