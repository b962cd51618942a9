"""The HTTP server of the local cloud's gateway: HTTP/1.1 in, WSGI to the application, and its response out."""

import http.client
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from decant_cloud.emulator_patches.http_server import HttpServer, Limits

QUICK = Limits(idle_s=5, head_s=0.3, body_s=0.3, send_s=5)


@dataclass
class Application:
    """A WSGI application that responds as a test needs it, and keeps the requests.

    Attributes:
        seen: Environ of each request, with its body as `body`.
        reads: It reads the request's body.
        closed: Number of responses that were closed.
    """

    status: str = "200 OK"
    headers: list[tuple[str, str]] = field(default_factory=lambda: [("Content-Length", "2")])
    parts: list[bytes] = field(default_factory=lambda: [b"hi"])
    seen: list[dict[str, Any]] = field(default_factory=list)
    reads: bool = True
    closed: int = 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> "Application":
        """Respond."""
        self.seen.append({**environ, "body": environ["wsgi.input"].read() if self.reads else None})
        start_response(self.status, self.headers)
        return self

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.parts)

    def close(self) -> None:
        """Count the end of a response."""
        self.closed += 1


@dataclass
class Client:
    """A connection to an application, as bytes and as requests."""

    application: Application
    socket: socket.socket
    http: http.client.HTTPConnection

    def received(self) -> bytes:
        """All that the server sends until it closes the connection."""
        return b"".join(iter(lambda: self.socket.recv(65536), b""))


@pytest.fixture
def client() -> Iterator[Client]:
    """A connection to a server of this test's own."""
    application = Application()
    server = HttpServer(application, "127.0.0.1", 0, QUICK)
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connected:
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        connection.sock = connected
        yield Client(application, connected, connection)
    server.close()


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


def test_repeated_headers_are_joined(client: Client) -> None:
    """WSGI has one value for each name."""
    client.socket.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX-Thing: 1\r\nX-Thing: 2\r\nConnection: close\r\n\r\n")
    client.received()

    assert client.application.seen[0]["HTTP_X_THING"] == "1,2"


def test_connection_serves_one_request_after_another(client: Client) -> None:
    """The connection stays open, and each response is closed."""
    texts = []
    for _ in range(3):
        client.http.request("GET", "/")
        texts.append(client.http.getresponse().read())
    client.socket.shutdown(socket.SHUT_WR)
    client.received()  # until the server has closed the connection

    assert texts == [b"hi"] * 3
    assert client.application.closed == 3


def test_chunked_body_arrives_whole(client: Client) -> None:
    """A client sends a body of unknown length in chunks."""
    client.http.request("PUT", "/", iter([b"one ", b"two ", b"three"]), encode_chunked=True)
    client.http.getresponse().read()
    client.http.request("GET", "/after")
    client.http.getresponse().read()

    assert [seen["body"] for seen in client.application.seen] == [b"one two three", b""]


def test_large_body_arrives_whole(client: Client) -> None:
    """A body that comes in many parts is the same."""
    body = bytes(range(256)) * 20_000

    client.http.request("PUT", "/", body)
    client.http.getresponse().read()

    assert client.application.seen[0]["body"] == body


def test_request_is_streamed() -> None:
    """The application reads the first part of a body before the client has sent the last."""
    read: list[bytes] = []

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        read.append(environ["wsgi.input"].read1(5))
        with_rest.sendall(b"world")
        read.append(environ["wsgi.input"].read())
        start_response("200 OK", [("Content-Length", "0")])
        return []

    server = HttpServer(application, "127.0.0.1", 0)
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as with_rest:
        with_rest.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello")
        response = with_rest.recv(1000)
    server.close()

    assert read == [b"hello", b"world"]
    assert response.startswith(b"HTTP/1.1 200 OK\r\n")


def test_response_is_streamed(client: Client) -> None:
    """The client gets the first part of a response before the application makes the second."""
    is_first_received = threading.Event()

    def parts() -> Iterator[bytes]:
        yield b"one"
        is_first_received.wait(5)
        yield b"two"

    client.application.headers = []
    client.application.__dict__["parts"] = parts()
    client.socket.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")

    first = client.socket.recv(1000)
    is_first_received.set()

    assert first.endswith(b"\r\n\r\n3\r\none\r\n")
    assert client.received() == b"3\r\ntwo\r\n0\r\n\r\n"


