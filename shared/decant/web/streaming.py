"""Responses that are sent while the app makes them, through Lambda's Runtime API.

`decant.web.runtime_loop` calls `LambdaAdapter.stream` with a `ResponseConnection`. The response begins with metadata:
status and headers as JSON, and eight NUL bytes. The chunks of the body follow as they are.

Source: AWS Lambda Developer Guide, "Building a custom runtime" (response streaming); API Gateway Developer Guide,
"Lambda proxy integration format for response streaming".
"""

import asyncio
import json
from base64 import b64encode
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Self, cast

from decant._sync.greenlets import await_
from decant.web.wsgi import Response

if TYPE_CHECKING:
    from asgiref.typing import ASGIReceiveEvent

__all__ = ["ClientDisconnected", "ResponseConnection", "StreamedResponse"]

_HEAD = """\
POST /2018-06-01/runtime/invocation/{request_id}/response HTTP/1.1\r
Host: {address}\r
Content-Type: application/vnd.awslambda.http-integration-response\r
Lambda-Runtime-Function-Response-Mode: streaming\r
Transfer-Encoding: chunked\r
Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r
Connection: close\r
\r
"""
_END_OF_METADATA = bytes(8)


class ClientDisconnected(Exception):
    """The client, or Lambda in its place, accepts no more of the response."""


class ResponseConnection(asyncio.Protocol):
    """The call of the Runtime API that carries one response.

    `send` returns when the Runtime API has accepted the bytes, so that the app makes the next chunk as fast as the
    client reads.

    Args:
        head: The call's request line and headers.
    """

    def __init__(self, head: bytes) -> None:
        self._head = head
        self._transport = cast("asyncio.WriteTransport", None)  # before `connection_made`
        self._writable = asyncio.Event()
        self._writable.set()
        self._ended = asyncio.Event()

    @classmethod
    async def open(cls, address: str, request_id: str) -> Self:
        """Connect to the Runtime API and begin the response of an invocation.

        Args:
            address: `host:port`, of AWS_LAMBDA_RUNTIME_API.
            request_id: Id of the invocation.
        """
        host, _, port = address.rpartition(":")
        head = _HEAD.format(request_id=request_id, address=address).encode()
        _, connection = await asyncio.get_running_loop().create_connection(partial(cls, head), host, int(port))
        return connection

    async def send(self, data: bytes) -> None:
        """Send a part of the response.

        Raises:
            ClientDisconnected: it is no longer accepted.
        """
        if self._ended.is_set():
            raise ClientDisconnected
        # Not `writelines`, which does not pause the protocol (CPython gh-127655).
        self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        if self._writable.is_set():
            await asyncio.sleep(0)  # the event loop notices a disconnect, also when the app never waits
        else:
            await self._writable.wait()

    async def finish(self, error: BaseException | None = None) -> None:
        """Complete the response and wait until the Runtime API has received it; a disconnect is no error.

        Args:
            error: Error after which the response is incomplete; sent as trailers.
        """
        if not self._ended.is_set():
            self._transport.write(b"0\r\n%s\r\n" % (b"" if error is None else _trailers(error)))
            await self._ended.wait()
        self._transport.close()

    async def receive(self) -> "ASGIReceiveEvent":
        """ASGI's `receive` after the request's body: wait until the client disconnects."""
        await self._ended.wait()
        return {"type": "http.disconnect"}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the head; later keep no data in this process beyond the chunk that is being sent."""
        self._transport = cast("asyncio.WriteTransport", transport)
        self._transport.set_write_buffer_limits(0)
        self._transport.write(self._head)

    def pause_writing(self) -> None:
        """The kernel's buffer is full."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The kernel has taken everything."""
        self._writable.set()

    def data_received(self, _data: bytes) -> None:
        """The Runtime API has replied: the response is complete, or the rest of it is not accepted."""
        self._ended.set()

    def connection_lost(self, _error: Exception | None) -> None:
        """The Runtime API has closed the connection."""
        self._ended.set()
        self._writable.set()


class StreamedResponse(Response):
    """A response whose chunks are sent one after the other.

    Args:
        connection: Carries it.
        metadata: Makes the metadata of status and headers; names of headers are in lower case.
        head_request: The method is HEAD: the response has no body.
        https: Whether the client uses HTTPS, for the default headers; None leaves them out.
    """

    __slots__ = ("_connection", "_make_metadata", "_metadata")

    def __init__(
        self,
        connection: ResponseConnection,
        metadata: Callable[[int, list[tuple[str, str]]], dict[str, Any]],
        *,
        head_request: bool,
        https: bool | None = None,
    ) -> None:
        super().__init__(head_request=head_request, https=https)
        self._connection = connection
        self._make_metadata = metadata
        self._metadata = b""

    def send_headers(self, status: int, headers: list[tuple[str, str]]) -> None:
        """Keep the metadata for the chunk that follows at once."""
        self._metadata = json.dumps(self._make_metadata(status, headers)).encode() + _END_OF_METADATA

    def send_body(self, chunk: bytes, *, more: bool) -> None:  # noqa: ARG002  # `ResponseConnection.finish` ends it
        """Send a chunk; must be called in a greenlet."""
        metadata, self._metadata = self._metadata, b""
        if metadata or chunk:
            await_(self._connection.send(metadata + chunk if metadata else chunk))


def _trailers(error: BaseException) -> bytes:
    kind = type(error).__name__
    body = b64encode(json.dumps({"errorType": kind, "errorMessage": str(error)}).encode()).decode()
    return f"Lambda-Runtime-Function-Error-Type: {kind}\r\nLambda-Runtime-Function-Error-Body: {body}\r\n".encode()
