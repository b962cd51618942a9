"""The HTTP of the Runtime API, as far as AWS's runtime client speaks it: one request after another on a connection.

Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

__all__ = ["Call", "Connection", "ConnectionClosed", "listen"]

_READ_BYTES = 256 * 1024
_SEND_TIMEOUT_S = 10


class ConnectionClosed(Exception):
    """The runtime client hung up, as it does when its process ends."""


def listen() -> socket.socket:
    """A listening socket on a free port of loopback."""
    return socket.create_server(("127.0.0.1", 0))


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request of the runtime client; `reply` answers it."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: "Connection"

    @property
    def action(self) -> str:
        """What it asks for: `next`, `response`, `error` or `init/error`."""
        return "init/error" if self.path.endswith("/init/error") else self.path.rpartition("/")[2]

    def reply(self, status: HTTPStatus, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """Answer in one segment: of two small writes, the second waits 40 ms for the first's acknowledgement.

        Content-Type is always there: without it, the native client dies of a segmentation fault.
        """
        lines = [f"HTTP/1.1 {status.value} {status.phrase}", "Content-Type: application/json"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        lines += [f"Content-Length: {len(body)}", "", ""]
        self.connection.send("\r\n".join(lines).encode() + body)


class Connection:
    """One connection of the runtime client; `read` takes what has arrived and never waits for more."""

    def __init__(self, accepted: socket.socket) -> None:
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        accepted.settimeout(_SEND_TIMEOUT_S)
        self.socket = accepted
        self._arrived = bytearray()

    def read(self) -> Call | None:
        """Take in what has arrived, of which there must be some; the call once it is whole.

        Raises:
            ConnectionClosed: the client hung up.
        """
        try:
            data = self.socket.recv(_READ_BYTES)
        except ConnectionError:
            data = b""
        if not data:
            raise ConnectionClosed
        self._arrived += data
        head_end = self._arrived.find(b"\r\n\r\n")
        if head_end < 0:
            return None
        path, headers = _parse_head(self._arrived[:head_end].decode("latin-1"))
        body_start = head_end + 4
        body_end = body_start + int(headers.get("content-length", "0"))
        if len(self._arrived) < body_end:
            return None
        body = bytes(memoryview(self._arrived)[body_start:body_end])
        del self._arrived[:body_end]
        return Call(path=path, headers=headers, body=body, connection=self)

    def send(self, answer: bytes) -> None:
        """Send a whole answer; that a client has gone shows when it is read from next."""
        try:
            self.socket.sendall(answer)
        except (ConnectionError, TimeoutError):
            self.socket.close()


def _parse_head(head: str) -> tuple[str, dict[str, str]]:
    request_line, *lines = head.split("\r\n")
    _method, path, _version = request_line.split(" ", 2)
    headers = (line.partition(":") for line in lines)
    return path, {name.strip().lower(): value.strip() for name, _colon, value in headers}
