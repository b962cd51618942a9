"""The local cloud's gateway: HTTP/1.1 in, WSGI to the application, and its answer out."""

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from infra.local.executor import exchanges
from infra.local.executor.exchanges import serve


@dataclass
class Application:
    """A WSGI application that answers as a test says, and remembers what came.

    Attributes:
        seen: Environ of each request, with its body read as `body`.
        closed: How many of its answers were closed.
    """

    status: str = "200 OK"
    headers: list[tuple[str, str]] = field(default_factory=lambda: [("Content-Length", "2")])
    parts: list[bytes] = field(default_factory=lambda: [b"hi"])
    seen: list[dict[str, Any]] = field(default_factory=list)
    closed: int = 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> "Application":
        """Answer."""
        self.seen.append({**environ, "body": environ["wsgi.input"].read()})
        start_response(self.status, self.headers)
        return self

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.parts)

    def close(self) -> None:
        """Be told that the answer is over."""
        self.closed += 1


@dataclass
class Client:
    """A connection to an application, as bytes and as requests."""

    application: Application
    socket: socket.socket
    http: http.client.HTTPConnection

    def answer(self) -> bytes:
        """All that the server sends until it hangs up."""
        return b"".join(iter(lambda: self.socket.recv(65536), b""))


@pytest.fixture
def client() -> Iterator[Client]:
    """A connection that is served."""
    application = Application()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        mine = socket.create_connection(("127.0.0.1", port), timeout=5)
        served, _address = listener.accept()

    def work() -> None:
        with served, suppress(ConnectionError):
            serve(served, application)

    thread = threading.Thread(target=work)
    thread.start()
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.sock = mine
    yield Client(application, mine, connection)
    mine.close()
    connection.close()
    thread.join(5)
    assert not thread.is_alive()


def test_request_arrives_whole(client: Client) -> None:
    """Method, path, query, headers in the case that they were sent in, and body."""
    client.http.request("POST", "/a%20b/%C3%A9?q=1&r", b"body", {"X-Thing": "1", "x-other": "2"})
    client.http.getresponse().read()

    (seen,) = client.application.seen
    assert (seen["REQUEST_METHOD"], seen["QUERY_STRING"], seen["body"]) == ("POST", "q=1&r", b"body")
    assert seen["PATH_INFO"].encode("latin-1").decode() == "/a b/é"
    assert seen["RAW_URI"] == "/a%20b/%C3%A9?q=1&r"
    assert {(b"X-Thing", b"1"), (b"x-other", b"2")} <= set(seen["rolo.headers"])
    assert (seen["HTTP_X_THING"], seen["CONTENT_LENGTH"]) == ("1", "4")


def test_connection_serves_one_request_after_another(client: Client) -> None:
    """It stays open, and each answer is told that it is over."""
    texts = []
    for _ in range(3):
        client.http.request("GET", "/")
        texts.append(client.http.getresponse().read())
    client.socket.shutdown(socket.SHUT_WR)
    client.answer()  # until the server has seen that there is no more

    assert texts == [b"hi"] * 3
    assert client.application.closed == 3


def test_chunked_body_arrives_whole(client: Client) -> None:
    """A client that does not know its body's length sends it in pieces."""
    client.http.request("PUT", "/", iter([b"one ", b"two ", b"three"]), encode_chunked=True)
    client.http.getresponse().read()
    client.http.request("GET", "/after")
    client.http.getresponse().read()

    assert [seen["body"] for seen in client.application.seen] == [b"one two three", b""]


def test_large_body_arrives_whole(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is kept in a file is the same."""
    monkeypatch.setattr(exchanges, "IN_MEMORY_BYTES", 1000)
    body = bytes(range(256)) * 2000

    client.http.request("PUT", "/", body)
    client.http.getresponse().read()

    assert client.application.seen[0]["body"] == body


def test_client_that_asks_first_is_told_to_go_on(client: Client) -> None:
    """As boto3 does before it sends a file to S3."""
    client.socket.sendall(b"PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
    interim = client.socket.recv(100)
    client.socket.sendall(b"body")

    answer = client.socket.recv(1000)

    assert interim == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert client.application.seen[0]["body"] == b"body"


def test_answer_without_a_length_is_chunked(client: Client) -> None:
    """Its parts go out as they come, and the next request is served."""
    client.application.headers, client.application.parts = [], [b"one", b"", b"two"]
    client.socket.sendall(b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nConnection: close\r\n\r\n")

    answer = client.answer()

    assert answer.count(b"Transfer-Encoding: chunked\r\n") == 2
    assert answer.count(b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n") == 2


@pytest.mark.parametrize(
    ("method", "status"), [pytest.param("HEAD", "200 OK", id="HEAD"), pytest.param("GET", "204 No Content", id="204")]
)
def test_answer_that_has_no_body_sends_none(client: Client, method: str, status: str) -> None:
    """The length that it would have is told all the same."""
    client.application.status = status
    client.socket.sendall(f"{method} / HTTP/1.1\r\nConnection: close\r\n\r\n".encode())

    answer = client.answer()

    assert b"Content-Length: 2\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "request_head",
    [
        pytest.param("GET / HTTP/1.0\r\n\r\n", id="HTTP/1.0"),
        pytest.param("GET / HTTP/1.1\r\nConnection: close\r\n\r\n", id="asked for"),
    ],
)
def test_connection_is_closed_for_whoever_wants_that(client: Client, request_head: str) -> None:
    """The answer says so."""
    client.socket.sendall(request_head.encode())

    answer = client.answer()

    assert b"Connection: close\r\n" in answer
    assert answer.endswith(b"\r\n\r\nhi")


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"hello\r\n\r\n", id="no request line"),
        pytest.param(b"GET / HTTP/1.1\r\nno header\r\n\r\n", id="no header"),
        pytest.param(b"GET / HTTP/1.1\r\nContent-Length: many\r\n\r\n", id="no length"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\n", id="TLS"),
    ],
)
def test_what_is_no_request_is_refused(client: Client, sent: bytes) -> None:
    """With a word on why, and no application sees it."""
    client.socket.sendall(sent)

    answer = client.answer()

    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert client.application.seen == []


def test_request_that_breaks_off_is_nobodys(client: Client) -> None:
    """A body that is shorter than was said is not worked on."""
    client.socket.sendall(b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\nshort")
    client.socket.shutdown(socket.SHUT_WR)

    assert client.answer() == b""
    assert client.application.seen == []


def test_absolute_url_is_its_path(client: Client) -> None:
    """As a client sends that takes this for its proxy."""
    client.http.request("GET", "http://sqs.us-east-1.amazonaws.com/queue?a=1")
    client.http.getresponse().read()

    (seen,) = client.application.seen
    assert (seen["PATH_INFO"], seen["QUERY_STRING"]) == ("/queue", "a=1")
