"""GET /tasks/{task_id}/events: the state of a task as server-sent events, until the task ends."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
from flask import Flask, Response, request

from decant.tasks import AsyncResult, ShownStatus, Status
from decant.web import lambda_handler, responds, stream

app = Flask(__name__)

POLL_S = 0.5
KEEP_ALIVE_S = 15
"""Seconds without a change after which a comment is sent, so that no proxy closes the connection."""

MARGIN_MS = 2_000
"""Milliseconds before the function's timeout at which the response ends; an EventSource then connects again."""


@app.get("/tasks/<task_id>/events")
@responds(ShownStatus, mimetype="text/event-stream", description="An event `status` for each change")
async def task_events(task_id: str) -> Response:
    """Stream the task's status until the task ends; 404 for an unknown id."""
    job = AsyncResult(task_id)
    first = await job.status()
    events = stream(_events(job, first, request.environ.get("aws.context")))
    return Response(events, content_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def _events(job: AsyncResult, status: Status, context: object) -> AsyncIterator[str]:
    """An event for each change of the status, and comments between them."""
    remaining_ms = getattr(context, "get_remaining_time_in_millis", lambda: MARGIN_MS + 1)
    loop = asyncio.get_running_loop()
    sent, sent_at = b"", loop.time()
    while True:
        shown = msgspec.json.encode(status.shown())
        if shown != sent:
            yield f"event: status\ndata: {shown.decode()}\n\n"
            sent, sent_at = shown, loop.time()
        elif loop.time() - sent_at >= KEEP_ALIVE_S:
            yield ": keep-alive\n\n"
            sent_at = loop.time()
        if status.finished or remaining_ms() <= MARGIN_MS:
            return
        await asyncio.sleep(POLL_S)
        status = await job.status()


handler = lambda_handler(app, streaming=True)
