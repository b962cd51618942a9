"""The executor and the runtime loop: responses that are streamed, in real execution environments."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from decant_cloud.lambda_runtime.environment import Environment
from decant_cloud.lambda_runtime.response_stream import ResponseStream, StreamAborted
from decant_cloud.layer.wrapper import PATH
from decant_cloud.local.cloud import LAYERS
from decant_cloud.local.layer import build_local
from tests.integration.conftest import Answer, Bench
from tests.loading import rest_request

LIMIT_S = 60

APP = """
    import asyncio, time
    from pathlib import Path
    from flask import Flask, Response, request, stream_with_context
    from decant.web import lambda_handler, stream

    app = Flask(__name__)
    FOLDER = Path({folder!r})
    closed = []

    @app.get("/closed")
    def closed_generators():
        return closed

    @app.get("/plain")
    def plain():
        return {{"plain": True}}

    @app.get("/gated")
    def gated():
        def chunks():
            yield "first"
            while not (FOLDER / "gate").exists():
                time.sleep(0.01)
            yield "second"
        return chunks()

    @app.get("/context")
    def context():
        def chunks():
            for number in range(int(request.args["count"])):
                yield f"{{number}}\\n"
        return stream_with_context(chunks())

    @app.get("/async")
    async def asynchronous():
        async def chunks():
            for number in range(int(request.args["count"])):
                await asyncio.sleep(0)
                yield f"{{number}}\\n"
        response = Response(stream_with_context(stream(chunks())), 201, {{"X-Kind": "async"}})
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    @app.get("/waiting")
    async def waiting():
        async def chunks():
            try:
                yield "first"
                await asyncio.sleep(3600)
            finally:
                closed.append(True)
        return stream(chunks())

    @app.get("/endless")
    def endless():
        def chunks():
            try:
                while True:
                    yield b"x" * 65536
            finally:
                closed.append(True)
        return chunks()

    @app.get("/large")
    def large():
        return (b"x" * 65536 for _ in range(1600))

    @app.get("/fails")
    def fails():
        raise ValueError("before the response")

    @app.get("/fails-late")
    def fails_late():
        def chunks():
            yield "first"
            raise ValueError("within the response")
        return chunks()

    @app.get("/exits")
    def exits():
        import os
        def chunks():
            yield "first"
            while not (FOLDER / "gate").exists():
                time.sleep(0.01)
            os._exit(3)
        return chunks()

    handler = lambda_handler(app, streaming=True)
"""


@pytest.fixture(scope="module")
def layer() -> Path:
    """The shared layer."""
    return build_local(LAYERS)["SharedLayer"]


@pytest.fixture
def streaming(bench: Bench, layer: Path) -> Environment:
    """An environment of a function that streams."""
    return start(bench, layer)


def start(bench: Bench, layer: Path, **settings: Any) -> Environment:
    """Start an environment of a function that streams."""
    variables = {"AWS_REGION": "us-east-1", "AWS_LAMBDA_EXEC_WRAPPER": PATH}
    source = APP.format(folder=str(bench.task))
    return bench.start(source, **{"layers": [layer], "variables": variables, "timeout_s": LIMIT_S, **settings})


class Client:
    """What a client of one streamed response sees."""

    def __init__(self, stream: ResponseStream) -> None:
        self.stream = stream
        self._head = b""

    def read(self) -> bytes:
        """The next part; empty at the end."""
        deadline = time.monotonic() + LIMIT_S
        while (part := self.stream.take(1)) is None:
            assert time.monotonic() < deadline
        return part

    def parts(self) -> Iterator[bytes]:
        """All parts."""
        while part := self.read():
            yield part

    def everything(self) -> tuple[dict[str, Any], bytes]:
        """Metadata and body."""
        metadata, _, body = b"".join(self.parts()).partition(bytes(8))
        return json.loads(metadata), body


@contextmanager
def requested(
    bench: Bench, environment: Environment, path: str, query: str = ""
) -> Iterator[tuple[Client, Future[Answer]]]:
    """Request a path, and read the response while it is made."""
    stream = ResponseStream()
    event = rest_request(path)
    if query:
        name, _, value = query.partition("=")
        event |= {"multiValueQueryStringParameters": {name: [value]}}

    def invoke() -> Answer:
        try:
            return bench.invoke(environment, event, stream=stream)
        finally:
            stream.end(is_complete=False)

    with ThreadPoolExecutor(1) as threads:
        try:
            yield Client(stream), threads.submit(invoke)
        finally:
            stream.close()


def test_chunk_arrives_before_the_next_is_made(bench: Bench, streaming: Environment) -> None:
    """The client has the first chunk while the generator waits for it."""
    with requested(bench, streaming, "/gated") as (client, answer):
        first = client.read()
        (bench.task / "gate").touch()
        rest = b"".join(client.parts())

        assert first.endswith(bytes(8) + b"first")
        assert rest == b"second"
        assert not answer.result().outcome.is_error


@pytest.mark.parametrize("path", ["/context", "/async"])
def test_chunks_arrive_in_order(bench: Bench, streaming: Environment, path: str) -> None:
    """Generators with the request's context, synchronous and asynchronous."""
    with requested(bench, streaming, path, "count=1000") as (client, _answer):
        _metadata, body = client.everything()

    assert body == b"".join(b"%d\n" % number for number in range(1000))


