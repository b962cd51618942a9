"""The shared httpx client: built at first use, once per runtime and event loop.

Warm invocations reuse its connections. A connection that the server closed while this process was frozen is noticed
when it is used, and that request is sent again on a new connection.
"""

import asyncio
import zlib
from typing import Any

import httpx
import msgspec

from decant import runtime
from decant.config import count, load, seconds, setting, settings_group
from decant.errors import UpstreamError, UpstreamTimeout
from decant.tracing import Kind, current, outgoing_headers

__all__ = ["HttpSettings", "client", "get_json", "post_json"]


@settings_group
class HttpSettings:
    """Settings of the shared HTTP client."""

    timeout_s: float = setting("HTTP_TIMEOUT_S", seconds, "Longest wait for another service, seconds", default=10.0)
    connect_timeout_s: float = setting(
        "HTTP_CONNECT_TIMEOUT_S", seconds, "Longest wait for a connection to another service, seconds", default=3.0
    )
    max_connections: int = setting(
        "HTTP_MAX_CONNECTIONS", count, "Maximum number of connections of the shared HTTP client", default=100
    )
    max_response_bytes: int = setting(
        "HTTP_MAX_RESPONSE_BYTES",
        count,
        "Largest JSON document read from another service, bytes",
        default=2**23,
    )


def client() -> httpx.AsyncClient:
    """The runtime's client for the running event loop, with the timeouts and limits of the settings.

    Raises:
        ConfigError: the settings are bad.
    """
    return runtime.current().client(httpx.AsyncClient, _build, httpx.AsyncClient.aclose)


runtime.warm_up(client)


def _build() -> httpx.AsyncClient:
    settings = load(HttpSettings)
    limits = httpx.Limits(max_connections=settings.max_connections)
    return httpx.AsyncClient(
        timeout=httpx.Timeout(settings.timeout_s, connect=settings.connect_timeout_s),
        transport=_RetryOnDeadConnection(limits=limits),
        follow_redirects=False,
    )


async def get_json(url: str) -> Any:
    """GET a JSON document.

    Args:
        url: Absolute address; never one that comes from a request.
    Returns:
        The document, as `json.loads` makes it.
    Raises:
        UpstreamTimeout: there was no complete response within HTTP_TIMEOUT_S; retrying may help.
        UpstreamError: the service could not be reached, or its response has an error status, is not JSON (RFC 8259: NaN
            and lone surrogates are not), is nested too deeply, or is larger than HTTP_MAX_RESPONSE_BYTES.
    """
    return await _request_json("GET", url)


async def post_json(url: str, document: Any) -> Any:
    """POST a JSON document and read the JSON response. The request is not repeated after a lost connection.

    Args:
        url: Absolute address; never one that comes from a request.
        document: The body, anything that `json.dumps` takes.
    Returns:
        The response's document; None when its body is empty.
    Raises:
        UpstreamTimeout: there was no complete response within HTTP_TIMEOUT_S; it may have processed the request.
        UpstreamError: the service could not be reached, or its response has an error status or is not JSON.
    """
    return await _request_json("POST", url, json=document)


async def _request_json(method: str, url: str, **given: Any) -> Any:
    settings = load(HttpSettings)
    headers = {"Accept": "application/json", "Accept-Encoding": "gzip"}
    try:
        async with (
            asyncio.timeout(settings.timeout_s),
            client().stream(method, url, headers=headers, **given) as response,
        ):
            response.raise_for_status()
            body = await _read(response, settings.max_response_bytes)
        return msgspec.json.decode(body) if body or method == "GET" else None
    except (TimeoutError, httpx.TimeoutException) as error:
        raise UpstreamTimeout("The upstream service did not respond in time.") from error
    except httpx.HTTPStatusError as error:
        raise UpstreamError(f"The upstream service responded with {error.response.status_code}.") from error
    except (httpx.HTTPError, zlib.error) as error:
        raise UpstreamError("The upstream service could not be reached.") from error
    except (ValueError, RecursionError) as error:
        raise UpstreamError("The upstream service did not respond with JSON.") from error


async def _read(response: httpx.Response, limit_bytes: int) -> bytes:
    """Read a response's body, and decompress no more of it than the limit: httpx would decompress any amount.

    Raises:
        UpstreamError: it is larger, or encoded in a way that was not asked for.
    """
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding not in {"identity", "gzip"}:
        raise UpstreamError(f"The upstream service responded with the encoding {encoding[:20]!r}.")
    gzip = zlib.decompressobj(wbits=_GZIP) if encoding == "gzip" else None
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += gzip.decompress(chunk, limit_bytes + 1) if gzip else chunk
        if len(body) > limit_bytes:
            raise UpstreamError(f"The upstream service responded with more than {limit_bytes} bytes.")
    return bytes(body)


_GZIP = 16 + zlib.MAX_WBITS


class _RetryOnDeadConnection(httpx.AsyncHTTPTransport):
    """Sends a request again when its connection turned out to be closed before a response began.

    Only for idempotent methods: it is not known whether the server saw the first request.

    Source: RFC 9110, section 9.2.2 (idempotent methods).
    """

    _REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if (parent := current.get()) is None:
            return await self._send(request)
        url = request.url
        attributes = {
            "http.request.method": request.method,
            "url.full": f"{url.scheme}://{url.netloc.decode()}{url.path}",  # a query may contain secrets
            "server.address": url.host,
            "server.port": url.port,
        }
        with parent.child(request.method, Kind.CLIENT, attributes) as span:
            request.headers.update(outgoing_headers(span, parent))
            response = await self._send(request)
            span.set({"http.response.status_code": response.status_code})
            if response.is_error:
                span.fail(str(response.status_code), response.reason_phrase)
            return response

    async def _send(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            if request.method not in self._REPEATABLE or not isinstance(request.stream, httpx.ByteStream):
                raise
            return await super().handle_async_request(request)
