"""Requests to AWS over connections that are kept open: one HTTP client for SQS, Secrets Manager and CloudFormation.

It needs no thread, and neither the 400 ms that importing boto3 adds to a cold start nor the 50 to 130 ms of httpx. h11
parses the responses.

Source: RFC 9112 (HTTP/1.1); AWS JSON protocol.
"""

import asyncio
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from typing import Any
from urllib.parse import SplitResult, urlsplit

import h11
import msgspec

from decant import runtime
from decant._aws import AwsSettings
from decant._aws.credentials import credentials
from decant._aws.sigv4 import Scope, signed
from decant.config import load
from decant.errors import AwsUnavailable

__all__ = ["Response", "call", "request"]

_CONNECT_TIMEOUT_S = 2.0
_READ_BYTES = 64 * 1024


class Response(msgspec.Struct, frozen=True):
    """A response.

    Attributes:
        status: HTTP status.
    """

    status: int
    body: bytes


class _Error(msgspec.Struct):
    type: str = msgspec.field(name="__type", default="")
    message: str = ""


async def call(service: str, target: str, document: Any, *, url: str | None = None, timeout_s: float = 5.0) -> Any:
    """Call an operation of an API that uses the AWS JSON protocol.

    Args:
        service: Name of the service in its host name and in signatures, such as `sqs`.
        target: Value of `X-Amz-Target`, such as `AmazonSQS.SendMessageBatch`.
        document: The operation's input; anything that msgspec encodes.
        url: Address of the service; by default AWS's own. `AWS_ENDPOINT_URL` overrides both.
        timeout_s: Longest wait for the whole response, seconds.
    Returns:
        The operation's output.
    Raises:
        AwsUnavailable: there was no response, or it is an error; retrying may help unless `code` says otherwise.
        CredentialsUnavailable: there are no AWS credentials.
    """
    settings = load(AwsSettings)
    url = settings.endpoint_url or url or f"https://{service}.{settings.region}.amazonaws.com/"
    version = "1.0" if service == "sqs" else "1.1"
    headers = {"Content-Type": f"application/x-amz-json-{version}", "X-Amz-Target": target}
    body = msgspec.json.encode(document)
    scope = Scope(service=service, region=settings.region, at=datetime.now(UTC))
    response = await request("POST", url, signed(url, headers, body, await credentials(), scope), body, timeout_s)
    try:
        if response.status == HTTPStatus.OK:
            return msgspec.json.decode(response.body)
        error = msgspec.json.decode(response.body, type=_Error)
    except msgspec.DecodeError:
        error = _Error(message=response.body[:500].decode(errors="replace"))
    code = error.type.rpartition("#")[2]
    raise AwsUnavailable(f"{target}: {response.status} {code} {error.message}".rstrip(), code)


async def request(method: str, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> Response:
    """Send a request and read its response.

    A connection that was closed while it was idle, or while this process was frozen, is noticed when it is used. The
    request is then sent again on another connection, and the server may have received it twice.

    Args:
        method: HTTP method.
        url: http or https.
        headers: All headers but Host and Content-Length.
        body: The body.
        timeout_s: Longest wait for the whole response, seconds.
    Raises:
        AwsUnavailable: the server cannot be reached, is too slow, or its response is not HTTP; retrying may help.
    """
    target = urlsplit(url)
    path = f"{target.path or '/'}?{target.query}" if target.query else target.path or "/"
    head = [("Host", target.netloc), ("Content-Length", str(len(body))), *headers.items()]
    try:
        async with asyncio.timeout(timeout_s):
            return await _exchange(target, h11.Request(method=method, target=path, headers=head), body)
    except (OSError, TimeoutError, h11.ProtocolError) as error:
        raise AwsUnavailable(f"{target.netloc}: {type(error).__name__}: {error}") from error


class _Closed(ConnectionError):
    """The server closed the connection before a response began."""


class _Connection:
    """A connection to one server, used for one request after another."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self._state = h11.Connection(h11.CLIENT)

    async def exchange(self, head: h11.Request, body: bytes) -> Response:
        """Send a request and read its response."""
        state = self._state
        data = (state.send(head) or b"") + (state.send(h11.Data(body)) or b"") + (state.send(h11.EndOfMessage()) or b"")
        status, chunks = 0, []
        try:
            self.writer.write(data)
            await self.writer.drain()
            while not isinstance(event := await self._next_event(), h11.EndOfMessage):
                if isinstance(event, h11.Response):
                    status = event.status_code
                elif isinstance(event, h11.Data):
                    chunks.append(bytes(event.data))
        except ConnectionError as error:
            raise error if status else _Closed(str(error)) from error
        return Response(status, b"".join(chunks))

    async def _next_event(self) -> Any:
        while (event := self._state.next_event()) is h11.NEED_DATA:
            received = await self._reader.read(_READ_BYTES)
            if not received and self._state.their_state is h11.SEND_RESPONSE:
                raise _Closed("the server closed the connection without a response")
            self._state.receive_data(received)
        return event

    def is_reusable(self) -> bool:
        """Whether another request may follow; prepares the connection for it."""
        if self._state.our_state is not h11.DONE or self._state.their_state is not h11.DONE:
            return False
        self._state.start_next_cycle()
        return True


class _Connections(dict[str, list[_Connection]]):
    """Idle connections by scheme, host and port."""

    async def aclose(self) -> None:
        while self:
            for connection in self.popitem()[1]:
                connection.writer.close()


async def _exchange(target: SplitResult, head: h11.Request, body: bytes) -> Response:
    connections = runtime.current().client(_Connections, _Connections, _Connections.aclose)
    idle = connections.setdefault(f"{target.scheme}://{target.netloc}", [])
    while idle:
        try:
            return await _use(idle.pop(), head, body, idle)
        except _Closed:
            continue
    return await _use(await _connect(target), head, body, idle)


async def _connect(target: SplitResult) -> _Connection:
    context = _tls_context() if target.scheme == "https" else None
    async with asyncio.timeout(_CONNECT_TIMEOUT_S):
        port = target.port or (443 if context else 80)
        return _Connection(*await asyncio.open_connection(target.hostname, port, ssl=context))


async def _use(connection: _Connection, head: h11.Request, body: bytes, idle: list[_Connection]) -> Response:
    reusable = False
    try:
        response = await connection.exchange(head, body)
        reusable = connection.is_reusable()
    finally:
        if reusable:
            idle.append(connection)
        else:
            connection.writer.close()
    return response


@cache
def _tls_context() -> ssl.SSLContext:
    import certifi  # noqa: PLC0415  # emulators are called without TLS

    return ssl.create_default_context(cafile=certifi.where())