def test_metadata_has_status_headers_and_cookies(bench: Bench, streaming: Environment) -> None:
    """Repeated headers too; the correlation id is that of the gateway's request."""
    with requested(bench, streaming, "/async", "count=1") as (client, _answer):
        metadata, _body = client.everything()

    assert metadata["statusCode"] == 201
    assert metadata["headers"]["x-kind"] == "async"
    assert metadata["headers"]["x-correlation-id"] == rest_request("/")["requestContext"]["requestId"]
    assert [each.partition(";")[0] for each in metadata["multiValueHeaders"]["set-cookie"]] == ["a=1", "b=2"]


def test_environment_serves_again(bench: Bench, streaming: Environment) -> None:
    """One process serves several responses, streamed and whole."""
    bodies = []
    for path in ("/plain", "/context", "/plain"):
        with requested(bench, streaming, path, "count=2") as (client, _answer):
            bodies.append(client.everything()[1])

    assert bodies == [b'{"plain":true}\n', b"0\n1\n", b'{"plain":true}\n']


@pytest.mark.parametrize("path", ["/waiting", "/endless"])
def test_disconnect_closes_the_generator(bench: Bench, streaming: Environment, path: str) -> None:
    """Its `finally` runs, whether it waits or sends, and the next request is served."""
    with requested(bench, streaming, path) as (client, answer):
        client.read()
        client.stream.close()
        outcome = answer.result(LIMIT_S).outcome
    with requested(bench, streaming, "/closed") as (client, _answer):
        _metadata, body = client.everything()

    assert json.loads(body) == [True]
    assert not outcome.is_error
    assert "ERROR" not in outcome.logs


def test_reader_slows_the_function_down(bench: Bench, streaming: Environment) -> None:
    """What the client does not read is not made: the process keeps nothing beyond the sockets' buffers."""
    with requested(bench, streaming, "/large") as (client, answer):
        read = sum(len(part) for part in client.parts())

        assert read > 1600 * 65536
        assert answer.result().outcome.is_error is False
        assert streaming._runtime is not None
        assert streaming._runtime.peak_memory_bytes <= 64 * 1024 * 1024


def test_error_before_the_response_is_a_problem_document(bench: Bench, streaming: Environment) -> None:
    """As in a buffered response."""
    with requested(bench, streaming, "/fails") as (client, answer):
        metadata, body = client.everything()

        assert (metadata["statusCode"], json.loads(body)["status"]) == (500, 500)
        assert not answer.result().outcome.is_error


def test_error_within_the_response_aborts_it(bench: Bench, streaming: Environment) -> None:
    """The client detects that the response is incomplete, and the invocation has failed with the error."""
    with requested(bench, streaming, "/fails-late") as (client, answer):
        first = client.read()
        with pytest.raises(StreamAborted):
            client.read()

        assert first.endswith(b"first")
        assert answer.result().outcome.is_error
        assert answer.result().value == {"errorType": "ValueError", "errorMessage": "within the response"}


def test_crash_within_the_response_aborts_it(bench: Bench, streaming: Environment) -> None:
    """A process that ends is Runtime.ExitError, and the next request is served by a new process."""
    with requested(bench, streaming, "/exits") as (client, answer):
        client.read()
        (bench.task / "gate").touch()  # it ends once the client has the first part
        with pytest.raises(StreamAborted):
            client.read()
        failed = answer.result().value
    with requested(bench, streaming, "/plain") as (client, _answer):
        metadata, _body = client.everything()

    assert failed["errorType"] == "Runtime.ExitError"
    assert metadata["statusCode"] == 200


def test_timeout_within_the_response_aborts_it(bench: Bench, layer: Path) -> None:
    """The function's time limit also holds for a response that is being sent."""
    environment = start(bench, layer, timeout_s=6)
    with requested(bench, environment, "/waiting") as (client, answer):
        client.read()
        with pytest.raises(StreamAborted):
            client.read()

        assert answer.result().value["errorType"] == "Sandbox.Timedout"


def test_event_without_http_gets_a_whole_response(bench: Bench, layer: Path) -> None:
    """The runtime loop calls any handler; one without streaming returns its value."""
    environment = start(bench, layer)
    bench.write(
        "def handler(event, context): return [event, context.function_name, context.get_remaining_time_in_millis() > 0]"
    )

    assert bench.invoke(environment, {"a": 1}).value == [{"a": 1}, "", True]


def test_error_of_the_handler_is_reported(bench: Bench, streaming: Environment) -> None:
    """An event that is no HTTP request is the error that it is without streaming."""
    answer = bench.invoke(streaming, {"Records": []})

    assert answer.outcome.is_error
    assert answer.value["errorType"] == "TypeError"


def test_invocation_without_a_stream_gets_everything(bench: Bench, streaming: Environment) -> None:
    """Lambda's Invoke returns metadata and body in one piece, as at AWS."""
    answer = bench.invoke(streaming, rest_request("/plain"))
    metadata, _, body = answer.outcome.payload.partition(bytes(8))

    assert (json.loads(metadata)["statusCode"], body) == (200, b'{"plain":true}\n')


def test_function_that_cannot_be_imported_is_an_init_error(bench: Bench, layer: Path) -> None:
    """In AWS's words."""
    environment = start(bench, layer)
    bench.write("import no_such_module")

    answer = bench.invoke(environment)

    assert answer.value["errorType"] == "Runtime.ImportModuleError"
