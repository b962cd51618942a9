"""HTTP/1.1 connections that are kept open between requests; h11 writes and parses the messages.

Source: RFC 9112.
"""

import asyncio
import ssl
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import SplitResult, urlsplit

import h11

from decant import runtime

__all__ = ["exchange"]

_CONNECT_TIMEOUT_S = 2.0
_READ_BYTES = 64 * 1024


class _Closed(ConnectionError):
    """The server closed the connection before a response began."""


class _Connection:
    """A connection to one server, used for successive requests."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self._state = h11.Connection(h11.CLIENT)

    async def exchange(self, head: h11.Request, body: bytes) -> tuple[int, bytes]:
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
        return status, b"".join(chunks)

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


async def exchange(method: str, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
    """Send a request and read its response's status and body.

    Args:
        method: HTTP method.
        url: http or https.
        headers: All headers but Host and Content-Length.
        body: The body.
    Raises:
        OSError: the server cannot be reached, or closed the connection.
        ValueError: the response is not HTTP/1.1.
    """
    target = urlsplit(url)
    path = f"{target.path or '/'}?{target.query}" if target.query else target.path or "/"
    fields = [("Host", target.netloc), ("Content-Length", str(len(body))), *headers.items()]
    try:
        return await _exchange(target, h11.Request(method=method, target=path, headers=fields), body)
    except h11.ProtocolError as error:
        raise ValueError(str(error)) from error


async def _exchange(target: SplitResult, head: h11.Request, body: bytes) -> tuple[int, bytes]:
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


async def _use(connection: _Connection, head: h11.Request, body: bytes, idle: list[_Connection]) -> tuple[int, bytes]:
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
