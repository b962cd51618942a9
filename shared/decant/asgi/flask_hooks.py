"""What the bridge binds on a Flask app, so that the app waits and threads as its request is served.

Outside a bridged request (Flask's test client, a plain WSGI server) each falls back to the app's own.
"""

from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from inspect import iscoroutinefunction, unwrap
from typing import Any

from flask import Flask, request
from greenlet import getcurrent

from decant.asgi.body import TooLargeBody
from decant.asgi.threads import in_thread
from decant.asgi.waiting import OnLoop, Waiter

__all__ = ["BridgedRequest", "bind"]


class BridgedRequest(OnLoop):
    """The greenlet of one request.

    Attributes:
        threads: Where a sync view runs; None for right here.
    """

    threads: Executor | None = None


def bind(app: Flask) -> None:
    """Let the app await on the running loop, and run its sync views in the bridge's threads; once per app."""
    if "async_to_sync" in vars(app):
        return
    app.async_to_sync = _awaiting(app.async_to_sync)  # type: ignore[method-assign]  # Flask's documented hook
    app.full_dispatch_request = _dispatching(app)  # type: ignore[method-assign]  # from routing's end to the answer


type _AsyncFunction = Callable[..., Coroutine[Any, Any, Any]]


def _awaiting(flasks_own: Callable[[_AsyncFunction], Callable[..., Any]]) -> Callable[..., Any]:
    def async_to_sync(function: _AsyncFunction) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            here = getcurrent()
            if isinstance(here, Waiter):
                return here.wait(function(*args, **kwargs))
            return flasks_own(function)(*args, **kwargs)

        return call

    return async_to_sync


def _dispatching(app: Flask) -> Callable[[], Any]:
    flasks_own = app.full_dispatch_request
    awaits: dict[Callable[..., Any], bool] = {}

    def full_dispatch_request() -> Any:
        here = getcurrent()
        if not isinstance(here, BridgedRequest):
            return flasks_own()
        if isinstance(body := request.environ["wsgi.input"], TooLargeBody):
            request.routing_exception = body.error  # raised where a 404 is: hooks and error handlers see it
        view = app.view_functions.get(request.endpoint) if request.endpoint else None
        if here.threads is None or view is None:
            return flasks_own()
        if view not in awaits:
            awaits[view] = _is_async(view)
        return flasks_own() if awaits[view] else here.wait(in_thread(here.threads, flasks_own))

    return full_dispatch_request


def _is_async(view: Callable[..., Any]) -> bool:
    """Whether the view that was written is async, under whatever decorators or class it is."""
    if view_class := getattr(view, "view_class", None):
        methods = ("dispatch_request", *(name.lower() for name in view_class.methods or ()))
        return any(iscoroutinefunction(getattr(view_class, method, None)) for method in methods)
    return iscoroutinefunction(unwrap(view))