def test_client_that_expects_a_continue_gets_it(client: Client) -> None:
    """As boto3 does before it sends a file to S3."""
    client.socket.sendall(b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
    interim = client.socket.recv(100)
    client.socket.sendall(b"body")

    response = client.socket.recv(1000)

    assert interim.startswith(b"HTTP/1.1 100 ")
    assert response.startswith(b"HTTP/1.1 200 OK\r\n")
    assert client.application.seen[0]["body"] == b"body"


def test_body_that_is_not_read_is_discarded(client: Client) -> None:
    """The next request of the connection is served."""
    client.application.reads = False
    statuses = []
    for _ in range(2):
        client.http.request("POST", "/", b"body" * 1000)
        response = client.http.getresponse()
        statuses.append((response.status, response.read()))

    assert statuses == [(200, b"hi")] * 2


def test_response_without_a_length_is_chunked(client: Client) -> None:
    """Its parts are sent as they come, and the next request is served."""
    client.application.headers, client.application.parts = [], [b"one", b"", b"two"]
    client.socket.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")

    received = client.received()

    assert received.count(b"Transfer-Encoding: chunked\r\n") == 2
    assert received.count(b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n") == 2


@pytest.mark.parametrize(
    ("method", "status"), [pytest.param("HEAD", "200 OK", id="HEAD"), pytest.param("GET", "204 No Content", id="204")]
)
def test_response_that_has_no_body_sends_none(client: Client, method: str, status: str) -> None:
    """The head ends the response."""
    client.application.status = status
    client.socket.sendall(f"{method} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())

    received = client.received()

    assert received.startswith(f"HTTP/1.1 {status}\r\n".encode())
    assert received.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "request_head",
    [
        pytest.param("GET / HTTP/1.0\r\n\r\n", id="HTTP/1.0"),
        pytest.param("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", id="header"),
    ],
)
def test_connection_is_closed_on_request(client: Client, request_head: str) -> None:
    """The response contains `Connection: close`."""
    client.socket.sendall(request_head.encode())

    received = client.received()

    assert b"connection: close\r\n" in received.lower()
    assert received.endswith(b"\r\n\r\nhi")


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"hello\r\n\r\n", id="no request line"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nno header\r\n\r\n", id="no header"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="no Host"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: many\r\n\r\n", id="no length"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", id="negative length"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\n\r\n", id="underscore in a name"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", id="two lengths"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", id="negative chunk"),
        pytest.param(b"GET http://evil.example/ HTTP/1.1\r\nHost: a\r\n\r\n", id="absolute URL"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\n", id="TLS"),
    ],
)
def test_malformed_request_is_rejected(client: Client, sent: bytes) -> None:
    """The server responds with a reason and closes the connection; the application gets no request."""
    client.socket.sendall(sent)

    received = client.received()

    assert received.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert client.application.seen == []


def test_headers_that_are_too_large_are_rejected(client: Client) -> None:
    """The server does not collect headers without a limit."""
    client.socket.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 100_000)

    assert client.socket.recv(100).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"GET / HT", id="request line"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n", id="headers"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nshort", id="body"),
    ],
)
def test_request_that_is_not_completed_times_out(client: Client, sent: bytes) -> None:
    """The server responds 408 and closes the connection; it holds no thread for the client."""
    client.socket.sendall(sent)

    received = client.received()

    assert received.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert client.application.seen == []


def test_request_that_trickles_times_out(client: Client) -> None:
    """The limit is for all headers, and not for one byte after the other."""
    received = b""
    client.socket.settimeout(0.05)
    for byte in b"GET / HTTP/1.1\r\nX: " + b"a" * 1000:
        try:
            client.socket.sendall(bytes([byte]))
            received = client.socket.recv(1000)
        except TimeoutError:
            continue
        except ConnectionError:
            break
        else:
            break

    assert received.startswith(b"HTTP/1.1 408 Request Timeout\r\n")


def test_body_that_ends_early_is_rejected(client: Client) -> None:
    """The client may still read; an application that catches the error of the body does not respond in its place."""
    client.socket.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nshort")
    client.socket.shutdown(socket.SHUT_WR)

    assert client.received().startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert client.application.seen == []


def test_header_of_a_response_may_be_latin_1(client: Client) -> None:
    """Text of WSGI headers is Latin-1; a function can return a header that it has received."""
    client.application.headers = [("Content-Length", "2"), ("X-Name", "caf\xe9")]
    client.socket.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")

    assert b"X-Name: caf\xe9\r\n" in client.received()


def test_exception_of_the_application_is_an_error_response(client: Client) -> None:
    """The client gets status 500 and the connection ends."""
    client.application.headers = [("Bad\nname", "value")]
    client.socket.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")

    assert client.received().startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
