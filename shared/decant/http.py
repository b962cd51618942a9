"""The shared httpx client: built at first use, once per process, on the process's one loop.

Warm invocations reuse its connections. A connection that the other side closed while this process was frozen is
noticed when it is used, and that request is sent once more on a new one.
"""

import asyncio
from typing import Any

import httpx

from decant import loop, snapstart
from decant.config import settings
from decant.errors import UpstreamError, UpstreamTimeout

__all__ = ["client", "close", "get_json"]

_client: httpx.AsyncClient | None = None


def client() -> httpx.AsyncClient:
    """The process's client, with the timeouts and limits of the settings.

    Raises:
        ConfigError: the settings are bad.
    """
    global _client  # noqa: PLW0603  # one client per process is what this module is for
    if _client is None:
        ours = settings()
        limits = httpx.Limits(max_connections=ours.http_max_connections)
        _client = httpx.AsyncClient(
            timeout=httpx.Timeout(ours.http_timeout_s, connect=ours.http_connect_timeout_s),
            transport=_RetryOnDeadConnection(httpx.AsyncHTTPTransport(limits=limits)),
            follow_redirects=False,
        )
        loop.on_close(close)
    return _client


snapstart.prepare(client)


async def get_json(url: str) -> Any:
    """GET a JSON document.

    Args:
        url: Absolute address; never one that a caller of ours names.
    Returns:
        The document, as `json.loads` makes it.
    Raises:
        UpstreamTimeout: there was no whole answer within HTTP_TIMEOUT_S; retrying may help.
        UpstreamError: it could not be reached, answered with an error status, or answered no JSON.
    """
    try:
        async with asyncio.timeout(settings().http_timeout_s):
            answer = await client().get(url, headers={"Accept": "application/json"})
        answer.raise_for_status()
        return answer.json()
    except (TimeoutError, httpx.TimeoutException) as error:
        raise UpstreamTimeout("The upstream service did not answer in time.") from error
    except httpx.HTTPStatusError as error:
        raise UpstreamError(f"The upstream service answered {error.response.status_code}.") from error
    except httpx.HTTPError as error:
        raise UpstreamError("The upstream service could not be reached.") from error
    except ValueError as error:
        raise UpstreamError("The upstream service did not answer with JSON.") from error


async def close() -> None:
    """Close every connection; the next use builds the client anew."""
    global _client  # likewise
    closed, _client = _client, None
    if closed is not None:
        await closed.aclose()


class _RetryOnDeadConnection(httpx.AsyncBaseTransport):
    """Sends a request once more when its connection turned out to be dead before an answer began.

    Only for methods that may be repeated: whether the other side saw the first try cannot be known.

    Source: RFC 9110, section 9.2.2 (idempotent methods).
    """

    _REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await self._inner.handle_async_request(request)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            if request.method not in self._REPEATABLE or not isinstance(request.stream, httpx.ByteStream):
                raise
            return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()
