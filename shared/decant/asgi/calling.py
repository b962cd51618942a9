"""One WSGI call on the event loop: an environ goes in, an answer comes out."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import Executor
from functools import partial
from typing import IO, Any, cast

from flask import Flask

from decant._sync.greenlets import LoopGreenlet, await_
from decant._sync.threads import run_in_thread
from decant.asgi.files import FileBlocks
from decant.asgi.flask_hooks import THREADS
from decant.asgi.messages import Receive
from decant.asgi.response import Answer

__all__ = ["add_body", "call"]


def add_body(environ: dict[str, Any], body: IO[bytes], length: int) -> None:
    """Give an environ the request's body, whose real length is known."""
    environ["CONTENT_LENGTH"] = str(length)
    environ["wsgi.input"] = body
    environ["wsgi.input_terminated"] = True


async def call(
    app: Flask,
    environ: dict[str, Any],
    answer: Answer,
    *,
    threads: Executor | None = None,
    receive: Receive | None = None,
) -> None:
    """Call the app; what it awaits runs on the running loop.

    Args:
        app: With the bridge's hooks bound.
        environ: Of the request, its body added.
        answer: Takes the app's, in the request's greenlet: it may `await_`.
        threads: Where a sync view runs; None for right here.
        receive: The ASGI request's own, whose body is read; when it tells of a disconnect, the call is cancelled.
    """
    environ["wsgi.multithread"] = threads is not None
    environ["wsgi.file_wrapper"] = partial(FileBlocks, threads)
    environ[THREADS] = threads
    request = LoopGreenlet.acquire()
    pending = request.start(partial(_respond, app, environ, answer))
    gone = False
    if not request.finished:
        waiting = request.resume(pending)
        if receive is None:
            await waiting
        else:
            gone = await _while_connected(waiting, receive, answer)
    try:
        request.release()
    except asyncio.CancelledError:
        if not gone:
            raise


def _respond(app: Flask, environ: dict[str, Any], answer: Answer) -> None:
    """Call the app and pass on its answer; in the request's greenlet."""
    given = chunks = app(environ, answer.start)
    try:
        threads: Executor | None = environ[THREADS]
        if threads is not None and answer.is_stream:
            step = partial(next, iter(given), None)
            chunks = iter(lambda: cast("bytes", await_(run_in_thread(threads, step))), None)
        for chunk in chunks:
            answer.write(chunk)
            if answer.complete:
                break
        answer.finish()
    finally:
        close = getattr(given, "close", None)
        if close is not None:
            close()


async def _while_connected(waiting: Coroutine[Any, Any, None], receive: Receive, answer: Answer) -> bool:
    """Wait with a call, and cancel it when its client goes away.

    Returns:
        Whether that is why it was cancelled, and the only reason.
    """
    task = cast("asyncio.Task[Any]", asyncio.current_task())
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            pass
        if not answer.complete:
            gone = True
            task.cancel()

    watching = asyncio.create_task(watch())
    try:
        await waiting
    finally:
        watching.cancel()
    return gone and task.uncancel() == 0
