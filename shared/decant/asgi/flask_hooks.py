"""What the bridge binds on a Flask app, so that it awaits on the loop and runs its sync views in worker threads.

Outside a bridged request (Flask's test client, a plain WSGI server) each falls back to the app's own.
"""

from collections.abc import Callable, Coroutine
from functools import partial
from inspect import iscoroutinefunction, unwrap
from typing import Any

from flask import Flask, request
from greenlet import getcurrent

from decant._sync.greenlets import AwaitingGreenlet, await_
from decant._sync.threads import run_in_thread
from decant.asgi.body import TooLargeBody

__all__ = ["THREADS", "bind"]

THREADS = "decant.threads"
"""Key of the environ: the threads in which this request's view runs, or None for the event loop's own."""


def bind(app: Flask) -> None:
    """Let the app await on the running loop, and run its sync views in the request's threads; once per app."""
    if __name__ in app.extensions:
        return
    app.extensions[__name__] = True
    app.async_to_sync = _awaiting(app.async_to_sync)  # type: ignore[method-assign]  # Flask's documented hook
    app.full_dispatch_request = _dispatching(app)  # type: ignore[method-assign]  # what follows routing, hooks and all


type _AsyncFunction = Callable[..., Coroutine[Any, Any, Any]]


def _awaiting(flasks_own: Callable[[_AsyncFunction], Callable[..., Any]]) -> Callable[..., Any]:
    def async_to_sync(function: _AsyncFunction) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            here = getcurrent()
            if isinstance(here, AwaitingGreenlet):
                return here.wait(function(*args, **kwargs))
            return flasks_own(function)(*args, **kwargs)

        return call

    return async_to_sync


def _dispatching(app: Flask) -> Callable[..., Any]:
    """Flask's `full_dispatch_request`: a request whose view is sync runs in a thread, its hooks with it."""
    flasks_own = app.full_dispatch_request
    is_async: dict[str, bool] = {}

    def full_dispatch_request(*given: Any) -> Any:
        environ = request.environ
        if THREADS not in environ:
            return flasks_own(*given)
        if isinstance(body := environ["wsgi.input"], TooLargeBody):
            request.routing_exception = body.error  # raised where a 404 is: hooks and error handlers see it
        threads = environ[THREADS]
        if threads is None:
            return flasks_own(*given)
        endpoint = request.endpoint
        if endpoint is not None and endpoint not in is_async:
            is_async[endpoint] = _is_async(app.view_functions[endpoint])
        if endpoint is None or is_async[endpoint]:  # no such route: no view that could block
            environ[THREADS] = None
            return flasks_own(*given)
        return await_(run_in_thread(threads, partial(flasks_own, *given)))

    return full_dispatch_request


def _is_async(view: Callable[..., Any]) -> bool:
    """Whether the view that was written is async, under whatever decorators or class it is."""
    if view_class := getattr(view, "view_class", None):
        methods = ("dispatch_request", *(name.lower() for name in view_class.methods or ()))
        return any(iscoroutinefunction(getattr(view_class, method, None)) for method in methods)
    return iscoroutinefunction(unwrap(view))
