"""Answers in pieces: generators, async iterables, files, and that each is closed."""

import asyncio
import threading
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, request, send_file, session, stream_with_context

from decant.asgi import FlaskToAsgi, stream
from tests.bridging import Connection, Message, client, get, scope

both = pytest.mark.parametrize("view_threads", [0, 4], ids=["on the loop", "sync views in threads"])


@pytest.fixture
def app() -> Flask:
    """An app with a session."""
    made = Flask("bridged")
    made.secret_key = "for tests"
    return made


@both
async def test_generator_answers_chunk_by_chunk(app: Flask, view_threads: int) -> None:
    """Each chunk is a message of its own, and the last one is marked."""
    app.add_url_rule("/", "view", lambda: iter(["one", "two"]))
    connection = Connection()
    connection.send_body()

    await connection.run(FlaskToAsgi(app, view_threads=view_threads))

    bodies = [(message["body"], message["more_body"]) for message in connection.sent[1:]]
    assert bodies == [(b"one", True), (b"two", True), (b"", False)]


@both
async def test_stream_with_context_keeps_request_and_session(app: Flask, view_threads: int) -> None:
    """The generator of a sync or async view reads request and session after the view returned."""

    def chunks() -> Iterator[str]:
        yield request.path
        yield session["word"]

    def sync_view() -> Any:
        session["word"] = "sync"
        return stream_with_context(chunks())

    @app.get("/async")
    async def async_view() -> Any:
        await asyncio.sleep(0)
        session["word"] = "async"
        return stream_with_context(chunks())

    app.add_url_rule("/sync", "sync", sync_view)

    answers = [(await get(app, path, view_threads=view_threads)).text for path in ("/sync", "/async")]

    assert answers == ["/syncsync", "/asyncasync"]


async def test_generator_of_a_sync_view_runs_in_threads(app: Flask) -> None:
    """Under a server a slow generator does not run on the loop's thread."""
    app.add_url_rule("/", "view", lambda: (threading.current_thread().name for _ in range(2)))

    answer = await get(app, view_threads=1)

    assert answer.text == "decant-view_0" * 2


async def test_async_iterable_answers_as_stream(app: Flask) -> None:
    """stream() makes an async generator an answer, with the request at hand inside stream_with_context."""

    async def chunks() -> AsyncIterator[str]:
        for number in range(3):
            await asyncio.sleep(0)
            yield f"{request.path}{number} "

    @app.get("/n")
    async def view() -> Any:
        return stream_with_context(stream(chunks())), {"Content-Type": "text/csv"}

    answer = await get(app, "/n")

    assert (answer.text, answer.headers["content-type"]) == ("/n0 /n1 /n2 ", "text/csv")


@both
async def test_next_chunk_waits_until_the_last_was_taken(app: Flask, view_threads: int) -> None:
    """A slow client holds the generator back: nothing piles up."""
    made: list[int] = []

    def chunks() -> Iterator[str]:
        for number in range(100):
            made.append(number)
            yield str(number)

    app.add_url_rule("/", "view", chunks)
    connection = Connection()
    connection.send_body()
    connection.accepts.clear()

    serving = asyncio.create_task(connection.run(FlaskToAsgi(app, view_threads=view_threads)))
    while not connection.sent:  # noqa: ASYNC110  # sent by a worker thread
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.02)
    made_while_slow = list(made)
    connection.accepts.set()
    await serving

    assert (made_while_slow, len(made)) == ([0], 100)


async def test_gigabyte_to_a_slow_client_leaves_memory_flat(app: Flask) -> None:
    """Of its chunks, each new, none is kept but the one on its way."""
    app.add_url_rule("/", "view", lambda: (bytes(2**20) for _ in range(1024)))
    connection = Connection()
    connection.send_body()
    taken_bytes = 0

    async def take(message: Message) -> None:
        nonlocal taken_bytes
        await asyncio.sleep(0)
        taken_bytes += len(message.get("body", b""))

    tracemalloc.start()
    await FlaskToAsgi(app, view_threads=0)(connection.scope, connection._incoming.get, take)
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert taken_bytes == 2**30
    assert most_bytes < 3 * 2**20


