"""Call a WSGI application on the event loop or in a worker thread: an environ goes in, a response comes out."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Coroutine, Iterator
from concurrent.futures import Executor
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Self, cast

from flask import Flask
from werkzeug.wsgi import FileWrapper

from decant._sync.greenlets import LoopGreenlet, await_
from decant._sync.threads import run_in_thread
from decant.web.environ import TooLargeBody
from decant.web.flask_app import reject_large_bodies, runs_on_loop, without_flask_contexts
from decant.web.response import Response

if TYPE_CHECKING:
    from asgiref.typing import ASGIReceiveCallable

__all__ = ["call", "is_requested", "stream"]


async def call(
    app: Flask,
    environ: dict[str, Any],
    response: Response,
    *,
    executor: Executor | None = None,
    receive: "ASGIReceiveCallable | None" = None,
) -> None:
    """Call the app; its awaitables run in this task.

    A request whose URL rule has an async view runs on the event loop, in a greenlet. Every other request runs in one
    worker thread, from the push of Flask's contexts to the response's `close()`.

    Args:
        app: Prepared with `flask_app.bind`.
        environ: Of the request, its body added.
        response: Receives status, headers and chunks in the request's greenlet or thread, so it may call `await_()`.
        executor: Runs synchronous requests; None runs them on the event loop.
        receive: Of the ASGI request, whose body is read; the call is cancelled when it reports a disconnect.
    Raises:
        BaseException: an error of the app that Flask did not handle.
    """
    environ["wsgi.multithread"] = executor is not None
    if type(environ["wsgi.input"]) is TooLargeBody:  # `isinstance` takes longer with classes of `io`
        reject_large_bodies(app)
    work = partial(_respond, app, environ, response)
    context = without_flask_contexts()
    if executor is not None and not runs_on_loop(app, environ):
        environ["wsgi.file_wrapper"] = _FileBlocks
        running = run_in_thread(executor, work, context=context)
        await (running if receive is None else _while_connected(running, receive, response))
        return
    environ["wsgi.file_wrapper"] = _FileBlocks if executor is None else partial(_FileBlocks, executor=executor)
    request = LoopGreenlet.acquire()
    pending = request.start(work, context)
    if request.finished:
        request.release()
    elif receive is None:
        await request.resume(pending)
        request.release()
    else:
        await _while_connected(request.finish(pending), receive, response)


def is_requested(error: BaseException) -> bool:
    """Whether an error asks from outside for the request's end: a cancellation, SIGINT, or a closed coroutine.

    Every other error is the app's and becomes a response.
    """
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    return isinstance(error, KeyboardInterrupt | GeneratorExit)


def _respond(app: Flask, environ: dict[str, Any], response: Response) -> None:
    """Call the app and pass on its response; in the request's greenlet or thread."""
    chunks = app(environ, response.start)
    try:
        for chunk in chunks:
            response.write(chunk)
            if response.complete:
                break
        response.finish()
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()


async def _while_connected(
    waiting: Coroutine[Any, Any, None], receive: "ASGIReceiveCallable", response: Response
) -> None:
    """Wait for a call, and cancel it when its client disconnects; that cancellation ends here."""
    task = cast("asyncio.Task[Any]", asyncio.current_task())
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            pass
        if not response.complete:
            gone = True
            task.cancel()

    watching = asyncio.create_task(watch())
    try:
        await waiting
    except asyncio.CancelledError:
        if not gone or task.cancelling() > 1:
            raise
    finally:
        watching.cancel()
        if gone:
            task.uncancel()


_BLOCK_BYTES = 256 * 1024


class _FileBlocks(FileWrapper):
    """WSGI's `wsgi.file_wrapper`: files as responses, in large blocks.

    Args:
        file: Open for reading, at its beginning.
        _block_bytes: The block size of the app: Werkzeug's 8 KiB, at which a large file is mostly overhead.
        executor: Reads the file for a request on a server's event loop; None reads in the caller's thread.
    """

    def __init__(self, file: IO[bytes], _block_bytes: int = 0, *, executor: Executor | None = None) -> None:
        super().__init__(file, _BLOCK_BYTES)
        self._executor = executor

    def __next__(self) -> bytes:
        """The next block."""
        if self._executor is None:
            return super().__next__()
        block: bytes = await_(run_in_thread(self._executor, lambda: self.file.read(self.buffer_size)))
        if not block:
            raise StopIteration
        return block


def stream[T](chunks: AsyncIterable[T]) -> Iterator[T]:
    """An async iterable as the iterator that a Flask response is made of.

        @app.get("/rows")
        async def rows():
            return stream(lines_of_the_query()), {"Content-Type": "text/csv"}

    The next chunk is requested after the server has accepted the last chunk. In `stream_with_context(stream(…))` the
    chunks are made with `request` and `session` available.
    """
    return _Stream(aiter(chunks))


class _Stream[T]:
    def __init__(self, chunks: AsyncIterator[T]) -> None:
        self._chunks = chunks

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        try:
            return await_(anext(self._chunks))
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self) -> None:
        """Close an async generator, so that its `finally` runs; the server calls it however the response ends."""
        aclose = getattr(self._chunks, "aclose", None)
        if aclose is not None:
            await_(aclose())
