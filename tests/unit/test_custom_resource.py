"""What CloudFormation hears from a function behind a custom resource."""

import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest

from decant import custom_resource


class Ear(BaseHTTPRequestHandler):
    """The address that an answer is put at; it fails as often as it is told to."""

    heard: ClassVar[list[tuple[str | None, dict[str, Any]]]] = []
    failures: ClassVar[int] = 0

    def do_PUT(self) -> None:  # http.server's name
        """Keep the answer, or fail."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if type(self).failures:
            type(self).failures -= 1
            self.send_error(503)
            return
        self.heard.append((self.headers["Content-Type"], body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    """Where CloudFormation listens."""
    Ear.heard.clear()
    Ear.failures = 0
    server = HTTPServer(("127.0.0.1", 0), Ear)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/answer"
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
    """Work that goes well."""
    return {"to": properties["Schema"]}


async def fail(_properties: Mapping[str, Any]) -> dict[str, Any]:
    """Work that goes wrong, at length."""
    raise LookupError("x" * 5000)


@pytest.mark.parametrize("kind", ["Create", "Update"])
async def test_answer_tells_of_success(url: str, kind: str) -> None:
    """The attributes that the work returned are the resource's."""
    await custom_resource.answer(request(url, kind), succeed)

    [(content_type, told)] = Ear.heard
    assert content_type == ""
    assert told == {
        "Status": "SUCCESS",
        "PhysicalResourceId": "Migration",
        "StackId": "arn:stack",
        "RequestId": "1",
        "LogicalResourceId": "Migration",
        "Data": {"to": "0002"},
    }


async def test_answer_tells_of_failure(url: str) -> None:
    """An error's name and text are the reason, in as many words as CloudFormation takes."""
    await custom_resource.answer(request(url, "Update"), fail)

    [(_, told)] = Ear.heard
    assert told["Status"] == "FAILED"
    assert told["Reason"].startswith("LookupError: xxx")
    assert len(json.dumps(told)) < 4096


async def test_answer_to_a_delete_needs_no_work(url: str) -> None:
    """A stack goes away also when the work would fail now."""
    await custom_resource.answer(request(url, "Delete"), fail)

    [(_, told)] = Ear.heard
    assert told["Status"] == "SUCCESS"


async def test_answer_keeps_the_resource_the_same(url: str) -> None:
    """Another id would make CloudFormation delete what it takes for the old resource."""
    await custom_resource.answer(request(url, "Update", PhysicalResourceId="kept"), succeed)

    [(_, told)] = Ear.heard
    assert told["PhysicalResourceId"] == "kept"


async def test_answer_is_put_again_when_nobody_took_it(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """CloudFormation that does not hear waits in vain."""
    monkeypatch.setattr(custom_resource, "_WAITS_S", (0, 0))
    Ear.failures = 2

    await custom_resource.answer(request(url, "Create"), succeed)

    assert len(Ear.heard) == 1


async def test_answer_that_nobody_takes_is_an_error(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the log says so, and CloudFormation gives up by itself."""
    monkeypatch.setattr(custom_resource, "_WAITS_S", (0, 0))
    Ear.failures = 3

    with pytest.raises(OSError, match="503"):
        await custom_resource.answer(request(url, "Create"), succeed)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        pytest.param({}, False, id="invoked by hand"),
        pytest.param({"RequestType": "Create", "ResponseURL": "https://…"}, True, id="CloudFormation"),
    ],
)
def test_asks_knows_cloudformation(event: dict[str, Any], *, expected: bool) -> None:
    """The same function serves both."""
    assert custom_resource.asks(event) is expected
