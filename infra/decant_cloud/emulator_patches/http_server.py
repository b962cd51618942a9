"""An HTTP/1.1 server for a WSGI application: h11 parses and frames, a thread serves each connection.

Requests and responses are streamed. The server waits for a client no longer than the limits below.

Source: RFC 9110, RFC 9112, PEP 3333.
"""

import io
import logging
import socket
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote_to_bytes

import h11

__all__ = ["IS_CONNECTED", "HttpServer", "Limits"]

IS_CONNECTED = "decant.is_connected"
"""Key of the WSGI environ: a function that returns whether the client still waits for the response."""

_BACKLOG = 128
_PAUSE_S = 0.1
_READ_BYTES = 64 * 1024
_HEAD_BYTES = 64 * 1024
_DISCARDED_BYTES = 1024 * 1024
"""Of a request body that the application has not read; with a longer rest, the connection is closed."""

_LOG = logging.getLogger("decant.http")

Environ = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Time limits for a client, seconds.

    Attributes:
        idle_s: Between two requests of a connection.
        head_s: From the first byte of a request to the end of its headers.
        body_s: From one part of a request's body to the next.
        send_s: For one part of the response.
    """

    idle_s: float = 120
    head_s: float = 10
    body_s: float = 30
    send_s: float = 60


class HttpServer:
    """Serves a WSGI application at one address from the moment it is made.

    Args:
        application: WSGI application.
        host: Address to listen on.
        port: TCP port; a free one for 0.
        limits: Time limits.

    Attributes:
        port: TCP port that it listens on.
    """

    def __init__(self, application: Any, host: str, port: int, limits: Limits | None = None) -> None:
        self._application = application
        self._limits = limits or Limits()
        self._is_closed = False
        self._listener = socket.create_server((host, port), backlog=_BACKLOG)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="http-server", daemon=True).start()

    def close(self) -> None:
        """Accept no more connections; responses that are being sent end with the process."""
        self._is_closed = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while not self._is_closed:
            try:
                accepted, _peer = self._listener.accept()
            except OSError:  # it is closed, or the process has no free file descriptor at the moment
                time.sleep(_PAUSE_S)
            else:
                threading.Thread(target=self._serve, args=(accepted,), name="connection", daemon=True).start()

    def _serve(self, accepted: socket.socket) -> None:
        with accepted, suppress(OSError):  # the client has closed the connection, or exceeds a time limit
            _Connection(accepted, self._application, self._limits).serve()


class _Connection:
    """One connection of a client."""

    def __init__(self, accepted: socket.socket, application: Any, limits: Limits) -> None:
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = accepted
        self._application = application
        self._limits = limits
        self._body_error: h11.RemoteProtocolError | TimeoutError | None = None
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD_BYTES)
        host, port = accepted.getsockname()[:2]
        peer_host, peer_port = accepted.getpeername()[:2]
        self._environ = {
            "SCRIPT_NAME": "",
            "SERVER_NAME": host,
            "SERVER_PORT": str(port),
            "REMOTE_ADDR": peer_host,
            "REMOTE_PORT": str(peer_port),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.errors": sys.stderr,
            "wsgi.input_terminated": True,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }

    def serve(self) -> None:
        """Serve one request after another until a side closes the connection."""
        try:
            while (request := self._next_request()) is not None:
                own = {"wsgi.input": io.BufferedReader(_Body(self)), IS_CONNECTED: self._is_connected}
                self._respond(self._environ | _environ_of(request) | own)
                self._discard_body()
                if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                    return
                self._http.start_next_cycle()
        except h11.RemoteProtocolError as error:
            self._reject(HTTPStatus(error.error_status_hint), str(error))
        except TimeoutError:
            self._reject(HTTPStatus.REQUEST_TIMEOUT, "The request was not completed in time.")
            raise
        except OSError:  # the client has closed the connection
            raise
        except Exception:  # noqa: BLE001  # a thread ends here: PEP 3333 leaves errors of the application to the server
            _LOG.exception("The application raised an exception")
            self._reject(HTTPStatus.INTERNAL_SERVER_ERROR, "The local cloud failed; its log has the reason.")

    def read_body(self) -> bytes:
        """The next part of the request's body; empty at its end.

        Raises:
            TimeoutError: the client did not send it in time.
            h11.RemoteProtocolError: it is malformed, or the client has closed the connection before its end.
        """
        if self._http.they_are_waiting_for_100_continue:
            self._send(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))
        try:
            while self._http.their_state is h11.SEND_BODY:
                event = self._http.next_event()
                if event is h11.NEED_DATA:
                    self._receive(self._limits.body_s)
                elif isinstance(event, h11.Data):
                    return bytes(event.data)
        except (h11.RemoteProtocolError, TimeoutError) as error:
            self._body_error = error
            raise
        return b""

    def _next_request(self) -> h11.Request | None:
        """Read the head of the next request; None when the client has closed the connection or sends none."""
        deadline = time.monotonic() + self._limits.idle_s
        is_started = False
        while (event := self._http.next_event()) is h11.NEED_DATA:
            try:
                self._receive(deadline - time.monotonic())
            except TimeoutError:
                if is_started:
                    raise
                return None
            if not is_started:
                is_started, deadline = True, time.monotonic() + self._limits.head_s
        if not isinstance(event, h11.Request):
            return None
        if any(b"_" in name for name, _value in event.headers):
            # WSGI writes hyphens as underscores: Content_Length and Content-Length would be the same name.
            raise h11.RemoteProtocolError("Header names with an underscore are not accepted.")
        if not event.target.startswith(b"/"):
            raise h11.RemoteProtocolError("The request target has to be a path.")
        return event

    def _receive(self, timeout_s: float) -> None:
        if timeout_s <= 0:
            raise TimeoutError
        self._socket.settimeout(timeout_s)
        data = self._socket.recv(_READ_BYTES)
        self._http.receive_data(data)

    def _respond(self, environ: Environ) -> None:
        heads: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], _error: Any = None) -> None:
            heads.append((status, headers))

        body: Iterable[bytes] = self._application(environ, start_response)
        try:
            if self._body_error is not None:  # the application has responded to it with an error of its own
                raise self._body_error
            status, headers = heads[-1]
            code, _space, reason = status.partition(" ")
            response = h11.Response(status_code=int(code), headers=_with_date(headers), reason=reason.encode("latin-1"))
            self._send_response(environ, response, body)
        finally:
            if close := getattr(body, "close", None):
                close()

    def _send_response(self, environ: Environ, response: h11.Response, body: Iterable[bytes]) -> None:
        """Send the head in one segment with the first part of the body, which usually is all of it."""
        unsent = bytearray(self._http.send(response) or b"")
        has_body = environ["REQUEST_METHOD"] != "HEAD" and response.status_code not in {204, 304}
        for part in body if has_body else ():
            unsent += self._http.send(h11.Data(data=part)) or b""
            self._send(unsent)
            unsent = bytearray()
        self._send(unsent + (self._http.send(h11.EndOfMessage()) or b""))

    def _send(self, data: bytes | bytearray | None) -> None:
        if data:
            self._socket.settimeout(self._limits.send_s)
            self._socket.sendall(data)

    def _is_connected(self) -> bool:
        self._socket.settimeout(0)
        try:
            return self._socket.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:  # the client sends nothing, and has not closed the connection
            return True
        except ConnectionError:
            return False

    def _discard_body(self) -> None:
        """Read what the application left of the request, so that the next request can follow."""
        discarded_bytes = 0
        while not self._http.they_are_waiting_for_100_continue and discarded_bytes < _DISCARDED_BYTES:
            part = self.read_body()
            if not part:
                return
            discarded_bytes += len(part)

    def _reject(self, status: HTTPStatus, reason: str) -> None:
        """Respond to a request that cannot be read, unless a response has begun, before the connection is closed."""
        if self._http.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            return
        body = f"{reason}\n".encode()
        headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body))), ("Connection", "close")]
        head = self._http.send(h11.Response(status_code=status, headers=headers, reason=status.phrase.encode()))
        self._send((head or b"") + body)


class _Body(io.RawIOBase):
    """The body of one request as a stream."""

    def __init__(self, connection: _Connection) -> None:
        super().__init__()
        self._connection = connection
        self._unread = b""

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the next bytes into a buffer."""
        self._unread = self._unread or self._connection.read_body()
        size = min(len(buffer), len(self._unread))
        buffer[:size], self._unread = self._unread[:size], self._unread[size:]
        return size


def _with_date(headers: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Headers as they are sent, with a Date. h11 encodes text as ASCII, and headers of WSGI are Latin-1."""
    has_date = any(name.lower() == "date" for name, _value in headers)
    all_headers = headers if has_date else [*headers, ("Date", formatdate(usegmt=True))]
    return [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in all_headers]


def _environ_of(request: h11.Request) -> Environ:
    path, _question_mark, query = request.target.decode("latin-1").partition("?")
    environ: Environ = {
        "REQUEST_METHOD": request.method.decode("ascii"),
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "RAW_URI": request.target.decode("latin-1"),
        "REQUEST_URI": request.target.decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{request.http_version.decode('ascii')}",
        # As they were sent: WSGI keeps neither case nor hyphens of names, and S3 signs both.
        "rolo.headers": request.headers.raw_items(),
    }
    for raw_name, raw_value in request.headers:
        name, value = raw_name.decode("ascii").upper().replace("-", "_"), raw_value.decode("latin-1")
        if name not in {"CONTENT_TYPE", "CONTENT_LENGTH"}:
            name = f"HTTP_{name}"
        environ[name] = f"{environ[name]},{value}" if name in environ else value
    return environ
