"""GET /fetch-data through its handler, with another service on loopback."""

import json
import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from decant import config
from tests.loading import Answer, call, event, load_function


class Todos(BaseHTTPRequestHandler):
    """A collection: /todos/7 answers, /todos/404 is not found, /todos/500 no JSON, /todos/504 takes for ever."""

    protocol_version = "HTTP/1.1"
    at_once = 0
    most_at_once = 0
    lock = threading.Lock()

    def do_GET(self) -> None:
        """Answer one document."""
        cls = type(self)
        with cls.lock:
            cls.at_once += 1
            cls.most_at_once = max(cls.most_at_once, cls.at_once)
        time.sleep(0.02)
        identifier = int(self.path.rpartition("/")[2])
        body = b"<html>" if identifier == 500 else json.dumps({"id": identifier}).encode()
        if identifier == 504:
            time.sleep(1)
        with cls.lock:
            cls.at_once -= 1
        self.send_response(404 if identifier == 404 else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the tests' output quiet."""


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Todos]]:
    """The other service, which FETCH_DATA_URL names."""
    handler = type("TheseTodos", (Todos,), {"lock": threading.Lock()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("FETCH_DATA_URL", f"http://127.0.0.1:{server.server_port}/todos/1")
    monkeypatch.setenv("HTTP_TIMEOUT_S", "0.5")
    config.load.cache_clear()
    yield handler
    server.shutdown()
    server.server_close()
    thread.join()


def fetch(query: str = "") -> Answer:
    """Call the route with a query string."""
    return call(load_function("fetch_data"), event("fetch_data", query=query))


@pytest.mark.usefixtures("upstream")
def test_fetch_data_answers_the_configured_document() -> None:
    """Without ids the answer is the other service's."""
    answer = fetch()

    assert (answer.status, answer.json()) == (200, {"id": 1})


@pytest.mark.usefixtures("upstream")
def test_fetch_data_answers_ids_in_order() -> None:
    """The answer has the order of the question, whichever was quicker."""
    answer = fetch("ids=3,1,2")

    assert answer.json() == [{"id": number, "data": {"id": number}} for number in (3, 1, 2)]


@pytest.mark.usefixtures("upstream")
def test_fetch_data_answers_the_others_when_some_fail() -> None:
    """What fails, and why, stands in its place; the rest is answered."""
    answer = fetch("ids=1,404,500,504,2")

    statuses = [each.get("error", {}).get("status", 200) for each in answer.json()]
    assert statuses == [200, 502, 502, 504, 200]


def test_fetch_data_asks_for_several_at_once_but_not_all(upstream: type[Todos]) -> None:
    """The ids are fetched concurrently, ten at a time at most."""
    answer = fetch("ids=" + ",".join(map(str, range(50))))

    assert len(answer.json()) == 50
    assert 1 < upstream.most_at_once <= 10


@pytest.mark.usefixtures("upstream")
@pytest.mark.parametrize(
    "ids",
    ["", "1,", ",1", "1;2", "one", "-1", "1,,2", "9" * 30, "..", "1%2F2", ",".join(map(str, range(51)))],
)
def test_fetch_data_refuses_what_are_no_ids(ids: str) -> None:
    """A malformed list, or one too long, is a problem that names the field."""
    answer = fetch(f"ids={ids}")

    assert answer.status == 422
    assert [fault["field"] for fault in answer.json()["errors"]] == ["ids"]


@pytest.mark.usefixtures("upstream")
@pytest.mark.parametrize(
    ("document", "status"),
    [
        ("404", 502),  # not found there
        ("500", 502),  # no JSON
        ("504", 504),  # too slow
    ],
)
def test_fetch_data_answers_a_gateway_error_for_a_bad_upstream(
    document: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the other service did wrong is not our own error."""
    url = os.environ["FETCH_DATA_URL"]
    monkeypatch.setenv("FETCH_DATA_URL", url.replace("todos/1", f"todos/{document}"))
    config.load.cache_clear()

    answer = fetch()

    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_fetch_data_answers_502_when_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that is down is a gateway error, at once."""
    monkeypatch.setenv("FETCH_DATA_URL", "http://127.0.0.1:9/todos/1")
    config.load.cache_clear()

    assert fetch().status == 502
