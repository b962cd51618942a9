"""The app for an ASGI server: correlation ids and what gets past Flask."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, Response

from decant import observability
from decant.web import asgi_app
from tests.bridging import Connection, client, scope

pytestmark = pytest.mark.usefixtures("kept_logs")


@pytest.fixture
def app() -> Flask:
    """An app that responds with its correlation id, from a sync and an async view."""
    made = Flask("served")
    made.add_url_rule("/sync", "sync", lambda: str(observability.correlation_id()))

    @made.get("/async")
    async def view() -> str:
        await asyncio.sleep(0)
        return str(observability.correlation_id())

    return made


def failing(_environ: Any, _start_response: Any) -> Any:
    """A middleware that fails before Flask is asked."""
    raise KeyError("secret")


async def ask(app: Flask, path: str, **headers: str) -> Any:
    """GET a path of the served app."""
    async with client(asgi_app(app)) as http:
        return await http.get(path, headers=headers)


@pytest.mark.parametrize("path", ["/sync", "/async"])
async def test_correlation_id_of_the_caller_is_kept(app: Flask, path: str) -> None:
    """Bound in the view, also in a thread, and answered."""
    answer = await ask(app, path, **{"X-Correlation-Id": "caller-1"})

    assert answer.text == answer.headers["x-correlation-id"] == "caller-1"


@pytest.mark.parametrize("given", ["", "with space", "x" * 129])
async def test_correlation_id_that_is_not_sane_is_replaced(app: Flask, given: str) -> None:
    """By a new one."""
    answer = await ask(app, "/async", **{"X-Correlation-Id": given})

    assert answer.headers["x-correlation-id"] == answer.text != given
    assert len(answer.text) == 36


async def test_correlation_ids_of_requests_differ(app: Flask) -> None:
    """Each request without one gets its own."""
    answers = await asyncio.gather(*(ask(app, "/async") for _ in range(10)))

    assert len({answer.text for answer in answers}) == 10


async def test_error_that_flask_lets_through_is_an_opaque_500(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    """A middleware's error becomes a problem too, logged once under the id that is answered."""
    app.wsgi_app = failing  # type: ignore[assignment,method-assign]  # as in Flask's documentation

    answer = await ask(app, "/")

    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert answer.json()["instance"] == answer.headers["x-correlation-id"]
    assert "secret" not in answer.text
    assert len(caplog.records) == 1


async def test_error_that_flask_lets_through_has_no_body_for_head(app: Flask) -> None:
    """An opaque 500 is an answer like any other."""
    app.wsgi_app = failing  # type: ignore[assignment,method-assign]
    connection = Connection(scope(method="HEAD"))
    connection.send_body()

    await connection.run(asgi_app(app))

    assert (connection.sent[0]["status"], connection.body) == (500, b"")


async def test_error_half_way_through_a_stream_leaves_it_unfinished(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    """The client must not take half for the whole; the log has the error once."""

    def chunks() -> Iterator[str]:
        yield "half"
        raise KeyError("secret")

    app.add_url_rule("/stream", "stream", lambda: Response(chunks()))
    connection = Connection(scope(path="/stream"))
    connection.send_body()

    await connection.run(asgi_app(app))

    assert (connection.body, connection.sent[-1]["more_body"]) == (b"half", True)
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [KeyError]


async def test_not_found_is_a_problem(app: Flask) -> None:
    """As in Lambda."""
    assert (await ask(app, "/nowhere")).json()["title"] == "Not Found"
