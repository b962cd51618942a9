"""Which thread runs which code of a request, behind real servers with one client and with many at a time."""

import asyncio
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from flask import Flask, Response, g, request, request_finished, request_started, stream_with_context
from flask.sessions import SecureCookieSessionInterface
from sqlalchemy import create_engine, text
from sqlalchemy.orm import scoped_session, sessionmaker
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.middleware.shared_data import SharedDataMiddleware
from werkzeug.routing import BaseConverter

from decant.asgi import await_
from decant.web import asgi_app
from tests.bridging import SERVERS, Server, client, serve

MAIN = threading.main_thread().ident

behind_servers = pytest.mark.parametrize("server", SERVERS)
of_clients = pytest.mark.parametrize("clients", [1, 30])

type Threads = dict[str, dict[str, set[int]]]
"""Threads by the request's number and the part of the request that ran in them."""


async def get_all(address: str, path: str, clients: int, requests: int = 90) -> list[httpx.Response]:
    """GET a path many times, by so many clients at once; the header X-Number identifies the request."""
    numbers = iter(range(requests))

    async def repeat(http: httpx.AsyncClient) -> list[httpx.Response]:
        return [await http.get(path, headers={"X-Number": str(number)}) for number in numbers]

    async with httpx.AsyncClient(base_url=address, timeout=30) as http:
        return [response for many in await asyncio.gather(*(repeat(http) for _ in range(clients))) for response in many]


@behind_servers
@of_clients
async def test_sqlite3_connection_in_g_serves_its_request(server: Server, clients: int, tmp_path: Path) -> None:
    """A connection that a hook opens is used by the view and closed by the teardown."""
    app, closed = Flask("sqlite"), []

    @app.before_request
    def connect() -> None:
        g.connection = sqlite3.connect(tmp_path / "numbers")

    @app.teardown_appcontext
    def close(_error: BaseException | None) -> None:
        g.connection.close()
        closed.append(1)

    @app.get("/")
    def view() -> str:
        return str(g.connection.execute("SELECT ?", [int(request.headers["X-Number"])]).fetchone()[0])

    async with serve(asgi_app(app), server) as address:
        responses = await get_all(address, "/", clients)

    assert sorted(int(response.text) for response in responses) == list(range(90))
    assert len(closed) == 90


@behind_servers
@of_clients
async def test_scoped_session_is_removed_after_its_request(server: Server, clients: int, tmp_path: Path) -> None:
    """No request gets the session of an earlier one, because the teardown runs in the thread that made it."""
    app = Flask("scoped")
    engine = create_engine(f"sqlite:///{tmp_path / 'numbers'}")
    session = scoped_session(sessionmaker(engine))
    app.teardown_appcontext(lambda _error: session.remove())

    @app.get("/")
    def view() -> str:
        earlier = session().info.get("number", "none")
        session().info["number"] = request.headers["X-Number"]
        session.execute(text("SELECT 1"))
        return str(earlier)

    async with serve(asgi_app(app), server) as address:
        responses = await get_all(address, "/", clients)

    engine.dispose()
    assert {response.text for response in responses} == {"none"}


@behind_servers
@of_clients
async def test_thread_bound_connection_is_opened_and_closed_by_hooks(server: Server, clients: int) -> None:
    """Hooks like peewee's open a connection of their thread, and fail when it is open already."""
    app, connections = Flask("bound"), threading.local()

    @app.before_request
    def connect() -> None:
        if getattr(connections, "open", False):
            raise RuntimeError("the connection of this thread is open already")
        connections.open = True

    @app.teardown_request
    def close(_error: BaseException | None) -> None:
        if not connections.open:
            raise RuntimeError("the connection of this thread is not open")
        connections.open = False

    app.add_url_rule("/", "view", lambda: str(connections.open))

    async with serve(asgi_app(app), server) as address:
        responses = await get_all(address, "/", clients)

    assert {response.text for response in responses} == {"True"}


def recording_app(threads: Threads, *, asynchronous: bool) -> Flask:
    """An app that records in which thread each part of a request runs."""
    app = Flask("recording")
    app.secret_key = "for tests"

    def note(part: str) -> None:
        threads[g.number][part].add(threading.get_ident())

    class Sessions(SecureCookieSessionInterface):
        def open_session(self, app: Flask, request: Any) -> Any:
            g.number = request.headers["X-Number"]
            note("session opened")
            return super().open_session(app, request)

        def save_session(self, app: Flask, session: Any, response: Response) -> None:
            note("session saved")
            super().save_session(app, session, response)

    def chunks() -> Iterator[str]:
        try:
            note("chunk")
            yield "one "
            note("chunk")
            yield "two"
        finally:
            note("generator closed")

    def respond() -> Response:
        note("view")
        number = g.number
        response = Response(stream_with_context(chunks()))
        response.call_on_close(lambda: threads[number]["call_on_close"].add(threading.get_ident()))
        return response

    async def respond_later() -> Response:
        await asyncio.sleep(0)
        return respond()

    app.session_interface = Sessions()
    app.before_request(lambda: note("before_request"))

    @app.after_request
    def after_request(response: Response) -> Response:
        note("after_request")
        return response

    app.teardown_request(lambda _error: note("teardown_request"))
    app.teardown_appcontext(lambda _error: note("teardown_appcontext"))
    app.add_url_rule("/", "view", respond_later if asynchronous else respond)
    return app


