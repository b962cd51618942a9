"""The ASGI application: lifespan, websockets, sync views beside others, extensions."""

import asyncio
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest
from flask import Flask, current_app, request
from greenlet import getcurrent
from werkzeug.middleware.proxy_fix import ProxyFix

from decant import loop
from decant.asgi import FlaskToAsgi
from tests.bridging import Application, Connection, Message, client, communicator, get, scope


async def converse(application: Application, kind: str, *events: str) -> list[Message]:
    """Send events of a kind to the application; returns the messages that it sends."""
    connection = communicator(application, {"type": kind, "asgi": {"version": "3.0"}})
    for event in events:
        await connection.send_input({"type": f"{kind}.{event}"})
    await connection.wait()
    return [connection.output_queue.get_nowait() for _ in range(connection.output_queue.qsize())]


async def test_lifespan_builds_nothing_and_closes_what_was_built() -> None:
    """Start-up is answered at once; shutdown closes the shared clients, the newest first."""
    closed: list[str] = []

    async def close(name: str) -> None:
        await asyncio.sleep(0)
        closed.append(name)

    for name in ("engine", "client"):
        loop.on_close(lambda name=name: close(name))  # type: ignore[misc]  # bound at once

    sent = await converse(FlaskToAsgi(Flask("bridged")), "lifespan", "startup", "shutdown")

    assert [message["type"] for message in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert closed == ["client", "engine"]


async def test_lifespan_tells_of_a_client_that_does_not_close() -> None:
    """The others are closed all the same."""
    closed: list[str] = []

    async def good() -> None:
        closed.append("good")

    async def bad() -> None:
        raise OSError("stuck")

    loop.on_close(good)
    loop.on_close(bad)

    sent = await converse(FlaskToAsgi(Flask("bridged")), "lifespan", "startup", "shutdown")

    assert sent[-1]["type"] == "lifespan.shutdown.failed"
    assert "stuck" in sent[-1]["message"]
    assert closed == ["good"]


async def test_websocket_is_refused() -> None:
    """Closed before it is accepted: the client gets a 403."""
    sent = await converse(FlaskToAsgi(Flask("bridged")), "websocket", "connect")

    assert [message["type"] for message in sent] == ["websocket.close"]


async def test_unknown_scope_is_refused() -> None:
    """As ASGI requires, with an error."""
    with pytest.raises(ValueError, match="'telnet'"):
        await converse(FlaskToAsgi(Flask("bridged")), "telnet")


async def test_blocking_view_does_not_stall_others() -> None:
    """An async view is answered while two sync ones block."""
    app, order, blocked, released = Flask("bridged"), [], threading.Semaphore(0), threading.Event()

    def block() -> str:
        blocked.release()
        assert released.wait(60)
        order.append("sync")
        return "sync"

    @app.get("/async")
    async def quick() -> str:
        order.append("async")
        released.set()
        return "async"

    app.add_url_rule("/sync", "sync", block)
    application = FlaskToAsgi(app)

    async def ask(path: str) -> None:
        async with client(application) as http:
            await http.get(path)

    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(ask("/sync"))
        for _ in range(2):
            await asyncio.to_thread(blocked.acquire)
        group.create_task(ask("/async"))

    assert order == ["async", "sync", "sync"]


async def test_two_thousand_requests_wait_at_once() -> None:
    """Each has a greenlet of its own, and none waits for another's."""
    app, all_here, waiting = Flask("bridged"), asyncio.Event(), 0

    @app.get("/<int:number>")
    async def view(number: int) -> str:
        nonlocal waiting
        waiting += 1
        if waiting == 2000:
            all_here.set()
        await all_here.wait()
        return str(number)

    application = FlaskToAsgi(app)
    connections = [Connection(scope(path=f"/{number}")) for number in range(2000)]
    for connection in connections:
        connection.send_body()

    await asyncio.gather(*(connection.run(application) for connection in connections))

    assert [int(connection.body) for connection in connections] == list(range(2000))


@pytest.mark.parametrize(
    ("threads", "where"), [(2, "_ThreadGreenlet"), (0, "LoopGreenlet")], ids=["under a server", "in Lambda"]
)
async def test_sync_request_runs_in_a_thread_with_its_hooks(threads: int, where: str) -> None:
    """Hooks, view and error handler of a sync view run together, in a thread or on the loop."""
    app, ran = Flask("bridged"), []

    @app.before_request
    def hook() -> None:
        ran.append(type(getcurrent()).__name__)

    @app.errorhandler(KeyError)
    def handle(_error: KeyError) -> str:
        ran.append(type(getcurrent()).__name__)
        return "handled"

    @app.get("/")
    def view() -> str:
        ran.append(type(getcurrent()).__name__)
        raise KeyError("for the handler")

    await get(app, view_threads=threads)

    assert ran == [where] * 3


def decorated(view: Callable[..., Any]) -> Callable[..., Any]:
    """A sync decorator as extensions write them."""

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return current_app.ensure_sync(view)(*args, **kwargs)

    return wrapper


async def test_async_view_stays_on_the_loop_under_a_sync_decorator() -> None:
    """A decorator like login_required costs it no thread."""
    app = Flask("bridged")

    @app.get("/")
    @decorated
    async def view() -> str:
        return type(getcurrent()).__name__

    assert (await get(app)).text == "LoopGreenlet"


async def test_async_function_in_a_thread_runs_on_the_one_loop() -> None:
    """A sync view that calls an async function through ensure_sync awaits it on the request's loop."""
    app, here = Flask("bridged"), asyncio.get_running_loop()

    async def inner() -> bool:
        await asyncio.sleep(0)
        return asyncio.get_running_loop() is here

    app.add_url_rule("/", "view", lambda: str(app.ensure_sync(inner)()))

    assert (await get(app)).text == "True"


async def test_extension_that_wraps_wsgi_app_is_called() -> None:
    """Also one that comes after the bridge."""
    app = Flask("bridged")

    @app.get("/")
    async def view() -> str:
        await asyncio.sleep(0)
        return "inner"

    application = FlaskToAsgi(app)
    inner = app.wsgi_app

    def extension(environ: Any, start_response: Any) -> Any:
        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            return start_response(status, [*headers, ("X-Extension", "was here")], exc_info)

        return inner(environ, start)

    app.wsgi_app = extension  # type: ignore[method-assign]  # as in Flask's documentation

    async with client(application) as http:
        answer = await http.get("/")

    assert (answer.text, answer.headers["x-extension"]) == ("inner", "was here")


async def test_werkzeugs_own_middleware_is_called() -> None:
    """ProxyFix, the one that most apps behind a proxy have."""
    app = Flask("bridged")
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    app.add_url_rule("/", "view", lambda: f"{request.scheme} {request.remote_addr}")

    async with client(app) as http:
        answer = await http.get("/", headers={"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.9"})

    assert answer.text == "https 192.0.2.9"


async def test_bridging_an_app_twice_binds_once() -> None:
    """A second bridge around the same app works like the first, each with its own threads."""
    app = Flask("bridged")
    app.add_url_rule("/", "view", lambda: type(getcurrent()).__name__)
    threaded, inline = FlaskToAsgi(app), FlaskToAsgi(app, view_threads=0)

    async def ask(application: Any) -> str:
        async with client(application) as http:
            return (await http.get("/")).text

    assert [await ask(threaded), await ask(inline), await ask(threaded)] == [
        "_ThreadGreenlet",
        "LoopGreenlet",
        "_ThreadGreenlet",
    ]


async def test_bridge_wins_over_an_async_to_sync_of_the_app_inside_a_request_alone() -> None:
    """An app that has its own way to run async code keeps it outside."""
    app = Flask("bridged")
    app.async_to_sync = lambda function: lambda: f"own {function.__name__}"  # type: ignore[assignment,method-assign]

    @app.get("/")
    async def view() -> str:
        await asyncio.sleep(0)
        return "bridged"

    inside = (await get(app)).text
    outside = app.test_client().get("/").text

    assert (inside, outside) == ("bridged", "own view")
