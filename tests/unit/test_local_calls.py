"""The server side of the Runtime API, on real sockets."""

import socket
from collections.abc import Iterator
from http import HTTPStatus

import pytest

from decant_cloud.lambda_runtime.runtime_api import Connection, ConnectionClosed, listen


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, Connection]]:
    """The client's end of a connection, and the server's."""
    with listen() as listener, socket.create_connection(listener.getsockname(), timeout=60) as client:
        accepted, _address = listener.accept()
        with accepted:
            yield client, Connection(accepted)


def head(client: socket.socket, *lines: str) -> bytes:
    """Head of a request to the server, as the runtime client sends it."""
    host, port = client.getpeername()
    return "\r\n".join(
        ["POST /2018-06-01/runtime/init/error HTTP/1.1", f"Host: {host}:{port}", *lines, "", ""]
    ).encode()


def test_call_that_arrives_in_parts_is_complete_at_its_end(ends: tuple[socket.socket, Connection]) -> None:
    """The runtime reads what has arrived, and gets the call with the last part; the next call can follow."""
    client, server = ends
    for _ in range(2):
        client.sendall(head(client, "Content-Length: 4", "X-Thing: 1") + b"bo")
        assert server.read() is None
        client.sendall(b"dy")

        call = server.read()

        assert call is not None
        assert (call.action, call.body, call.headers["x-thing"]) == ("init/error", b"body", "1")
        call.reply(HTTPStatus.ACCEPTED, b"{}")
        assert client.recv(1000).startswith(b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\n")


@pytest.mark.parametrize("header", ["Origin: http://evil.example", "Sec-Fetch-Site: cross-site", "Host: evil.example"])
def test_call_of_a_web_page_is_rejected(ends: tuple[socket.socket, Connection], header: str) -> None:
    """A page in the developer's browser cannot take a function's events or send its responses."""
    client, server = ends
    request = head(client, header)
    if header.startswith("Host"):
        request = f"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n{header}\r\n\r\n".encode()
    client.sendall(request)

    assert server.read() is None
    assert client.recv(1000).startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize("sent", [b"", b"hello\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"])
def test_connection_without_http_is_closed(ends: tuple[socket.socket, Connection], sent: bytes) -> None:
    """The end of a connection, and data that is not HTTP, end it."""
    client, server = ends
    client.sendall(sent)
    client.shutdown(socket.SHUT_WR)

    with pytest.raises(ConnectionClosed):
        server.read()
