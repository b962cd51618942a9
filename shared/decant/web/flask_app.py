"""Call a Flask app on the event loop or in a worker thread: an environ goes in, a response comes out."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from contextvars import Context, ContextVar, copy_context
from functools import partial
from inspect import iscoroutinefunction, unwrap
from typing import TYPE_CHECKING, Any, cast

import flask.globals
from flask import Flask, appcontext_pushed, request
from greenlet import getcurrent
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import BaseConverter, Map

from decant._sync.greenlets import AwaitingGreenlet, LoopGreenlet, await_
from decant._sync.threads import run_in_thread
from decant.outbox import Outbox
from decant.outbox import current as outbox
from decant.tracing import Tracer, tracer
from decant.web.chunks import FileBlocks
from decant.web.dispatch import shorten
from decant.web.wsgi import Response, TooLargeBody

if TYPE_CHECKING:
    from asgiref.typing import ASGIReceiveCallable

__all__ = ["bind", "call", "is_requested"]


def bind(app: Flask) -> None:
    """Let the app await on the running loop inside of requests; once per app.

    Outside of a request that Decant serves (Flask's test client, a plain WSGI server) the app's own way remains.
    """
    if __name__ in app.extensions:
        return
    app.extensions[__name__] = True
    shorten(app)
    app.async_to_sync = _awaiting(app.async_to_sync)  # type: ignore[method-assign]  # Flask's documented hook
    if _has_middleware(app):  # which may call other apps
        appcontext_pushed.connect(bind)


type _AsyncFunction = Callable[..., Coroutine[Any, Any, Any]]


def _awaiting(apps_own: Callable[[_AsyncFunction], Callable[..., Any]]) -> Callable[..., Any]:
    def async_to_sync(function: _AsyncFunction) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            here = getcurrent()
            if isinstance(here, AwaitingGreenlet):
                return here.wait(function(*args, **kwargs))
            return apps_own(function)(*args, **kwargs)

        return call

    return async_to_sync


def call(
    app: Flask,
    environ: dict[str, Any],
    response: Response,
    *,
    executor: Executor | None = None,
    receive: "ASGIReceiveCallable | None" = None,
) -> Coroutine[Any, Any, None]:
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
    traced = tracer()
    calling = _call(app, environ, response, executor, receive)
    return calling if traced is None else _call_traced(calling, traced, app, environ, response)


async def _call_traced(
    calling: Coroutine[Any, Any, None], traced: Tracer, app: Flask, environ: dict[str, Any], response: Response
) -> None:
    from decant.web.traces import request_span  # noqa: PLC0415  # while tracing is on

    with request_span(traced, app, environ, response):
        await calling


async def _call(
    app: Flask,
    environ: dict[str, Any],
    response: Response,
    executor: Executor | None,
    receive: "ASGIReceiveCallable | None",
) -> None:
    messages = Outbox()
    token = outbox.set(messages)
    try:
        waiting = _start(partial(_respond, app, environ, response, messages), app, environ, executor)
        if waiting is not None:
            await (waiting if receive is None else _while_connected(waiting, receive, response))
    finally:
        outbox.reset(token)
        messages.close()
        if not messages.is_empty:  # the app raised an error
            await messages.flush()


def _start(
    work: Callable[[], None], app: Flask, environ: dict[str, Any], executor: Executor | None
) -> Coroutine[Any, Any, None] | None:
    """Start the work; returns what waits for its end, or None when it has ended."""
    environ["wsgi.multithread"] = executor is not None
    if type(environ["wsgi.input"]) is TooLargeBody:  # `isinstance` takes longer with classes of `io`
        _reject_large_bodies(app)
    context = _without_flask_contexts()
    if executor is not None and not _runs_on_loop(app, environ):
        environ["wsgi.file_wrapper"] = FileBlocks
        return run_in_thread(executor, work, context=context)
    environ["wsgi.file_wrapper"] = FileBlocks if executor is None else partial(FileBlocks, executor=executor)
    request = LoopGreenlet.acquire()
    pending = request.start(work, context)
    if not request.finished:
        return request.finish(pending)
    request.release()
    return None


def is_requested(error: BaseException) -> bool:
    """Whether an error asks from outside for the request's end: a cancellation, SIGINT, or a closed coroutine.

    Every other error is the app's and becomes a response.
    """
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    return isinstance(error, KeyboardInterrupt | GeneratorExit)


def _respond(app: Flask, environ: dict[str, Any], response: Response, messages: Outbox) -> None:
    """Call the app and pass on its response, after its messages; in the request's greenlet or thread."""
    chunks = app(environ, response.start)
    try:
        if not messages.is_empty:
            await_(messages.flush())
        for chunk in chunks:
            response.write(chunk)
            if response.complete:
                break
        if not messages.is_empty:
            await_(messages.flush())
        response.finish()
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()


def _reject_large_bodies(app: Flask) -> None:
    """Respond 413 to a request with a `TooLargeBody` before a view runs; once per app.

    It is called at the first such body: the hook would cost every request 1 µs.
    """
    hooks = app.before_request_funcs.setdefault(None, [])
    if _reject_large_body not in hooks:
        hooks.insert(0, _reject_large_body)


def _reject_large_body() -> None:
    body = request.environ.get("wsgi.input")
    if isinstance(body, TooLargeBody):
        raise body.error


def _runs_on_loop(app: Flask, environ: dict[str, Any]) -> bool:
    """Whether the request's URL rule has an async view; False where it cannot be known before the app is called.

    It cannot be known for a wrapped `wsgi_app`, whose middleware may call another app, for a request without a rule,
    and where a URL converter of the app runs code: it may need the request's context or thread. Werkzeug's `ProxyFix`
    changes neither path nor method, and is ignored.
    """
    if _has_middleware(app) or any(map(_converts_values, app.url_map.converters.values())):
        return False
    try:
        adapter = app.create_url_adapter(app.request_class(environ))
        endpoint = adapter.match()[0] if adapter is not None else ""
    except HTTPException:  # no rule
        return False
    return _is_async(app.view_functions.get(endpoint))


def _has_middleware(app: Flask) -> bool:
    called: Any = app.wsgi_app
    while isinstance(called, ProxyFix):
        called = called.app
    return getattr(called, "__func__", None) is not Flask.wsgi_app


def _converts_values(converter: type[BaseConverter]) -> bool:
    """Whether a converter of the app runs code of its own for a request."""
    return converter.to_python is not BaseConverter.to_python and converter not in _WERKZEUGS_CONVERTERS


_WERKZEUGS_CONVERTERS = frozenset(Map.default_converters.values())


def _is_async(view: Callable[..., Any] | None) -> bool:
    """Whether the view that was written is async, under any decorators and class."""
    if view is None:
        return False
    if view_class := getattr(view, "view_class", None):
        methods = ("dispatch_request", *(name.lower() for name in view_class.methods or ()))
        return any(iscoroutinefunction(getattr(view_class, method, None)) for method in methods)
    return iscoroutinefunction(unwrap(view))


_FLASK_CONTEXTS = frozenset(value for value in vars(flask.globals).values() if isinstance(value, ContextVar))
"""Where Flask keeps the current app and request; their number and names differ from version to version."""


def _without_flask_contexts() -> Context | None:
    """A copy of this context without Flask contexts, such as a context pushed at import; None when it has none."""
    for variable in _FLASK_CONTEXTS:
        if variable.get(None) is not None:
            break
    else:
        return None
    context = Context()
    for variable, value in copy_context().items():
        if variable not in _FLASK_CONTEXTS:
            context.run(variable.set, value)
    return context


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
