"""HTTP requests over connections that are kept open, for AWS's APIs and for the export of traces.

It needs no thread, and neither the 400 ms that importing boto3 adds to a cold start nor the 50 to 130 ms of httpx.

Every enqueue sends such a request. With h11 a request takes 65 to 95 µs more processor time, a fourth of an enqueue,
and with httpx ten times as much. The client therefore parses responses itself: those with a Content-Length, as AWS's
APIs send them, those in chunks, and those that end with the connection. It rejects all others.

Source: RFC 9112 (HTTP/1.1).
"""

import asyncio
import ssl
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from decant import runtime
from decant.errors import AwsUnavailable

__all__ = ["Response", "request"]

type _Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_CONNECT_TIMEOUT_S = 2.0


class Response(NamedTuple):
    """A response.

    Attributes:
        status: HTTP status.
    """

    status: int
    body: bytes


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
    try:
        async with asyncio.timeout(timeout_s):
            return await _exchange(method, url, headers, body)
    except (OSError, TimeoutError, ValueError) as error:
        raise AwsUnavailable(f"{url.partition('?')[0]}: {type(error).__name__}: {error}") from error


async def _exchange(method: str, url: str, headers: Mapping[str, str], body: bytes) -> Response:
    target = urlsplit(url)
    path = f"{target.path or '/'}?{target.query}" if target.query else target.path or "/"
    lines = [f"{method} {path} HTTP/1.1", f"Host: {target.netloc}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    message = "\r\n".join([*lines, "", ""]).encode("latin-1") + body
    connections = runtime.current().client(_Connections, _Connections, _Connections.aclose)
    idle = connections.setdefault(f"{target.scheme}://{target.netloc}", [])
    while idle:
        try:
            return await _use(idle.pop(), message, idle)
        except ConnectionError:
            continue  # the server closed the connection while it was idle
    return await _use(await _connect(target), message, idle)


class _Connections(dict[str, list[_Connection]]):
    """Idle connections by scheme, host and port."""

    async def aclose(self) -> None:
        while self:
            for _, writer in self.popitem()[1]:
                writer.close()


async def _connect(target: SplitResult) -> _Connection:
    context = _tls_context() if target.scheme == "https" else None
    async with asyncio.timeout(_CONNECT_TIMEOUT_S):
        port = target.port or (443 if context else 80)
        return await asyncio.open_connection(target.hostname, port, ssl=context)


async def _use(connection: _Connection, message: bytes, idle: list[_Connection]) -> Response:
    reader, writer = connection
    reusable = False
    try:
        writer.write(message)
        await writer.drain()
        status, headers = _parse_head(await reader.readuntil(b"\r\n\r\n"))
        reusable_after = headers.get("connection", "").lower() != "close"
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = await _read_chunks(reader)
            reusable = reusable_after
        elif (length := headers.get("content-length")) is not None:
            body = await reader.readexactly(int(length))
            reusable = reusable_after
        else:
            body = await reader.read()
    except asyncio.IncompleteReadError as error:
        raise ConnectionError("the server closed the connection before the response was complete") from error
    except asyncio.LimitOverrunError as error:
        raise ValueError("the response's headers are too long") from error
    finally:
        if reusable:
            idle.append(connection)
        else:
            writer.close()
    return Response(status, body)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        body += (await reader.readexactly(size + 2))[:-2]
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass  # trailers
    return bytes(body)


def _parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    """The status, and the headers by their names in lower case."""
    first, *lines = head.decode("latin-1").split("\r\n")
    protocol, status = first.split(" ", 2)[:2]
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    if protocol not in {"HTTP/1.1", "HTTP/1.0"} or headers.get("transfer-encoding", "chunked").lower() != "chunked":
        raise ValueError(f"the response {first[:100]!r} is not HTTP/1 or has another transfer encoding than chunked")
    return int(status), headers


@cache
def _tls_context() -> ssl.SSLContext:
    import certifi  # noqa: PLC0415  # emulators are called without TLS

    return ssl.create_default_context(cafile=certifi.where())
