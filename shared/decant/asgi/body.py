"""The request's body: read whole before the app runs, large ones into a temporary file, too large ones not at all."""

import io
from tempfile import SpooledTemporaryFile
from typing import IO, NoReturn, cast

from werkzeug.exceptions import RequestEntityTooLarge

from decant.asgi.messages import Message, Receive, Scope

__all__ = ["ClientDisconnected", "TooLargeBody", "read"]

_IN_MEMORY_BYTES = 2 * 1024 * 1024
"""A longer body goes to a temporary file."""


class ClientDisconnected(Exception):  # what happened; nobody but the bridge sees it
    """The client went away before its request was whole."""


async def read(scope: Scope, receive: Receive, limit_bytes: int) -> tuple[IO[bytes], int]:
    """Read the body to its end.

    Args:
        scope: Of the ASGI request; one that declares a body over the limit is not read at all.
        receive: The request's own.
        limit_bytes: Largest body that is taken.
    Returns:
        A stream at its beginning and the body's length; for one over the limit a `TooLargeBody`.
    Raises:
        ClientDisconnected: there is nobody left to answer.
    """
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > limit_bytes:
            return cast("IO[bytes]", TooLargeBody(limit_bytes)), int(value)
    message = await _next(receive)
    first: bytes = message.get("body", b"")
    if not message.get("more_body", False) and len(first) <= limit_bytes:
        return io.BytesIO(first), len(first)
    return await _spool(receive, message, limit_bytes)


async def _spool(receive: Receive, message: Message, limit_bytes: int) -> tuple[IO[bytes], int]:
    stream: IO[bytes] = cast("IO[bytes]", SpooledTemporaryFile(_IN_MEMORY_BYTES))  # noqa: SIM115  # the bridge closes it
    length = 0
    try:
        while True:
            length += stream.write(message.get("body", b""))
            if length > limit_bytes:
                stream.close()
                return cast("IO[bytes]", TooLargeBody(limit_bytes)), length
            if not message.get("more_body", False):
                stream.seek(0)
                return stream, length
            message = await _next(receive)
    except BaseException:
        stream.close()
        raise


async def _next(receive: Receive) -> Message:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnected
    return message


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
