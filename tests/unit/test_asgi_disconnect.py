"""A client that goes away: its view is cancelled at once, and torn down all the same."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from flask import Flask, g, request

from decant.asgi import FlaskToAsgi, await_, stream
from tests.bridging import Connection


@pytest.fixture
def connection() -> Connection:
    """A connection whose request is whole."""
    made = Connection()
    made.send_body()
    return made


async def until(event: asyncio.Event) -> None:
    """Wait, but not for ever."""
    async with asyncio.timeout(5):
        await event.wait()


async def test_disconnect_cancels_the_view_within_a_turn(connection: Connection) -> None:
    """The loop goes round once for the message to arrive and once for the view to be cancelled."""
    app, waiting, cancelled = Flask("bridged"), asyncio.Event(), asyncio.Event()

    @app.get("/")
    async def view() -> str:
        waiting.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return "never"

    serving = asyncio.create_task(connection.run(FlaskToAsgi(app)))
    await until(waiting)
    await asyncio.sleep(0)
    connection.disconnect()
    for _ in range(3):  # the queue's own wake-up, then the two turns
        await asyncio.sleep(0)

    assert cancelled.is_set()
    await serving
    assert connection.sent == []


async def test_cancelled_request_runs_its_teardown(connection: Connection) -> None:
    """Hooks of both kinds run with the cancellation as their error, may await, and still see g."""
    app, waiting = Flask("bridged"), asyncio.Event()
    torn: list[tuple[object, ...]] = []

    @app.teardown_request
    async def teardown(error: BaseException | None) -> None:
        await asyncio.sleep(0.001)
        torn.append((type(error), g.word, request.path))

    @app.teardown_appcontext
    def teardown_context(error: BaseException | None) -> None:
        torn.append((type(error), g.word))

    @app.get("/")
    async def view() -> str:
        g.word = "kept"
        waiting.set()
        await asyncio.Event().wait()
        return "never"

    serving = asyncio.create_task(connection.run(FlaskToAsgi(app)))
    await until(waiting)
    connection.disconnect()
    await serving

    assert torn == [(asyncio.CancelledError, "kept", "/"), (asyncio.CancelledError, "kept")]


async def test_disconnect_ends_a_stream_and_its_generator(connection: Connection) -> None:
    """An endless stream stops where it is, and its finally runs."""
    app, closed = Flask("bridged"), []

    async def endless() -> AsyncIterator[str]:
        try:
            while True:
                yield "tick"
                await asyncio.sleep(0)
        finally:
            await asyncio.sleep(0)
            closed.append(True)

    @app.get("/")
    async def view() -> Any:
        return stream(endless())

    serving = asyncio.create_task(connection.run(FlaskToAsgi(app)))
    while len(connection.sent) < 5:  # noqa: ASYNC110  # turns of the loop are what is counted
        await asyncio.sleep(0)
    connection.disconnect()
    await asyncio.wait_for(serving, 5)

    assert closed == [True]
    assert all(message.get("more_body", True) for message in connection.sent)


async def test_thread_is_waited_for_before_teardown(connection: Connection) -> None:
    """A sync view cannot be stopped: teardown waits until it is through."""
    app, events, go_on = Flask("bridged"), [], threading.Event()
    started = asyncio.Event()
    loop = asyncio.get_running_loop()

    def view() -> str:
        loop.call_soon_threadsafe(started.set)
        go_on.wait(5)
        events.append("view")
        return "unheard"

    app.add_url_rule("/", "view", view)
    app.teardown_request(lambda _error: events.append("teardown"))
    serving = asyncio.create_task(connection.run(FlaskToAsgi(app)))
    await until(started)
    connection.disconnect()
    await asyncio.sleep(0.01)
    go_on.set()
    await serving

    assert events == ["view", "teardown"]


async def test_await_of_a_thread_is_cancelled(connection: Connection) -> None:
    """What a sync view awaits on the loop is cancelled, and with it the view."""
    app, waiting, ended = Flask("bridged"), asyncio.Event(), []

    async def wait() -> None:
        waiting.set()
        await asyncio.Event().wait()

    def view() -> str:
        try:
            await_(wait())
        except asyncio.CancelledError:
            ended.append(threading.current_thread().name)
            raise
        return "never"

    app.add_url_rule("/", "view", view)
    serving = asyncio.create_task(connection.run(FlaskToAsgi(app, view_threads=1)))
    await until(waiting)
    connection.disconnect()
    await asyncio.wait_for(serving, 5)

    assert ended == ["decant-view_0"]


async def test_disconnect_before_the_body_is_whole_runs_nothing() -> None:
    """The client is gone, so the app is not called."""
    app, asked = Flask("bridged"), []
    app.before_request(lambda: asked.append(True))
    connection = Connection()
    connection.send_body(b"half", more=True)
    connection.disconnect()

    await connection.run(FlaskToAsgi(app))

    assert (asked, connection.sent) == ([], [])


async def test_disconnect_after_the_answer_cancels_nothing(connection: Connection) -> None:
    """What runs after the last byte, like call_on_close, is not disturbed."""
    app, done = Flask("bridged"), []

    @app.get("/")
    async def view() -> Any:
        response = app.make_response("all")

        def linger() -> None:
            connection.disconnect()
            await_(asyncio.sleep(0.005))
            done.append(True)

        response.call_on_close(linger)
        return response

    await connection.run(FlaskToAsgi(app))

    assert done == [True]


async def test_cancellation_from_outside_is_not_swallowed(connection: Connection) -> None:
    """A server that cancels the request sees it cancelled."""
    app, waiting = Flask("bridged"), asyncio.Event()

    @app.get("/")
    async def view() -> str:
        waiting.set()
        await asyncio.Event().wait()
        return "never"

    serving = asyncio.create_task(connection.run(FlaskToAsgi(app)))
    await until(waiting)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving

    assert serving.cancelled()


async def test_view_that_outlives_its_cancellation_leaves_a_clean_task(connection: Connection) -> None:
    """A view that catches the cancellation and continues ends well, with nothing pending in the server."""
    app, waiting = Flask("bridged"), asyncio.Event()

    @app.get("/")
    async def view() -> str:
        waiting.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
        return "all the same"

    async def serve() -> int:
        await connection.run(FlaskToAsgi(app))
        await asyncio.sleep(0)
        task = asyncio.current_task()
        return task.cancelling() if task else -1

    serving = asyncio.create_task(serve())
    await until(waiting)
    connection.disconnect()

    assert await serving == 0
