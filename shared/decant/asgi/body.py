"""Read the request body before the app runs.

Bodies over 2 MiB are spooled to a temporary file. Bodies over the limit are discarded and rejected with 413.
"""

import io
from contextlib import ExitStack
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, cast

from decant.web.environ import TooLargeBody

if TYPE_CHECKING:
    from asgiref.typing import ASGIReceiveCallable, HTTPRequestEvent, HTTPScope

__all__ = ["ClientDisconnected", "read"]

_IN_MEMORY_BYTES = 2 * 1024 * 1024
"""Maximum size of a body that is kept in memory."""

_DROPPED_BYTES = 64 * 1024 * 1024
"""Bytes beyond the limit that are read and discarded: a client that cannot send does not read its response."""


class ClientDisconnected(Exception):
    """The client disconnected before the end of its request body."""


async def read(
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
    pieces: list[bytes] = []
    file: IO[bytes] | None = None
    length = 0
    with ExitStack() as on_failure:
        while True:
            pieces.append(message.get("body", b""))
            length += len(pieces[-1])
            if length > limit_bytes:
                pieces.clear()
            elif length > _IN_MEMORY_BYTES:
                file = file or on_failure.enter_context(TemporaryFile())
                file.writelines(pieces)
                pieces.clear()
            if not message.get("more_body", False) or length > limit_bytes + _DROPPED_BYTES:
                break
            message = await _next(receive)
        if length > limit_bytes:
            return TooLargeBody(limit_bytes), length
        on_failure.pop_all()
    stream = file or io.BytesIO(b"".join(pieces))
    stream.seek(0)
    return stream, length


async def _next(receive: "ASGIReceiveCallable") -> "HTTPRequestEvent":
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnected
    return cast("HTTPRequestEvent", message)