async def test_stream_gives_other_requests_their_turn(app: Flask) -> None:
    """A long generator and a server that always takes at once do not starve the loop."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def chunks() -> Iterator[str]:
        for _ in range(10):
            time.sleep(0.002)
            yield "x"

    @app.get("/")
    async def view() -> Any:
        return chunks()

    connection = Connection()
    connection.send_body()
    counting = asyncio.create_task(count())

    await connection.run(FlaskToAsgi(app))

    counting.cancel()
    assert turns >= 10


@both
@pytest.mark.parametrize("path", ["/whole", "/broken"])
async def test_close_runs_generator_and_callbacks(app: Flask, view_threads: int, path: str) -> None:
    """However the stream ends, its finally and call_on_close run."""
    closed: list[str] = []

    def chunks() -> Iterator[str]:
        try:
            yield "one"
            if request.path == "/broken":
                raise KeyError("half way")
        finally:
            closed.append("generator")

    def view() -> Response:
        response = Response(stream_with_context(chunks()))
        response.call_on_close(lambda: closed.append("callback"))
        return response

    app.add_url_rule(path, "view", view)
    connection = Connection(scope(path=path))
    connection.send_body()

    if path == "/broken":
        with pytest.raises(KeyError):
            await connection.run(FlaskToAsgi(app, view_threads=view_threads))
    else:
        await connection.run(FlaskToAsgi(app, view_threads=view_threads))

    assert closed == ["generator", "callback"]
    assert connection.body == b"one"


@both
async def test_file_answers_whole_and_in_ranges(app: Flask, view_threads: int, tmp_path: Path) -> None:
    """send_file of more than one block, of a range, and of a range that is none."""
    file = tmp_path / "numbers"
    file.write_bytes(content := bytes(range(256)) * 3000)
    app.add_url_rule("/", "view", lambda: send_file(file))

    async with client(app, view_threads=view_threads) as http:
        whole = await http.get("/")
        part = await http.get("/", headers={"Range": "bytes=500000-500009"})
        none = await http.get("/", headers={"Range": "bytes=9999999-"})

    assert whole.content == content
    assert (part.status_code, part.content) == (206, content[500000:500010])
    assert none.status_code == 416


@pytest.mark.parametrize("status", [200, 204, 304])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_body_is_left_out_where_http_has_none(status: int, method: str) -> None:
    """HEAD, 204 and 304 end with the head, for all that a WSGI middleware yields; its close() runs."""
    app, closed = Flask("bridged"), []

    class Body(list[bytes]):
        def close(self) -> None:
            closed.append(True)

    def answer(_environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response(f"{status} Text", [("X-Kept", "yes")])
        return Body([b"not ", b"sent"])

    app.wsgi_app = answer  # type: ignore[assignment,method-assign]  # as in Flask's documentation
    connection = Connection(scope(method=method))
    connection.send_body()

    await connection.run(FlaskToAsgi(app))

    assert connection.body == (b"not sent" if (status, method) == (200, "GET") else b"")
    assert connection.sent[-1]["more_body"] is False
    assert closed == [True]


async def test_head_of_a_view_keeps_its_headers(app: Flask) -> None:
    """HEAD answers the length that GET would have."""
    app.add_url_rule("/", "view", lambda: "four")

    async with client(app) as http:
        answer = await http.head("/")

    assert (answer.headers["content-length"], answer.content) == ("4", b"")


@both
async def test_upload_arrives_in_chunks_and_whole(app: Flask, view_threads: int) -> None:
    """A multipart upload larger than what is held in memory reaches request.files."""
    content = b"decant" * 600_000

    @app.post("/")
    async def view() -> dict[str, Any]:
        await asyncio.sleep(0)
        upload = request.files["file"]
        return {"same": upload.read() == content, "name": upload.filename, "field": request.form["field"]}

    async with client(app, view_threads=view_threads) as http:
        files = {"file": ("wine.bin", BytesIO(content))}
        answer = await http.post("/", files=files, data={"field": "red"})

    assert answer.json() == {"same": True, "name": "wine.bin", "field": "red"}
