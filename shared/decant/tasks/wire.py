"""Just enough of HTTP/1.1 to call one service over and over: a POST, an answer with a length, connections kept open.

`make bench-tasks` shows why: beside it a call over httpx costs fifty times the processor time, and each enqueue is one.
What it does not do (redirects, proxies, answers without a length) no call to SQS needs.

Source: RFC 9112.
"""

import asyncio
import ssl
from collections.abc import Mapping
from functools import cache
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct

from decant import loop

__all__ = ["Answer", "WireError", "post"]

type Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_CONNECT_TIMEOUT_S = 2.0
_idle: dict[str, list[Connection]] = {}


class WireError(Exception):
    """There was no whole answer; whether the request was seen is not known."""


class Answer(Struct, frozen=True):
    """What came back.

    Attributes:
        status: HTTP status.
    """

    status: int
    body: bytes


async def post(url: str, headers: Mapping[str, str], content: bytes, timeout_s: float) -> Answer:
    """Send a request and read its answer.

    A connection that died while it was idle, or while this process was frozen, is noticed when it is used; the request
    is then sent again on another, and may have been seen twice.

    Args:
        url: http or https, with no query.
        headers: All but Host and Content-Length.
        content: The body.
        timeout_s: Longest wait for the whole answer, seconds.
    Raises:
        WireError: the service cannot be reached, is too slow, or does not answer in HTTP; retrying may help.
    """
    target = urlsplit(url)
    lines = [f"POST {target.path or '/'} HTTP/1.1", f"Host: {target.netloc}", f"Content-Length: {len(content)}"]
    head = "\r\n".join([*lines, *(f"{name}: {value}" for name, value in headers.items()), "", ""])
    try:
        async with asyncio.timeout(timeout_s):
            return await _exchange(target, head.encode("latin-1") + content)
    except (OSError, EOFError, TimeoutError, ValueError, asyncio.LimitOverrunError) as error:
        raise WireError(f"{target.netloc}: {type(error).__name__}: {error}") from error


async def _exchange(target: SplitResult, request: bytes) -> Answer:
    idle = _connections(f"{target.scheme}://{target.netloc}")
    while idle:
        try:
            return await _use(idle.pop(), request, idle)
        except (ConnectionError, asyncio.IncompleteReadError):
            continue  # it died meanwhile
    async with asyncio.timeout(_CONNECT_TIMEOUT_S):
        trust = _trust() if target.scheme == "https" else None
        connection = await asyncio.open_connection(target.hostname, target.port or (443 if trust else 80), ssl=trust)
    return await _use(connection, request, idle)


def _connections(origin: str) -> list[Connection]:
    if not _idle:
        loop.on_close(_close)
    return _idle.setdefault(origin, [])


async def _use(connection: Connection, request: bytes, idle: list[Connection]) -> Answer:
    reader, writer = connection
    keep = False
    try:
        writer.write(request)
        await writer.drain()
        status, headers = _parse(await reader.readuntil(b"\r\n\r\n"))
        body = await reader.readexactly(int(headers["content-length"]))
        keep = headers.get("connection", "").lower() != "close"
        return Answer(status, body)
    finally:
        if keep:
            idle.append(connection)
        else:
            writer.close()


def _parse(head: bytes) -> tuple[int, dict[str, str]]:
    """The status, and the headers by their names in small letters.

    Raises:
        ValueError: it is no answer in HTTP/1.1, or one without a length.
    """
    first, *lines = head.decode("latin-1").split("\r\n")
    protocol, status = first.split(" ", 2)[:2]
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    if protocol != "HTTP/1.1" or not headers.get("content-length", "").isdecimal():
        raise ValueError(f"{first[:100]!r} has no length, or is no answer in HTTP/1.1")
    return int(status), headers


@cache
def _trust() -> ssl.SSLContext:
    import certifi  # noqa: PLC0415  # emulators are called without TLS

    return ssl.create_default_context(cafile=certifi.where())


async def _close() -> None:
    """Close every connection; the next request opens one."""
    while _idle:
        for _, writer in _idle.popitem()[1]:
            writer.close()