PARTS = {
    *("session opened", "before_request", "view", "after_request", "session saved", "chunk", "generator closed"),
    *("call_on_close", "teardown_request", "teardown_appcontext", "request_started", "request_finished"),
}


async def record(app: Flask, threads: Threads, server: Server, clients: int) -> None:
    """Serve the app and record its signals too."""

    def receiver(name: str) -> Callable[..., None]:
        def receive(*_given: Any, **_named: Any) -> None:
            threads[g.number][name].add(threading.get_ident())

        return receive

    started, finished = receiver("request_started"), receiver("request_finished")
    with request_started.connected_to(started, app), request_finished.connected_to(finished, app):
        async with serve(asgi_app(app), server) as address:
            responses = await get_all(address, "/", clients, requests=30)
    assert {response.text for response in responses} == {"one two"}


@behind_servers
@of_clients
async def test_synchronous_request_runs_in_one_worker_thread(server: Server, clients: int) -> None:
    """Session, signals, hooks, view, each chunk, close and teardown share a thread that is not the loop's."""
    threads: Threads = defaultdict(lambda: defaultdict(set))

    await record(recording_app(threads, asynchronous=False), threads, server, clients)

    assert len(threads) == 30
    for parts in threads.values():
        assert set(parts) == PARTS
        assert len(set.union(*parts.values())) == 1
        assert MAIN not in set.union(*parts.values())


@behind_servers
@of_clients
async def test_request_with_an_async_view_runs_on_the_loops_thread(server: Server, clients: int) -> None:
    """Its hooks, chunks and teardown run there too."""
    threads: Threads = defaultdict(lambda: defaultdict(set))

    await record(recording_app(threads, asynchronous=True), threads, server, clients)

    assert len(threads) == 30
    for parts in threads.values():
        assert set(parts) == PARTS
        assert set.union(*parts.values()) == {MAIN}


async def test_asynchronous_code_of_a_synchronous_request_runs_on_the_loops_thread() -> None:
    """Asynchronous hooks and what `await_()` awaits run on the loop, while the view is in a worker thread."""
    app, threads = Flask("mixed"), {}

    async def note(name: str) -> None:
        await asyncio.sleep(0)
        threads[name] = threading.get_ident()

    @app.before_request
    async def hook() -> None:
        await note("hook")

    @app.get("/")
    def view() -> str:
        threads["view"] = threading.get_ident()
        await_(note("await_"))
        return "ok"

    async with client(app) as http:
        await http.get("/")

    assert (threads["hook"], threads["await_"]) == (MAIN, MAIN)
    assert threads["view"] != MAIN


@pytest.mark.parametrize("case", ["wrapped wsgi_app", "no rule", "other method", "mounted application"])
async def test_request_of_an_unknown_view_runs_in_a_worker_thread(case: str) -> None:
    """Where the URL rule is not known, a thread runs the hooks, and awaits an asynchronous view on the loop."""
    app, threads = Flask("unknown"), {}

    @app.before_request
    def hook() -> None:
        threads["hook"] = threading.get_ident()

    @app.get("/async")
    async def view() -> str:
        await asyncio.sleep(0)
        threads["view"] = threading.get_ident()
        return "async"

    outer = app
    if case == "wrapped wsgi_app":
        app.wsgi_app = SharedDataMiddleware(app.wsgi_app, {})  # type: ignore[method-assign]
    elif case == "mounted application":
        outer = Flask("outer")
        outer.wsgi_app = DispatcherMiddleware(outer.wsgi_app, {"/mounted": app})  # type: ignore[method-assign]
    requests = {
        "no rule": ("GET", "/none"),
        "other method": ("POST", "/async"),
        "mounted application": ("GET", "/mounted/async"),
    }
    method, path = requests.get(case, ("GET", "/async"))

    async with client(outer) as http:
        response = await http.request(method, path)

    assert response.status_code == {"no rule": 404, "other method": 405}.get(case, 200)
    assert threads["hook"] != MAIN
    assert threads.get("view", MAIN) == MAIN


async def test_proxy_fix_keeps_async_views_on_the_loop() -> None:
    """Werkzeug's ProxyFix changes neither path nor method, so that the view is known."""
    app, threads = Flask("proxied"), []
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    app.before_request(lambda: threads.append(threading.get_ident()))

    @app.get("/")
    async def view() -> str:
        return "ok"

    async with client(app) as http:
        await http.get("/")

    assert threads == [MAIN]


class Doubled(BaseConverter):
    """A converter that runs code of the app."""

    ran: ClassVar[list[int | None]] = []

    def to_python(self, value: str) -> int:
        """Twice the number."""
        self.ran.append(threading.get_ident())
        return 2 * int(value)


async def test_url_converter_runs_in_the_thread_of_a_synchronous_view() -> None:
    """A converter that reads from a connection of its thread uses the connection of the view."""
    app, threads = Flask("converted"), []
    app.url_map.converters["doubled"] = Doubled

    @app.get("/<doubled:number>")
    def view(number: int) -> str:
        threads.append(threading.get_ident())
        return str(number)

    async with client(app) as http:
        response = await http.get("/21")

    assert response.text == "42"
    assert Doubled.ran == threads
