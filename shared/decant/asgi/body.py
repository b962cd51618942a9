"""The request's body: read whole before the app runs, large ones into a temporary file, too large ones not at all."""

import io
from collections.abc import Awaitable, Callable, MutableMapping
from tempfile import SpooledTemporaryFile
from typing import IO, Any, NoReturn, cast

from werkzeug.exceptions import RequestEntityTooLarge

__all__ = ["ClientDisconnected", "TooLargeBody", "read"]

_IN_MEMORY_BYTES = 2 * 1024 * 1024
"""A longer body goes to a temporary file."""


class ClientDisconnected(Exception):  # what happened; nobody but the bridge sees it
    """The client went away before its request was whole."""


async def read(
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]], declared: bytes | None, limit_bytes: int
) -> tuple[IO[bytes], int]:
    """Read the body to its end.

    Args:
        receive: The ASGI request's own.
        declared: The Content-Length header, if there was one.
        limit_bytes: Largest body that is taken.
    Returns:
        A stream at its beginning and the body's length; for one over the limit a `TooLargeBody`.
    Raises:
        ClientDisconnected: there is nobody left to answer.
    """
    if declared is not None and declared.isdigit() and int(declared) > limit_bytes:
        return cast("IO[bytes]", TooLargeBody(limit_bytes)), int(declared)
    message = await _next(receive)
    first: bytes = message.get("body", b"")
    if not message.get("more_body", False) and len(first) <= limit_bytes:
        return io.BytesIO(first), len(first)
    return await _spool(receive, message, limit_bytes)


async def _spool(
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]], message: MutableMapping[str, Any], limit_bytes: int
) -> tuple[IO[bytes], int]:
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


async def _next(receive: Callable[[], Awaitable[MutableMapping[str, Any]]]) -> MutableMapping[str, Any]:
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
