"""Existing synchronous code in requests: private event loops, `asyncio.run()` and asgiref's helpers."""

import asyncio
import contextvars
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asgiref.local import Local
from asgiref.sync import async_to_sync, sync_to_async
from flask import Flask, Response, request

from decant import loop
from decant.asgi import await_
from decant.web import asgi_app, lambda_handler
from tests.bridging import client
from tests.loading import Context, rest_request

type Ask = Callable[[Flask], Any]


def through_lambda(app: Flask) -> Any:
    """The JSON of GET / in Lambda."""
    return json.loads(lambda_handler(app)(rest_request("/"), Context())["body"])


def through_a_server(app: Flask) -> Any:
    """The JSON of GET / behind a server."""

    async def get() -> Any:
        async with client(asgi_app(app)) as http:
            return (await http.get("/")).json()

    return asyncio.run(get())


everywhere = pytest.mark.parametrize("ask", [through_lambda, through_a_server])


async def double(number: int) -> int:
    """An asynchronous function that waits."""
    await asyncio.sleep(0)
    return 2 * number


def private_loop(number: int) -> int:
    """Run an asynchronous function on a loop that is made for it."""
    own = asyncio.new_event_loop()
    try:
        return own.run_until_complete(double(number))
    finally:
        own.close()


WAYS = {
    "asyncio.run": lambda number: asyncio.run(double(number)),
    "async_to_sync": async_to_sync(double),
    "private loop": private_loop,
}


@everywhere
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync view", "async view"])
def test_synchronous_code_runs_a_loop_of_its_own(ask: Ask, way: str, *, asynchronous: bool) -> None:
    """It works in hooks and error handlers around both kinds of view, and in a synchronous view."""
    app, results = Flask("loops"), []

    def use() -> None:
        results.append(WAYS[way](21))

    async def async_view() -> Any:
        await asyncio.sleep(0)
        raise KeyError

    def sync_view() -> Any:
        use()
        raise KeyError

    @app.errorhandler(KeyError)
    def handle(_error: KeyError) -> list[int]:
        use()
        return results

    app.before_request(use)
    app.teardown_request(lambda _error: use())
    app.add_url_rule("/", "view", async_view if asynchronous else sync_view)

    assert ask(app) == [42] * (2 if asynchronous else 3)


@everywhere
def test_process_serves_requests_after_asyncio_run(ask: Ask) -> None:
    """A later request does not miss the event loop that asyncio.run() unset."""
    app = Flask("loops")

    @app.before_request
    def hook() -> None:
        asyncio.run(double(1))

    @app.get("/")
    async def view() -> list[int]:
        return [await double(1), await asyncio.get_running_loop().run_in_executor(None, int, "3")]

    assert [ask(app), ask(app)] == [[2, 3], [2, 3]]


@everywhere
def test_sync_to_async_sees_the_request(ask: Ask) -> None:
    """An asynchronous view calls blocking code in a thread, with the request's context."""
    app = Flask("threads")

    @sync_to_async(thread_sensitive=False)
    def blocking() -> tuple[str, bool]:
        return request.path, threading.current_thread() is threading.main_thread()

    @app.get("/")
    async def view() -> list[Any]:
        return list(await blocking())

    assert ask(app) == ["/", False]


@everywhere
def test_asgiref_local_follows_gather_and_threads(ask: Ask) -> None:
    """A `Local` that an asynchronous view sets is seen in `gather()` and in `sync_to_async`."""
    app, local = Flask("local"), Local()

    async def read() -> int:
        await asyncio.sleep(0)
        return int(local.number)

    @app.get("/")
    async def view() -> list[int]:
        local.number = 7
        in_thread = sync_to_async(lambda: local.number, thread_sensitive=False)
        return [*await asyncio.gather(read(), read()), await in_thread()]

    assert ask(app) == [7, 7, 7]


@everywhere
def test_asgiref_local_follows_a_synchronous_request(ask: Ask) -> None:
    """Asynchronous hooks on the loop and a synchronous view in a thread share a `Local`."""
    app, local = Flask("local"), Local()

    @app.before_request
    async def hook() -> None:
        await asyncio.sleep(0)
        local.numbers = [1]

    @app.get("/")
    def view() -> list[int]:
        local.numbers = [*local.numbers, 2]
        return [0]

    @app.after_request
    async def after(response: Response) -> Response:
        response.set_data(json.dumps([*local.numbers, 3]))
        return response

    assert ask(app) == [1, 2, 3]


@everywhere
def test_context_variable_set_in_a_hook_is_seen_by_the_view(ask: Ask) -> None:
    """Hooks and view share one context, on every thread."""
    app, number = Flask("context"), contextvars.ContextVar("number", default=0)

    @app.before_request
    async def hook() -> None:
        await asyncio.sleep(0)
        number.set(5)

    app.add_url_rule("/", "view", lambda: [number.get()])

    assert ask(app) == [5]


@everywhere
def test_threads_of_a_view_may_await(ask: Ask) -> None:
    """A view waits for threads that await, although the event loop's thread is blocked in Lambda."""
    app = Flask("threads")

    @app.get("/")
    def view() -> list[int]:
        with ThreadPoolExecutor(2) as threads:
            return list(threads.map(lambda number: await_(double(number)), range(4)))

    assert ask(app) == [0, 2, 4, 6]


def test_synchronous_view_may_use_the_processes_loop() -> None:
    """`loop.run()` in a view in Lambda does not wait for the loop that the view blocks."""
    app = Flask("run")
    app.add_url_rule("/", "view", lambda: [loop.run(double(4))])

    assert through_lambda(app) == [8]
