"""GET /fetch-data through its handler, with another service on loopback."""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from decant import runtime
from tests.loading import Response, call, event, load_function
from tests.upstream import BROKEN_ID, ERROR_ID, HANGING_UP_ID, MISSING_ID, SLOW_ID, Upstream


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    """The other service, which FETCH_DATA_URL names."""
    with Upstream() as running:
        monkeypatch.setenv("FETCH_DATA_URL", f"{running.url}/1")
        monkeypatch.setenv("HTTP_TIMEOUT_S", "4")
        runtime.current().reload()
        yield running


def fetch(query: str = "") -> Response:
    """Call the route with a query string."""
    return call(load_function("fetch_data"), event("fetch_data", query=query))


@pytest.mark.usefixtures("service")
def test_fetch_data_answers_the_configured_document() -> None:
    """Without ids the answer is the other service's."""
    answer = fetch()

    assert (answer.status, answer.json()["id"]) == (200, 1)


@pytest.mark.usefixtures("service")
def test_fetch_data_answers_ids_in_order() -> None:
    """The answer has the order of the question, whichever was quicker."""
    answer = fetch("ids=3,1,2")

    assert [(each["id"], each["data"]["id"]) for each in answer.json()] == [(3, 3), (1, 1), (2, 2)]


@pytest.mark.usefixtures("service")
def test_fetch_data_answers_the_others_when_some_fail() -> None:
    """What fails, and why, stands in its place; the rest is answered."""
    answer = fetch(f"ids=1,{MISSING_ID},{BROKEN_ID},{SLOW_ID},{HANGING_UP_ID},2")

    statuses = [each.get("error", {}).get("status", 200) for each in answer.json()]
    assert statuses == [200, 502, 502, 504, 502, 200]


def test_fetch_data_asks_for_several_at_once_but_not_all(service: Upstream) -> None:
    """The ids are fetched concurrently, ten at a time at most."""
    answer = fetch("ids=" + ",".join(map(str, range(50))))

    assert len(answer.json()) == 50
    assert 1 < service.most_at_once <= 10


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(
    "ids",
    ["", "1,", ",1", "1;2", "one", "-1", "1,,2", "9" * 30, "..", "1%2F2", ",".join(map(str, range(51)))],
)
def test_fetch_data_refuses_what_are_no_ids(ids: str) -> None:
    """A malformed list, or one too long, is a problem that names the field."""
    answer = fetch(f"ids={ids}")

    assert answer.status == 422
    assert [fault["field"] for fault in answer.json()["errors"]] == ["ids"]


@pytest.mark.parametrize(
    ("document", "status"),
    [
        (MISSING_ID, 502),  # not found there
        (ERROR_ID, 502),  # failing
        (BROKEN_ID, 502),  # no JSON
        (SLOW_ID, 504),  # too slow
    ],
)
def test_fetch_data_answers_a_gateway_error_for_a_bad_upstream(
    service: Upstream, document: int, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the other service did wrong is not our own error."""
    monkeypatch.setenv("FETCH_DATA_URL", f"{service.url}/{document}")
    runtime.current().reload()

    answer = fetch()

    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"


HOSTILE = {
    "null": b"null",
    "NaN": b'{"value": NaN}',
    "infinity": b'{"value": Infinity}',
    "a lone surrogate": b'{"value": "\\ud800"}',
    "invalid UTF-8": b'{"value": "\xff"}',
    "deep nesting": b"[" * 100_000 + b"]" * 100_000,
    "nothing": b"",
    "too large": b'"' + b"x" * 20_000_000 + b'"',
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
@pytest.mark.usefixtures("kept_logs")
def test_fetch_data_responds_with_502_to_documents_that_it_cannot_return(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, body: bytes, *, compressed: bool
) -> None:
    """No document of another service causes a 500 or exhausts the memory, and one log line says so."""
    with document_server(body, compressed=compressed) as url:
        monkeypatch.setenv("FETCH_DATA_URL", url)
        runtime.current().reload()

        answer = fetch()

    assert (answer.status, answer.headers["content-type"]) == (502, "application/problem+json")
    assert len([record for record in caplog.records if record.name.startswith("decant")]) == 1


@pytest.mark.parametrize("depth", [10, 150, 400, 900])
def test_fetch_data_returns_nested_documents_or_502(monkeypatch: pytest.MonkeyPatch, depth: int) -> None:
    """A document that can be read can be written again."""
    with document_server(b"[" * depth + b"]" * depth) as url:
        monkeypatch.setenv("FETCH_DATA_URL", url)
        runtime.current().reload()

        assert fetch().status in {200, 502}


@pytest.mark.parametrize("body", [b'"<script>"', b"7", b"true", b'{"a": 1}', b"[]"])
def test_fetch_data_always_returns_json(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    """A document that is a text is not taken for a page."""
    with document_server(body) as url:
        monkeypatch.setenv("FETCH_DATA_URL", url)
        runtime.current().reload()

        answer = fetch()

    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == json.loads(body)


@contextmanager
def document_server(body: bytes, *, compressed: bool = False) -> Iterator[str]:
    """Address of a server that responds with the body."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            sent = gzip.compress(body) if compressed else body
            self.send_response(200)
            self.send_header("Content-Length", str(len(sent)))
            if compressed:
                self.send_header("Content-Encoding", "gzip")
            self.end_headers()
            with suppress(ConnectionError):  # the client stops reading what is too large
                self.wfile.write(sent)

        def log_message(self, *_arguments: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_fetch_data_answers_502_when_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that is down is a gateway error, at once."""
    monkeypatch.setenv("FETCH_DATA_URL", "http://127.0.0.1:9/todos/1")
    runtime.current().reload()

    assert fetch().status == 502
