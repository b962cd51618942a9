"""The request's body: read whole before the app runs, a large one into a temporary file, one too large into nothing."""

import io
from contextlib import ExitStack
from tempfile import TemporaryFile
from typing import IO, NoReturn, cast

from werkzeug.exceptions import RequestEntityTooLarge

from decant.asgi.messages import Message, Receive, Scope

__all__ = ["ClientDisconnected", "TooLargeBody", "read", "too_large"]

_IN_MEMORY_BYTES = 2 * 1024 * 1024
"""A longer body goes to a temporary file."""

_DROPPED_BYTES = 64 * 1024 * 1024
"""How much beyond the limit is still read, and dropped: a client that cannot send does not look for its answer."""


class ClientDisconnected(Exception):
    """The client went away before its request was whole; nobody but the bridge sees it."""


async def read(scope: Scope, receive: Receive, limit_bytes: int) -> tuple[IO[bytes], int]:
    """Read the body to its end.

    Args:
        scope: Of the ASGI request.
        receive: The request's own.
        limit_bytes: Largest body that is taken.
    Returns:
        A stream at its beginning, to be closed, and the body's length; for one over the limit a `TooLargeBody`.
    Raises:
        ClientDisconnected: there is nobody left to answer.
    """
    if _waits_to_be_refused(scope, limit_bytes):
        return too_large(limit_bytes), limit_bytes + 1
    message = await _next(receive)
    first: bytes = message.get("body", b"")
    if not message.get("more_body", False) and len(first) <= limit_bytes:
        return io.BytesIO(first), len(first)
    return await _gather(receive, message, limit_bytes)


def too_large(limit_bytes: int) -> IO[bytes]:
    """A `TooLargeBody`, as the stream that it stands for."""
    return cast("IO[bytes]", TooLargeBody(limit_bytes))


class TooLargeBody(io.RawIOBase):
    """Stands for a body over the limit: whoever reads it gets the 413."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__()
        self.error = RequestEntityTooLarge(f"The body may be at most {limit_bytes} bytes.")

    def readable(self) -> bool:
        """Yes, so that readers come and get the error."""
        return True

    def readinto(self, _buffer: object) -> NoReturn:
        """Raise the 413."""
        raise self.error


def _waits_to_be_refused(scope: Scope, limit_bytes: int) -> bool:
    """Whether the client asks before it sends (RFC 9110, section 10.1.1), and may save itself the trouble."""
    headers = dict(scope["headers"])
    declared = headers.get(b"content-length", b"")
    return b"expect" in headers and declared.isdigit() and int(declared) > limit_bytes


async def _gather(receive: Receive, message: Message, limit_bytes: int) -> tuple[IO[bytes], int]:
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
            return too_large(limit_bytes), length
        on_failure.pop_all()
    stream = file or io.BytesIO(b"".join(pieces))
    stream.seek(0)
    return stream, length


async def _next(receive: Receive) -> Message:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnected
    return message
