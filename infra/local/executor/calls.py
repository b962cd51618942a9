"""The server side of the Runtime API: requests of AWS's runtime client, parsed and framed by h11.

Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import h11

__all__ = ["Call", "Connection", "ConnectionClosed", "listen"]

_READ_BYTES = 256 * 1024
_SEND_TIMEOUT_S = 10
_OF_BROWSERS = frozenset({b"origin", b"sec-fetch-site"})


class ConnectionClosed(Exception):
    """The runtime client has closed the connection, as it does when its process ends, or sent no HTTP."""


def listen() -> socket.socket:
    """A listening socket on a free port of loopback."""
    return socket.create_server(("127.0.0.1", 0))


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request of the runtime client; `reply` responds to it."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: "Connection"

    @property
    def action(self) -> str:
        """Operation of the API: `next`, `response`, `error` or `init/error`."""
        return "init/error" if self.path.endswith("/init/error") else self.path.rpartition("/")[2]

    def reply(self, status: HTTPStatus, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """Respond.

        Content-Type is always sent: without it, the native client ends with a segmentation fault.
        """
        own = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        self.connection.send(status, {**own, **(headers or {})}, body)


class Connection:
    """One connection of the runtime client; `read` takes what has arrived and never waits for more."""

    def __init__(self, accepted: socket.socket) -> None:
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        accepted.settimeout(_SEND_TIMEOUT_S)
        self.socket = accepted
        host, port = accepted.getsockname()
        self._host = f"{host}:{port}".encode()
        self._http = h11.Connection(h11.SERVER)
        self._request: h11.Request | None = None
        self._body = bytearray()

    def read(self) -> Call | None:
        """Read data, of which there has to be some; the call once it is complete.

        Raises:
            ConnectionClosed: the client has closed the connection, or the data is not HTTP.
        """
        try:
            self._http.receive_data(self.socket.recv(_READ_BYTES))
            return self._next_call()
        except (ConnectionError, h11.RemoteProtocolError) as error:
            raise ConnectionClosed from error

    def send(self, status: HTTPStatus, headers: Mapping[str, str], body: bytes) -> None:
        """Send a response in one segment: of two small ones, the second waits 40 ms for the first's acknowledgement.

        That a client has closed its connection is found out when it is read from next.
        """
        response = h11.Response(status_code=status, headers=list(headers.items()), reason=status.phrase.encode())
        parts = [self._http.send(each) for each in (response, h11.Data(data=body), h11.EndOfMessage())]
        try:
            self.socket.sendall(b"".join(part for part in parts if part))
        except (ConnectionError, TimeoutError):
            self.socket.close()
        if self._http.our_state is h11.DONE:
            self._http.start_next_cycle()

    def _next_call(self) -> Call | None:
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA or event is h11.PAUSED:
                return None
            match event:
                case h11.Request():
                    self._request, self._body = event, bytearray()
                case h11.Data():
                    self._body += event.data
                case h11.ConnectionClosed():
                    raise ConnectionClosed
                case h11.EndOfMessage() if (call := self._call()) is not None:
                    return call

    def _call(self) -> Call | None:
        """The call whose last part has arrived; None for one that a web page has sent, which is rejected."""
        request = self._request
        assert request is not None  # noqa: S101  # h11 returns a request before its end
        headers = dict(request.headers)
        if headers.get(b"host") != self._host or not _OF_BROWSERS.isdisjoint(headers):
            self.send(HTTPStatus.FORBIDDEN, {"Content-Length": "0"}, b"")
            return None
        return Call(
            path=request.target.decode("ascii"),
            headers={name.decode("ascii"): value.decode("latin-1") for name, value in headers.items()},
            body=bytes(self._body),
            connection=self,
        )
