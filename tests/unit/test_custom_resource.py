"""Responses of a function behind a custom resource to CloudFormation."""

import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest

from decant import custom_resource
from decant.errors import AwsUnavailable


class ResponseServer(BaseHTTPRequestHandler):
    """The ResponseURL; it responds with 503 to the first `failures` requests."""

    received: ClassVar[list[tuple[str | None, dict[str, Any]]]] = []
    failures: ClassVar[int] = 0

    def do_PUT(self) -> None:  # http.server's name
        """Keep the response, or fail."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if type(self).failures:
            type(self).failures -= 1
            self.send_error(503)
            return
        self.received.append((self.headers["Content-Type"], body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    """The ResponseURL."""
    ResponseServer.received.clear()
    ResponseServer.failures = 0
    server = HTTPServer(("127.0.0.1", 0), ResponseServer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/response"
    server.shutdown()
    thread.join()
    server.server_close()


def request(url: str, kind: str, **more: Any) -> dict[str, Any]:
    """CloudFormation's request."""
    return {
        "RequestType": kind,
        "ResponseURL": url,
        "StackId": "arn:stack",
        "RequestId": "1",
        "LogicalResourceId": "Migration",
        "ResourceProperties": {"Schema": "0002"},
        **more,
    }


async def succeed(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Work that succeeds."""
    return {"to": properties["Schema"]}


async def fail(_properties: Mapping[str, Any]) -> dict[str, Any]:
    """Work that fails with a long message."""
    raise LookupError("x" * 5000)


@pytest.mark.parametrize("kind", ["Create", "Update"])
async def test_respond_reports_success(url: str, kind: str) -> None:
    """The attributes that the work returned are the resource's."""
    await custom_resource.respond(request(url, kind), succeed)

    [(content_type, sent)] = ResponseServer.received
    assert content_type == ""
    assert sent == {
        "Status": "SUCCESS",
        "PhysicalResourceId": "Migration",
        "StackId": "arn:stack",
        "RequestId": "1",
        "LogicalResourceId": "Migration",
        "Data": {"to": "0002"},
    }


async def test_respond_reports_failure(url: str) -> None:
    """The reason is the error's name and text, within CloudFormation's limit."""
    await custom_resource.respond(request(url, "Update"), fail)

    [(_, sent)] = ResponseServer.received
    assert sent["Status"] == "FAILED"
    assert sent["Reason"].startswith("LookupError: xxx")
    assert len(json.dumps(sent)) < 4096


async def test_respond_to_a_delete_does_no_work(url: str) -> None:
    """A stack goes away also when the work would fail now."""
    await custom_resource.respond(request(url, "Delete"), fail)

    [(_, sent)] = ResponseServer.received
    assert sent["Status"] == "SUCCESS"


async def test_respond_keeps_the_physical_id(url: str) -> None:
    """Another id would make CloudFormation delete the resource as an old one."""
    await custom_resource.respond(request(url, "Update", PhysicalResourceId="kept"), succeed)

    [(_, sent)] = ResponseServer.received
    assert sent["PhysicalResourceId"] == "kept"


async def test_respond_retries_when_the_put_fails(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a response CloudFormation waits until its timeout."""
    monkeypatch.setattr(custom_resource, "_RETRY_AFTER_S", (0, 0))
    ResponseServer.failures = 2

    await custom_resource.respond(request(url, "Create"), succeed)

    assert len(ResponseServer.received) == 1


async def test_respond_raises_when_every_put_fails(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log then has the reason, and CloudFormation gives up at its timeout."""
    monkeypatch.setattr(custom_resource, "_RETRY_AFTER_S", (0, 0))
    ResponseServer.failures = 3

    with pytest.raises(AwsUnavailable) as caught:
        await custom_resource.respond(request(url, "Create"), succeed)

    assert "503" in caught.value.reason


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        pytest.param({}, False, id="invoked by hand"),
        pytest.param({"RequestType": "Create", "ResponseURL": "https://…"}, True, id="CloudFormation"),
    ],
)
def test_is_request_recognises_cloudformation(event: dict[str, Any], *, expected: bool) -> None:
    """The same function serves both."""
    assert custom_resource.is_request(event) is expected
