"""Requests and answers on one connection: from HTTP/1.1 to WSGI and back.

Source: RFC 9112, PEP 3333.
"""

import io
import socket
import sys
import tempfile
from collections.abc import Iterable
from email.utils import formatdate
from http import HTTPStatus
from typing import IO, Any, cast
from urllib.parse import unquote_to_bytes, urlsplit

from werkzeug.serving import DechunkedInput

__all__ = ["serve"]

LINE_LIMIT_BYTES = 64 * 1024
HEADERS_LIMIT = 200
IN_MEMORY_BYTES = 16 * 1024 * 1024
"""Larger bodies, as of files for S3, are kept in a file."""

_PIECE_BYTES = 256 * 1024
_WITHOUT_BODY = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})

Environ = dict[str, Any]
Header = tuple[str, str]


class _BadRequest(Exception):
    """What came is no HTTP/1.1 request."""


def serve(connection: socket.socket, application: Any) -> None:
    """Have a WSGI application answer one request after another, until either side wants no more."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    surroundings = _surroundings(connection)
    with connection.makefile("rb") as stream:
        while True:
            try:
                environ = _read_request(stream, connection, surroundings)
            except _BadRequest as refusal:
                _refuse(connection, str(refusal))
                return
            if environ is None or not _answer(connection, application, environ):
                return


def _surroundings(connection: socket.socket) -> Environ:
    """What is the same for every request of a connection."""
    host, port = connection.getsockname()
    peer_host, peer_port = connection.getpeername()
    return {
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


def _read_request(stream: IO[bytes], connection: socket.socket, surroundings: Environ) -> Environ | None:
    """The next request with its whole body; None when the client has hung up."""
    line = stream.readline(LINE_LIMIT_BYTES)
    if not line:
        return None
    try:
        method, target, version = line.decode("latin-1").split()
        headers = _read_headers(stream)
        environ = {**surroundings, **_line_and_headers(method, target, version, headers)}
        if environ.get("HTTP_EXPECT", "").lower() == "100-continue":
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        environ["wsgi.input"] = _read_body(stream, environ)
    except ValueError as error:
        raise _BadRequest(str(error)) from error
    return environ


def _read_headers(stream: IO[bytes]) -> list[tuple[bytes, bytes]]:
    headers: list[tuple[bytes, bytes]] = []
    while (line := stream.readline(LINE_LIMIT_BYTES)) not in {b"\r\n", b"\n"}:
        name, colon, value = line.partition(b":")
        if not colon or len(headers) == HEADERS_LIMIT:
            raise ValueError("a header line is none, or there are too many")
        headers.append((name, value.strip()))
    return headers


def _line_and_headers(method: str, target: str, version: str, headers: list[tuple[bytes, bytes]]) -> Environ:
    if not version.startswith("HTTP/1."):
        raise ValueError("this server speaks HTTP/1.1")
    path, _question_mark, query = (target if target.startswith("/") else _without_host(target)).partition("?")
    environ: Environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "RAW_URI": target,
        "REQUEST_URI": target,
        "SERVER_PROTOCOL": version,
        "rolo.headers": headers,  # as they came: WSGI keeps neither case nor hyphens, and S3 signs both
    }
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").upper().replace("-", "_"), raw_value.decode("latin-1")
        if name not in {"CONTENT_TYPE", "CONTENT_LENGTH"}:
            name = f"HTTP_{name}"
        environ[name] = f"{environ[name]},{value}" if name in environ else value
    return environ


def _without_host(target: str) -> str:
    """The path and query of an absolute URL, which a client sends that takes this for its proxy."""
    parts = urlsplit(target)
    return f"{parts.path or '/'}?{parts.query}"


def _read_body(stream: IO[bytes], environ: Environ) -> IO[bytes]:
    if environ.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked":
        return _copied(cast("IO[bytes]", io.BufferedReader(DechunkedInput(stream))), sys.maxsize)
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = io.BytesIO(stream.read(length)) if length <= IN_MEMORY_BYTES else _copied(stream, length)
    if body.seek(0, io.SEEK_END) < length:
        raise ConnectionResetError
    body.seek(0)
    return body


def _copied(source: IO[bytes], most_bytes: int) -> IO[bytes]:
    copy = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115  # it is closed with its request
    left_bytes = most_bytes
    while piece := source.read(min(left_bytes, _PIECE_BYTES)):
        copy.write(piece)
        left_bytes -= len(piece)
    copy.seek(0)
    return cast("IO[bytes]", copy)


def _answer(connection: socket.socket, application: Any, environ: Environ) -> bool:
    """Answer one request; whether the connection stays open for another one."""
    heads: list[tuple[str, list[Header]]] = []

    def start_response(status: str, headers: list[Header], _error: Any = None) -> None:
        heads.append((status, headers))

    body: Iterable[bytes] = application(environ, start_response)
    try:
        status, headers = heads[-1]
        return _send(connection, environ, status, headers, body)
    finally:
        environ["wsgi.input"].close()
        if close := getattr(body, "close", None):
            close()


def _send(
    connection: socket.socket, environ: Environ, status: str, headers: list[Header], body: Iterable[bytes]
) -> bool:
    """Send an answer: its head in one segment with the first part of its body, which mostly is the whole."""
    wants_more = environ.get("HTTP_CONNECTION", "").lower() != "close"
    stays_open: bool = wants_more and environ["SERVER_PROTOCOL"] == "HTTP/1.1"
    names = {name.lower() for name, _value in headers}
    has_body = environ["REQUEST_METHOD"] != "HEAD" and int(status[:3]) not in _WITHOUT_BODY
    is_chunked = has_body and "content-length" not in names
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers)]
    if "date" not in names:
        lines.append(f"Date: {formatdate(usegmt=True)}")
    if is_chunked:
        lines.append("Transfer-Encoding: chunked")
    if not stays_open and "connection" not in names:
        lines.append("Connection: close")
    unsent = "\r\n".join([*lines, "", ""]).encode("latin-1")
    for part in body if has_body else ():
        if part:
            connection.sendall(unsent + (b"%x\r\n%b\r\n" % (len(part), part) if is_chunked else part))
            unsent = b""
    connection.sendall(unsent + (b"0\r\n\r\n" if is_chunked else b""))
    return stays_open


def _refuse(connection: socket.socket, reason: str) -> None:
    head = f"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: {len(reason)}\r\n"
    connection.sendall(f"{head}Connection: close\r\n\r\n{reason}".encode("latin-1"))
