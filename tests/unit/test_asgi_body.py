"""The request's body on its way in: in memory, in a file, or not at all."""

import tracemalloc
from typing import Any

import httpx
import pytest
from flask import Flask, request
from werkzeug.exceptions import RequestEntityTooLarge

from decant.asgi import FlaskToAsgi
from decant.asgi.request import ClientDisconnected, read_body
from tests.bridging import Connection, Message, client, scope

LIMIT = 8 * 1024 * 1024


def sent(*pieces: bytes, **changes: Any) -> Connection:
    """A connection over which the body comes in these pieces."""
    connection = Connection(scope(**changes))
    for number, piece in enumerate(pieces, start=1):
        connection.send_body(piece, more=number < len(pieces))
    return connection


@pytest.mark.parametrize("pieces", [[b""], [b"all"], [b"a", b"", b"ll"]], ids=["empty", "at once", "in chunks"])
async def test_body_is_read_to_its_end(pieces: list[bytes]) -> None:
    """The stream stands at its beginning, and the length is the real one."""
    connection = sent(*pieces)

    stream, length = await read_body(connection.scope, connection._incoming.get, LIMIT)

    with stream:
        assert (stream.read(), length) == (b"".join(pieces), len(b"".join(pieces)))


async def test_body_that_is_large_goes_into_a_file() -> None:
    """Memory holds no more than a part of it."""
    connection = sent(*[b"x" * 500_000] * 5)

    stream, length = await read_body(connection.scope, connection._incoming.get, LIMIT)

    with stream:
        assert stream.fileno() > 0
        assert length == 2_500_000


async def test_body_over_the_limit_is_read_and_dropped() -> None:
    """The client gets to the end of it, and to its answer; who reads it here gets the 413."""
    connection = sent(*[b"x" * 500] * 10)

    stream, length = await read_body(connection.scope, connection._incoming.get, 1000)

    assert (connection._incoming.qsize(), length) == (0, 5000)
    with pytest.raises(RequestEntityTooLarge, match="at most 1000 bytes"):
        stream.read()


async def test_body_over_the_limit_is_not_held_in_memory() -> None:
    """What is dropped is dropped as it comes."""
    pieces = iter(range(60))

    async def upload() -> Message:
        return {"type": "http.request", "body": bytes(2**20), "more_body": next(pieces) < 59}

    tracemalloc.start()
    _, length = await read_body(scope(), upload, 1000)
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert length == 60 * 2**20
    assert most_bytes < 4 * 2**20


async def test_body_without_end_is_let_go() -> None:
    """Reading ends at a limit."""
    asked = 0

    async def endless() -> Message:
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": b"x" * 1_000_000, "more_body": True}

    await read_body(scope(), endless, 1000)

    assert asked == 68


async def test_body_that_is_announced_too_large_is_not_sent_for() -> None:
    """A client that asks before it sends is refused at once."""
    connection = sent(b"x", headers=[(b"content-length", b"5000"), (b"expect", b"100-continue")])

    await read_body(connection.scope, connection._incoming.get, 1000)

    assert connection._incoming.qsize() == 1


async def test_body_cut_off_is_told_from_one_that_ended() -> None:
    """A disconnect is no end of the body."""
    connection = Connection()
    connection.send_body(b"half", more=True)
    connection.disconnect()

    with pytest.raises(ClientDisconnected):
        await read_body(connection.scope, connection._incoming.get, LIMIT)


@pytest.fixture
def app() -> Flask:
    """An app with a hook, a view that does not read the body, and a view that does."""
    made = Flask("bridged")
    made.config["ran"] = []
    made.add_url_rule("/", "view", lambda: [made.config["ran"].append("view")], methods=["POST"])
    made.add_url_rule("/read", "read", lambda: request.data, methods=["POST"])
    made.after_request(lambda response: (response.headers.add("X-Hook", "ran"), response)[1])
    return made


@pytest.mark.parametrize("view_threads", [0, 4], ids=["on the loop", "sync views in threads"])
@pytest.mark.parametrize("path", ["/", "/read", "/none"])
async def test_request_over_the_limit_is_answered_413(app: Flask, view_threads: int, path: str) -> None:
    """No view runs, whether it would have read the body or not; the app's hooks do."""
    async with client(app, body_limit_bytes=1000, view_threads=view_threads) as http:
        answer = await http.post(path, content=b"x" * 1001)

    assert (answer.status_code, answer.headers["x-hook"]) == (413, "ran")
    assert app.config["ran"] == []


async def test_request_at_the_limit_is_taken(app: Flask) -> None:
    """The limit itself is allowed."""
    async with client(app, body_limit_bytes=1000) as http:
        answer = await http.post("/read", content=b"x" * 1000)

    assert answer.content == b"x" * 1000


async def test_limit_is_the_setting_by_default(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """BODY_LIMIT_BYTES holds for a bridge without a limit of its own."""
    monkeypatch.setenv("BODY_LIMIT_BYTES", "10")
    application: Any = FlaskToAsgi(app)
    transport = httpx.ASGITransport(application)

    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as http:
        answer = await http.post("/read", content=b"x" * 11)

    assert answer.status_code == 413


async def test_error_handler_answers_the_413(app: Flask) -> None:
    """A 413 of the bridge is an error like any other to the app."""
    app.register_error_handler(413, lambda error: (f"custom: {error.description}", 413))

    async with client(app, body_limit_bytes=1) as http:
        answer = await http.post("/", content=b"xx")

    assert answer.text == "custom: The body may be at most 1 bytes."
