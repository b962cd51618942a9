"""Every exception of the application becomes a logged 500; requests from outside to end propagate."""

import asyncio
import json
import subprocess
import sys
import textwrap
from typing import Any

import pytest
from flask import Flask

from decant import runtime
from decant.asgi import await_
from decant.web import asgi_app, lambda_handler
from tests.bridging import Connection, client, communicator
from tests.loading import Context, rest_request

pytestmark = pytest.mark.usefixtures("kept_logs")


class OwnBaseException(BaseException):
    """An exception that no `except Exception` catches."""


def raising(error: BaseException | None) -> Flask:
    """An app whose views raise; None calls sys.exit()."""
    app = Flask("raising")

    def fail() -> Any:
        if error is None:
            sys.exit(3)
        raise error

    async def fail_later() -> Any:
        await asyncio.sleep(0)
        fail()

    app.add_url_rule("/sync", "sync", fail)
    app.add_url_rule("/async", "async", fail_later)
    app.add_url_rule("/ok", "ok", lambda: "ok")
    return app


ERRORS = [None, asyncio.CancelledError(), OwnBaseException()]


@pytest.mark.parametrize("path", ["/sync", "/async"])
@pytest.mark.parametrize("error", ERRORS, ids=["sys.exit", "CancelledError", "own BaseException"])
def test_lambda_logs_and_responds_500(error: BaseException | None, path: str, caplog: pytest.LogCaptureFixture) -> None:
    """The problem document has the correlation id, and the process serves the next event."""
    handler = lambda_handler(raising(error))

    response = handler(rest_request(path, X_Correlation_Id="abc"), Context())
    later = handler(rest_request("/ok"), Context())

    assert (response["statusCode"], response["headers"]["content-type"]) == (500, "application/problem+json")
    assert json.loads(response["body"])["instance"] == "abc"
    assert sum(record.exc_info is not None for record in caplog.records) == 1
    assert later["statusCode"] == 200


def test_exit_in_a_task_of_the_view_responds_500(caplog: pytest.LogCaptureFixture) -> None:
    """sys.exit() in a task that the view started does not end the Lambda runtime."""
    app = raising(None)

    @app.get("/task")
    async def view() -> str:
        async def leave() -> None:
            await asyncio.sleep(0)
            sys.exit(3)

        await asyncio.create_task(leave())
        return "never"

    handler = lambda_handler(app)

    response, later = handler(rest_request("/task"), Context()), handler(rest_request("/ok"), Context())

    assert (response["statusCode"], later["statusCode"]) == (500, 200)
    assert "Request failed outside Flask's error handling" in caplog.text


@pytest.mark.parametrize("path", ["/sync", "/async"])
@pytest.mark.parametrize("error", ERRORS, ids=["sys.exit", "CancelledError", "own BaseException"])
async def test_server_logs_and_responds_500(
    error: BaseException | None, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Behind a server too, in a worker thread and on the loop."""
    async with client(asgi_app(raising(error))) as http:
        response = await http.get(path, headers={"X-Correlation-Id": "abc"})
        later = await http.get("/ok")

    assert (response.status_code, response.headers["content-type"]) == (500, "application/problem+json")
    assert response.json()["instance"] == "abc"
    assert sum(record.exc_info is not None for record in caplog.records) == 1
    assert later.status_code == 200


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync view", "async view"])
async def test_cancellation_of_the_task_propagates(*, asynchronous: bool) -> None:
    """A server that cancels a request's task gets its CancelledError."""
    app, waiting = Flask("waiting"), asyncio.Event()

    async def wait() -> str:
        waiting.set()
        await asyncio.Event().wait()
        return "never"

    app.add_url_rule("/", "view", wait if asynchronous else lambda: await_(wait()))
    connection = Connection()
    connection.send_body()

    serving = asyncio.create_task(connection.run(asgi_app(app)))
    await waiting.wait()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving

    assert connection.sent == []


@pytest.mark.parametrize("path", ["/sync", "/async"])
def test_interrupt_of_the_process_propagates(path: str) -> None:
    """A real SIGINT ends the handler with KeyboardInterrupt, logs nothing, and the next event is served.

    In a process of its own: Python ignores an interrupt that arrives in a finalizer, such as another test's app.
    """
    program = """
        import asyncio, gc, signal, sys
        from flask import Flask
        from decant.web import lambda_handler
        from tests.loading import Context, rest_request

        app = Flask("interrupted")

        @app.get("/sync")
        def interrupt():
            signal.raise_signal(signal.SIGINT)
            return "not interrupted"

        @app.get("/async")
        async def interrupt_later():
            await asyncio.sleep(0)
            return interrupt()

        app.add_url_rule("/ok", "ok", lambda: "ok")
        handler = lambda_handler(app)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        gc.disable()
        try:
            response = handler(rest_request(sys.argv[1]), Context())
        except KeyboardInterrupt:
            gc.collect()  # a task logs an exception that was never retrieved when it is collected
            response = handler(rest_request("/ok"), Context())
        print(response["body"])
    """
    command = [sys.executable, "-c", textwrap.dedent(program), path]
    process = subprocess.run(command, capture_output=True, text=True, check=True)

    assert (process.stdout, process.stderr) == ("ok\n", "")


async def test_wrapping_an_app_twice_works_after_it_has_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second adapter adds no handler a second time, which Flask would refuse."""
    monkeypatch.setenv("CORS_ORIGIN", "https://shop.example")
    runtime.current().reload()
    app = Flask("twice")
    app.add_url_rule("/", "view", lambda: "ok")

    responses = []
    for _ in range(2):
        async with client(asgi_app(app)) as http:
            responses.append(await http.get("/"))
            responses.append(await http.get("/none"))

    assert [response.status_code for response in responses] == [200, 404, 200, 404]
    assert {response.headers["access-control-allow-origin"] for response in responses} == {"https://shop.example"}


async def test_second_lifespan_serves_like_the_first() -> None:
    """A server that starts the application again, as tests do, finds working threads."""
    app = Flask("lifespans")
    app.add_url_rule("/", "view", lambda: "ok")
    application = asgi_app(app)

    statuses = []
    for _ in range(2):
        lifespan = communicator(application, {"type": "lifespan", "asgi": {"version": "3.0"}})
        await lifespan.send_input({"type": "lifespan.startup"})
        assert await lifespan.receive_output() == {"type": "lifespan.startup.complete"}
        async with client(application) as http:
            statuses.append((await http.get("/")).status_code)
        await lifespan.send_input({"type": "lifespan.shutdown"})
        assert await lifespan.receive_output() == {"type": "lifespan.shutdown.complete"}

    assert statuses == [200, 200]


@pytest.mark.parametrize("way", ["lambda", "server"])
async def test_error_outside_of_flask_has_cors_headers(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A web page of the configured origin can read the 500."""
    monkeypatch.setenv("CORS_ORIGIN", "https://shop.example")
    runtime.current().reload()
    app = raising(OwnBaseException())

    if way == "lambda":
        handler = lambda_handler(app)
        headers: Any = (await asyncio.to_thread(handler, rest_request("/sync"), Context()))["headers"]
    else:
        async with client(asgi_app(app)) as http:
            headers = (await http.get("/sync")).headers

    assert (headers["access-control-allow-origin"], headers["vary"]) == ("https://shop.example", "Origin")
