"""/workflows/{run_id}: shows, signals, forks and rewinds a run of a workflow; requires the scope tasks:admin."""

from importlib import import_module
from typing import Annotated, Any, Literal

import msgspec
from flask import Flask
from msgspec import Meta, Struct

from decant import auth
from decant.errors import InvalidInput
from decant.tasks import ShownStatus
from decant.web import body, idempotent, lambda_handler, limit_per_caller
from decant.workflows import StepStatus, WorkflowRun

app = Flask(__name__)


class ShownRun(ShownStatus, frozen=True, kw_only=True):
    """State and result of a run, with its recorded steps in the order of their calls."""

    steps: list[StepStatus]


class Position(Struct, forbid_unknown_fields=True):
    """A step of the run.

    Attributes:
        before: Its name; the results of earlier steps are kept. Without it, all results are.
        n: Number of earlier steps of that name; by default the first step of the name is meant.
    """

    before: str | None = None
    n: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None


class Fork(Position, forbid_unknown_fields=True):
    """Options of a fork.

    Attributes:
        args: Arguments to replace, by name.
    """

    args: dict[str, Any] | None = None


class StartedRun(Struct):
    """A run that was started."""

    id: str


@app.get("/workflows/<run_id>")
@limit_per_caller
async def workflows_show(run_id: str) -> ShownRun:
    """Return the run's status with its steps; 404 for an unknown id."""
    await auth.require("tasks:admin")
    run = WorkflowRun(run_id)
    status = (await run.status()).shown()
    return ShownRun(**msgspec.structs.asdict(status), steps=await run.steps())


@app.post("/workflows/<run_id>/signals/<topic>")
@limit_per_caller
@idempotent
async def workflows_signal(run_id: str, topic: str) -> tuple[str, Literal[204]]:
    """Send a signal, whose payload is the body or null; 404 for an unknown id, 409 for a finished run."""
    await auth.require("tasks:admin")
    payload = body(Any, default=None)
    try:
        await WorkflowRun(run_id).send(topic, payload)
    except ValueError as error:
        raise InvalidInput({"topic" if "\x00" in topic else "": str(error)}) from error
    return "", 204


@app.post("/workflows/<run_id>/fork")
@limit_per_caller
@idempotent
async def workflows_fork(run_id: str) -> tuple[StartedRun, Literal[202], dict[str, str]]:
    """Start a new run with the results before a step; 202 and its id."""
    await auth.require("tasks:admin")
    options = body(Fork, default=Fork())
    if options.args is not None:
        import_module("domain.tasks")  # registers the workflows, whose parameters only this case needs
    try:
        run = await WorkflowRun(run_id).fork(before=options.before, n=options.n, args=options.args)
    except TypeError as error:
        raise InvalidInput({"args": str(error)}) from error
    return StartedRun(run.id), 202, {"Location": f"workflows/{run.id}"}


@app.post("/workflows/<run_id>/rewind")
@limit_per_caller
async def workflows_rewind(run_id: str) -> ShownStatus:
    """Run a failed or revoked run again, from a step on, and return its status; 409 for other states."""
    await auth.require("tasks:admin")
    position = body(Position, default=Position())
    run = WorkflowRun(run_id)
    await run.rewind(before=position.before, n=position.n)
    return (await run.status()).shown()


handler = lambda_handler(app)
