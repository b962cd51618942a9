"""Responses that are streamed, through the gateway of the local cloud."""

import itertools
import json
import time
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

from tests.e2e.running import Create, RunningCloud

APP = """
    import asyncio, time
    from flask import Flask, Response
    from decant.web import lambda_handler, stream

    app = Flask(__name__)
    events = []

    @app.get("/counted")
    def counted():
        return (f"{number:03}" + "x" * 10_000 + "\\n" for number in range(1000))

    @app.get("/held")
    async def held():
        async def chunks():
            try:
                yield "first"
                await asyncio.sleep(3600)
            finally:
                events.append("closed")
        return stream(chunks())

    @app.get("/breaks")
    def breaks():
        def chunks():
            yield "first"
            raise ValueError("broken")
        return chunks()

    @app.get("/cookies")
    def cookies():
        response = Response(iter(["text"]), 201)
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    @app.get("/events")
    def seen():
        return events

    handler = lambda_handler(app, streaming=True)
"""
LIMIT_S = 60
FUNCTIONS = "arn:aws:apigateway:us-east-1:lambda:path/2021-11-15/functions"


@pytest.fixture
def api(local_cloud: RunningCloud, create: Create, shared_layer: str) -> Iterator[httpx.Client]:
    """A client of an API whose only function streams."""
    variables = {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/stream-responses", "STAGE": "local"}
    name = create(APP, Layers=[shared_layer], Environment={"Variables": variables}, Timeout=LIMIT_S, MemorySize=128)
    integration = {
        "type": "aws_proxy",
        "httpMethod": "POST",
        "uri": f"{FUNCTIONS}/arn:aws:lambda:us-east-1:000000000000:function:{name}/response-streaming-invocations",
        "responseTransferMode": "STREAM",
    }
    path = {"x-amazon-apigateway-any-method": {"x-amazon-apigateway-integration": integration, "responses": {}}}
    document = {"openapi": "3.0.1", "info": {"title": name, "version": "1"}, "paths": {"/{path+}": path}}
    gateway = local_cloud.client("apigateway")
    made = gateway.import_rest_api(body=json.dumps(document).encode())
    gateway.create_deployment(restApiId=made["id"], stageName="test")
    with httpx.Client(base_url=f"{local_cloud.url}/_aws/execute-api/{made['id']}/test", timeout=LIMIT_S) as client:
        yield client
    gateway.delete_rest_api(restApiId=made["id"])


def test_first_chunk_arrives_before_the_last_is_made(api: httpx.Client) -> None:
    """The generator still waits when the client reads its first chunk; its end comes with the client's disconnect."""
    with api.stream("GET", "/held") as response:
        first = next(response.iter_text())
        assert (response.status_code, first) == (200, "first")

    deadline = time.monotonic() + LIMIT_S
    while api.get("/events").json() != ["closed"]:
        assert time.monotonic() < deadline


def test_slow_reader_gets_all_chunks_in_order(api: httpx.Client) -> None:
    """A thousand of them, 10 MB, more than all buffers hold."""
    lines = []
    with api.stream("GET", "/counted") as response:
        for line in response.iter_lines():
            lines.append(line[:3])
            if len(lines) % 100 == 0:
                time.sleep(0.05)  # the reader is slow

    assert lines == [f"{number:03}" for number in range(1000)]


def test_error_within_a_response_closes_the_connection(api: httpx.Client) -> None:
    """The client detects that the response is incomplete."""
    with api.stream("GET", "/breaks") as response:
        parts = response.iter_text()
        assert next(parts) == "first"
        with pytest.raises(httpx.RemoteProtocolError):
            next(parts)


def test_status_and_repeated_headers_arrive(api: httpx.Client) -> None:
    """They are in the metadata before the body."""
    response = api.get("/cookies")

    assert (response.status_code, response.text) == (201, "text")
    assert [each.partition(";")[0] for each in response.headers.get_list("set-cookie")] == ["a=1", "b=2"]


def test_head_has_no_body(api: httpx.Client) -> None:
    """And 404 is a problem document, as without streaming."""
    assert api.head("/counted").content == b""
    assert api.get("/unknown").json()["status"] == 404


def test_events_of_a_task_end_with_its_success(local_cloud: RunningCloud) -> None:
    """The states arrive in order, each once."""
    with httpx.Client(base_url=local_cloud.api_url, timeout=120) as client:
        task_id = client.post("/start-task", json={"seconds": 1}).json()["task_id"]
        with client.stream("GET", f"/tasks/{task_id}/events") as response:
            data = [json.loads(line[6:]) for line in response.iter_lines() if line.startswith("data: ")]

    states = [state for state, _ in itertools.groupby(each["state"] for each in data)]
    assert response.headers["content-type"] == "text/event-stream"
    assert states in (["PENDING", "STARTED", "SUCCESS"], ["STARTED", "SUCCESS"], ["PENDING", "SUCCESS"], ["SUCCESS"])
    assert data[-1]["result"] == "Task Complete"


def test_events_of_an_unknown_task_are_a_problem(local_cloud: RunningCloud) -> None:
    """Before the stream begins, the view can respond with any status."""
    response = httpx.get(f"{local_cloud.api_url}/tasks/{uuid4()}/events", timeout=120)

    assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")
