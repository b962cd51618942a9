"""The WSGI environ and the body of an ASGI request.

The body is read before the app runs. Bodies over 2 MiB are spooled to a temporary file. Bodies over the limit are
discarded and rejected with 413.

Source: ASGI specification (HTTP connection scope), RFC 9112 section 3.2 (request target).
"""

import io
from contextlib import ExitStack
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Any, cast

from decant.web.wsgi import TooLargeBody, add_headers, base

if TYPE_CHECKING:
    from asgiref.typing import ASGIReceiveCallable, HTTPRequestEvent, HTTPScope

__all__ = ["ClientDisconnected", "environ_of", "read_body"]

_IN_MEMORY_BYTES = 2 * 1024 * 1024
"""Maximum size of a body that is kept in memory."""

_DROPPED_BYTES = 64 * 1024 * 1024
"""Bytes beyond the limit that are read and discarded: a client that cannot send does not read its response."""


class ClientDisconnected(Exception):
    """The client disconnected before the end of its request body."""


def environ_of(scope: "HTTPScope") -> dict[str, Any]:
    """The environ of an ASGI request, without its body.

    Raises:
        RequestHeaderFieldsTooLarge: there are too many headers.
    """
    root, path = _paths(scope)
    environ = base(scope["method"], root, path, scope["query_string"].decode("latin-1"))
    environ["SERVER_PROTOCOL"] = f"HTTP/{scope['http_version']}"
    environ["wsgi.url_scheme"] = scope.get("scheme", "http")
    environ["SERVER_NAME"], port = scope.get("server") or ("localhost", None)
    environ["SERVER_PORT"] = str(port or 0)  # a Unix socket has none
    environ["asgi.scope"] = scope
    if "aws.event" in scope:  # set by Mangum
        environ |= {name: scope[name] for name in ("aws.event", "aws.context")}  # type: ignore[typeddict-item]
    if client := scope.get("client"):
        environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = client[0], str(client[1])
    if raw_path := scope.get("raw_path"):
        query = f"?{environ['QUERY_STRING']}" if environ["QUERY_STRING"] else ""
        environ["REQUEST_URI"] = raw_path.decode("latin-1") + query
    add_headers(environ, [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]])
    return environ


def _paths(scope: "HTTPScope") -> tuple[str, str]:
    root = scope.get("root_path", "").rstrip("/")
    path = scope["path"]
    if root and (path == root or path.startswith(f"{root}/")):
        return root, path[len(root) :]
    if not path.startswith("/"):  # "http://host/path", as to a proxy, or "*"
        path = "/" + path.partition("://")[2].partition("/")[2] if "://" in path else f"/{path}"
    return root, path


async def read_body(
    scope: "HTTPScope", receive: "ASGIReceiveCallable", limit_bytes: int
) -> tuple[IO[bytes] | TooLargeBody, int]:
    """Read the body to its end.

    Args:
        scope: Of the ASGI request.
        receive: Of the ASGI request.
        limit_bytes: Maximum size of the body.
    Returns:
        A stream at its beginning, to be closed, and the body's length. For a body over the limit the stream is a
        `TooLargeBody`.
    Raises:
        ClientDisconnected: no response can be sent.
    """
    if _expects_continue(scope, limit_bytes):
        return TooLargeBody(limit_bytes), limit_bytes + 1
    message = await _next(receive)
    first = message.get("body", b"")
    if not message.get("more_body", False) and len(first) <= limit_bytes:
        return io.BytesIO(first), len(first)
    return await _gather(receive, message, limit_bytes)


def _expects_continue(scope: "HTTPScope", limit_bytes: int) -> bool:
    """Whether the client waits for leave to send a body over the limit (RFC 9110, section 10.1.1)."""
    headers = dict(scope["headers"])
    declared = headers.get(b"content-length", b"")
    return b"expect" in headers and declared.isdigit() and int(declared) > limit_bytes


async def _gather(
    receive: "ASGIReceiveCallable", message: "HTTPRequestEvent", limit_bytes: int
) -> tuple[IO[bytes] | TooLargeBody, int]:
    length = 0
    with ExitStack() as on_failure:
        stream = on_failure.enter_context(SpooledTemporaryFile(_IN_MEMORY_BYTES))
        while True:
            chunk = message.get("body", b"")
            length += len(chunk)
            if length <= limit_bytes:
                stream.write(chunk)
            if not message.get("more_body", False) or length > limit_bytes + _DROPPED_BYTES:
                break
            message = await _next(receive)
        if length > limit_bytes:
            return TooLargeBody(limit_bytes), length
        on_failure.pop_all()
    stream.seek(0)
    return cast("IO[bytes]", stream), length


async def _next(receive: "ASGIReceiveCallable") -> "HTTPRequestEvent":
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnected
    return cast("HTTPRequestEvent", message)
