"""GET /fetch-data through its handler, with another service on loopback."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from decant import runtime
from decant_cloud.invocation import Response, call, event, load_function


class Service(ThreadingHTTPServer):
    """Another service: it responds to `/todos/1` with a document of this id.

    Attributes:
        bodies: Other bodies, by id.
        most_at_once: Most requests that it has served at a time.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies: dict[int, bytes] = {}
        self.most_at_once = 0
        self._requests = 0
        self._counting = threading.Lock()

    def count(self, change: int) -> None:
        """Count a request that begins or ends."""
        with self._counting:
            self._requests += change
            self.most_at_once = max(self.most_at_once, self._requests)


class Handler(BaseHTTPRequestHandler):
    """A request to the other service."""

    server: Service

    def do_GET(self) -> None:
        """Respond with the document, or with 404 to ids from 900 on."""
        self.server.count(1)
        identifier = int(self.path.rpartition("/")[2])
        body = self.server.bodies.get(identifier, json.dumps({"id": identifier}).encode())
        self.send_response(404 if identifier >= 900 else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.server.count(-1)
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Log nothing."""


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """The other service, which FETCH_DATA_URL names."""
    with Service() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("FETCH_DATA_URL", f"http://127.0.0.1:{server.server_port}/todos/1")
        runtime.current().reload()
        yield server
        server.shutdown()
        thread.join()


def fetch(query: str = "") -> Response:
    """Call the route with a query string."""
    return call(load_function("fetch_data"), event("fetch_data", query=query))


@pytest.mark.usefixtures("service")
def test_fetch_data_returns_the_configured_document() -> None:
    """Without ids, the response is the document at FETCH_DATA_URL."""
    response = fetch()

    assert (response.status, response.json()) == (200, {"id": 1})


@pytest.mark.usefixtures("service")
def test_fetch_data_returns_ids_in_order() -> None:
    """The documents have the order of the ids."""
    response = fetch("ids=3,1,2")

    assert [(each["id"], each["data"]["id"]) for each in response.json()] == [(3, 3), (1, 1), (2, 2)]


def test_fetch_data_returns_the_errors_beside_the_documents(service: Service) -> None:
    """An id whose document cannot be fetched has an error in its place."""
    service.bodies[2] = b"<html>"

    response = fetch("ids=1,2,900,3")

    assert [each.get("error", {}).get("status", 200) for each in response.json()] == [200, 502, 502, 200]


def test_fetch_data_fetches_at_most_ten_at_once(service: Service) -> None:
    """Fifty ids are fetched over ten connections."""
    response = fetch("ids=" + ",".join(map(str, range(50))))

    assert len(response.json()) == 50
    assert service.most_at_once <= 10


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(
    "ids",
    ["", "1,", ",1", "1;2", "one", "-1", "1,,2", "9" * 30, "..", "1%2F2", ",".join(map(str, range(51)))],
)
def test_fetch_data_rejects_invalid_ids(ids: str) -> None:
    """A malformed list, or one that is too long, is a problem that names the field."""
    response = fetch(f"ids={ids}")

    assert response.status == 422
    assert [fault["field"] for fault in response.json()["errors"]] == ["ids"]


@pytest.mark.parametrize("body", [b"null", b"<html>"], ids=["null", "no JSON"])
def test_fetch_data_responds_with_502_to_what_is_no_document(service: Service, body: bytes) -> None:
    """An error of the other service is not one of this function."""
    service.bodies[1] = body

    response = fetch()

    assert (response.status, response.headers["content-type"]) == (502, "application/problem+json")


@pytest.mark.parametrize("depth", [10, 150, 400, 900])
def test_fetch_data_returns_nested_documents_or_502(service: Service, depth: int) -> None:
    """A document that can be read can be written again."""
    service.bodies[1] = b"[" * depth + b"]" * depth

    assert fetch().status in {200, 502}


@pytest.mark.parametrize("body", [b'"<script>"', b"7", b"true", b'{"a": 1}', b"[]"])
def test_fetch_data_always_returns_json(service: Service, body: bytes) -> None:
    """A document that is a text is not served as a page."""
    service.bodies[1] = body

    response = fetch()

    assert (response.status, response.headers["content-type"]) == (200, "application/json")
    assert response.json() == json.loads(body)
