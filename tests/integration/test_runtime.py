"""The composition root: settings, clients and loops of one process, or of several applications in it."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from flask import Flask
from sqlalchemy import text

from decant import db, http, loop, runtime
from decant.runtime import Runtime
from decant.web import asgi_app, lambda_handler
from decant_cloud.local.postgres import Postgres
from tests.loading import Context, sample
from tests.upstream import Upstream


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """Another service."""
    with Upstream() as server:
        yield server


def database_app() -> Flask:
    """An application that responds with the name of its database."""
    app = Flask("database")

    @app.get("/")
    async def name() -> str:
        async with db.session() as session:
            found: str = (await session.execute(text("SELECT current_database()"))).scalar_one()
        return found

    return app


def test_two_applications_use_two_databases(migrated: Postgres) -> None:
    """Handlers made under different runtimes keep their settings, loops and connections apart."""
    handlers = {}
    runtimes = [Runtime({"DATABASE_URL": migrated.url(name)}) for name in ("postgres", "template1")]
    for name, own in zip(("postgres", "template1"), runtimes, strict=True):
        with own.active():
            handlers[name] = lambda_handler(database_app())

    bodies = [handlers[name](sample("rest", path="/"), Context())["body"] for name in ("postgres", "template1") * 2]
    for own in runtimes:
        own.shut_down()

    assert bodies == ["postgres", "template1"] * 2


async def test_two_applications_are_served_concurrently_on_one_loop(migrated: Postgres) -> None:
    """Under a server both applications run on its loop, each with a pool of its own."""
    clients = {}
    for name in ("postgres", "template1"):
        with Runtime({"DATABASE_URL": migrated.url(name)}).active():
            application: Any = asgi_app(database_app())
        transport = httpx.ASGITransport(application)
        clients[name] = httpx.AsyncClient(transport=transport, base_url="http://test")

    names = ["postgres", "template1"] * 5
    responses = await asyncio.gather(*(clients[name].get("/") for name in names))

    assert [response.text for response in responses] == names


@pytest.mark.usefixtures("database_url")
def test_clients_are_closed_before_their_loop_ends() -> None:
    """A client built on a short-lived loop does not outlive it, and the next loop gets its own."""
    checked_in: list[int] = []

    async def use() -> None:
        async with db.session() as session:
            await session.execute(text("SELECT 1"))
        pool = db.engine().pool
        checked_in.append(pool.checkedin())  # type: ignore[attr-defined]  # a QueuePool

    with Runtime().active() as own:
        for _ in range(3):
            with asyncio.Runner() as runner:
                runner.run(use())
        open_clients = [clients for clients in own._clients.values() if clients.built]

    assert checked_in == [1, 1, 1]
    assert open_clients == []


@pytest.mark.usefixtures("database_url")
def test_clients_work_through_flasks_test_client(upstream: Upstream) -> None:
    """Flask's test client runs each request on a loop of its own."""
    app = database_app()

    @app.get("/fetch")
    async def fetch() -> str:
        await http.get_json(f"{upstream.url}/1")
        return "fetched"

    client = app.test_client()
    statuses = [client.get(path).status_code for path in ("/", "/fetch") * 3]

    assert statuses == [200] * 6


@pytest.mark.usefixtures("database_url")
def test_run_works_from_several_threads() -> None:
    """Several threads query at once, on the runtime's loop and on one other loop, which keep to their threads."""
    own = runtime.current()
    loops: list[asyncio.AbstractEventLoop] = []

    async def work() -> None:
        for _ in range(5):
            async with db.session() as session:
                await session.execute(text("SELECT pg_sleep(0.01)"))
        loops.append(asyncio.get_running_loop())

    threads = [threading.Thread(target=lambda: [own.run(work()) for _ in range(3)]) for _ in range(6)]
    for thread in threads:
        thread.start()
    own.run(work())
    for thread in threads:
        thread.join()

    assert len(loops) == 19
    assert len(set(loops)) <= 2


def test_run_in_threads_of_a_blocked_loop() -> None:
    """Threads run coroutines while synchronous code blocks the event loop until they end."""

    async def block() -> list[int]:
        with ThreadPoolExecutor(2) as threads:
            return list(threads.map(lambda number: own.run(asyncio.sleep(0, number)), range(4)))

    with Runtime({}).active() as own:
        found = own.run(block())
        own.shut_down()

    assert found == [0, 1, 2, 3]


async def test_run_in_a_coroutine_says_to_await() -> None:
    """Blocking a running loop would stop the process."""
    with pytest.raises(RuntimeError, match="await"):
        loop.run(asyncio.sleep(0))


def test_get_builds_once_and_closes_at_the_end() -> None:
    """A resource that belongs to no loop is shared by all threads, and built anew after it was closed."""
    closed: list[list[int]] = []
    with Runtime({}).active() as own:
        first = own.get(list, list, closed.append)
        same = own.get(list, list, closed.append)
        own.run(own.aclose())
        other = own.get(list, list, closed.append)
        own.shut_down()

    assert first is same
    assert first is not other
    assert len(closed) == 2


def test_lambda_function_runs_under_the_runtime_that_made_it() -> None:
    """A handler sees its own settings, wherever it is called."""

    async def handle(_event: object, _context: object) -> Runtime:
        return runtime.current()

    with Runtime({}).active() as own:
        handler = own.lambda_function(handle)

    found = handler({}, Context())
    own.shut_down()

    assert found is own
    assert runtime.current() is not own
