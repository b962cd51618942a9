"""The server's side of WSGI: the environ, with the request's body, and the response with `start_response` and `write`.

Source: PEP 3333 (WSGI), RFC 3875 (CGI), RFC 9113 section 8.2.3 (cookies), RFC 6585 section 5 (status 431), RFC 9110
sections 6.4.1 (content) and 7.6.1 (hop-by-hop), ASGI specification (HTTP response).
"""

import io
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, NoReturn

from werkzeug.exceptions import RequestEntityTooLarge, RequestHeaderFieldsTooLarge

if TYPE_CHECKING:
    from asgiref.typing import ASGISendEvent, HTTPResponseBodyEvent

__all__ = [
    "AsgiResponse",
    "BufferedResponse",
    "Response",
    "TooLargeBody",
    "add_body",
    "add_headers",
    "base",
    "to_wsgi_string",
]

_MAX_HEADERS = 1000
"""API Gateway and Hypercorn limit the bytes of all headers, which leaves room for tens of thousands of short ones."""

_DROPPED = frozenset({"CONTENT_LENGTH", "TRANSFER_ENCODING"})
"""Headers that describe the body in transit. The app gets the whole body, with its real length."""


def base(method: str, root: str, path: str, query: str) -> dict[str, Any]:
    """The variables that do not depend on the server or gateway.

    Args:
        method: HTTP method.
        root: Path below which the app is mounted, percent-decoded.
        path: The rest of the path, percent-decoded.
        query: The query string as it was sent.
    """
    if not (path.isascii() and root.isascii()):
        root, path = to_wsgi_string(root), to_wsgi_string(path)
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": root,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.errors": sys.stderr,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }


class TooLargeBody(io.RawIOBase):
    """In place of a body over the limit: reading it raises 413, and so does the app before it runs a view.

    Attributes:
        error: The 413.
    """

    def __init__(self, limit_bytes: int) -> None:
        super().__init__()
        self.error = RequestEntityTooLarge(f"The body may be at most {limit_bytes} bytes.")

    def readable(self) -> bool:
        """True, so that readers call `readinto`."""
        return True

    def readinto(self, _buffer: object) -> NoReturn:
        """Raise the 413."""
        raise self.error


def add_body(environ: dict[str, Any], body: IO[bytes] | TooLargeBody, length: int) -> None:
    """Add the request's body, whose real length is known."""
    environ["CONTENT_LENGTH"] = str(length)
    environ["wsgi.input"] = body
    environ["wsgi.input_terminated"] = True


def add_headers(environ: dict[str, Any], headers: Sequence[tuple[str, str]]) -> None:
    """Add headers, whose values are WSGI strings; repeated ones are joined.

    Raises:
        RequestHeaderFieldsTooLarge: there are more than 1,000.
    """
    if len(headers) > _MAX_HEADERS:
        raise RequestHeaderFieldsTooLarge(f"The request may have at most {_MAX_HEADERS} headers.")
    repeated: dict[str, list[str]] = {}
    for name, value in headers:
        key = _key(name)
        if key is None:
            continue
        if key in environ and key != "CONTENT_TYPE":
            repeated.setdefault(key, [environ[key]]).append(value)
        else:
            environ[key] = value
    for key, values in repeated.items():
        environ[key] = ("; " if key == "HTTP_COOKIE" else ",").join(values)


def to_wsgi_string(text: str) -> str:
    """The UTF-8 bytes of a text, decoded as Latin-1: PEP 3333's "bytes-as-unicode"."""
    return text.encode().decode("latin-1")


@lru_cache(maxsize=1024)
def _key(header: str) -> str | None:
    """The environ's key for a header; None for a header that the app must not see.

    A name with an underscore is dropped: it would be taken for the name with a hyphen, which a proxy may have verified.
    """
    name = header.upper().replace("-", "_")
    if "_" in header or name in _DROPPED:
        return None
    return name if name == "CONTENT_TYPE" else f"HTTP_{name}"


_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_NO_CONTENT = frozenset({204, 304})
_HSTS = "max-age=31536000"

type _ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


class Response(ABC):
    """A response on its way from the app to the server or gateway.

    Args:
        head_request: The method is HEAD: the response has no body.
        https: Whether the client uses HTTPS, for the default headers; None leaves them out.

    Attributes:
        headers_sent: Status and headers were sent and can no longer change.
        complete: The last byte was sent.
    """

    __slots__ = (
        "_bodiless",
        "_head_request",
        "_headers",
        "_https",
        "_remaining",
        "complete",
        "headers_sent",
        "status",
    )

    def __init__(self, *, head_request: bool, https: bool | None = None) -> None:
        self._head_request = head_request
        self._https = https
        self.status = 0
        self._headers: list[tuple[str, str]] = []
        self._remaining: int | None = None
        self._bodiless = False
        self.headers_sent = False
        self.complete = False

    @abstractmethod
    def send_headers(self, status: int, headers: list[tuple[str, str]]) -> None:
        """Send the status and the headers, with names in lower case; called once, before any chunk."""

    @abstractmethod
    def send_body(self, chunk: bytes, *, more: bool) -> None:
        """Send a chunk of the body; the last chunk may be empty."""

    def start(
        self, status: str, headers: Iterable[tuple[str, str]], exc_info: _ExcInfo | None = None
    ) -> Callable[[bytes], None]:
        """WSGI's start_response; nothing is sent before the first chunk."""
        if exc_info is not None and exc_info[1] is not None and self.headers_sent:
            raise exc_info[1].with_traceback(exc_info[2])
        if self.status and exc_info is None:
            raise RuntimeError("start_response() was called twice")
        self.status = int(status[:3])
        self._bodiless = self._head_request or self.status in _NO_CONTENT
        self._remaining = None
        self._headers = []
        for name, value in headers:
            lower = name.lower()
            if lower in _HOP_BY_HOP:
                continue
            if lower == "content-length":
                self._remaining = int(value)
            self._headers.append((lower, value))
        return self.write

    def write(self, chunk: bytes) -> None:
        """Send a chunk; bytes beyond Content-Length are not sent."""
        if not chunk or self._bodiless or self.complete:
            return
        if self._remaining is not None:
            chunk = chunk[: self._remaining]
            self._remaining -= len(chunk)
        self._begin()
        self.complete = self._remaining == 0
        self.send_body(chunk, more=not self.complete)

    def finish(self) -> None:
        """Complete the response when the app has no more chunks."""
        if self.complete:
            return
        self._begin()
        self.complete = True
        self.send_body(b"", more=False)

    def _begin(self) -> None:
        if self.headers_sent:
            return
        if not self.status:
            raise RuntimeError("the app returned without calling start_response()")
        self.headers_sent = True
        if self._https is not None:
            self._headers += _default_headers(self._headers, https=self._https)
        self.send_headers(self.status, self._headers)


def _default_headers(headers: list[tuple[str, str]], *, https: bool) -> list[tuple[str, str]]:
    """Headers that a response lacks, so that browsers do not store JSON, guess types, or fall back from HTTPS to HTTP.

    Args:
        headers: Of the response, names in lower case.
        https: Whether the client uses HTTPS.
    Source: RFC 6797 (HSTS), RFC 9111 (Cache-Control), Fetch Standard (`X-Content-Type-Options`).
    """
    given = dict(headers)
    missing = []
    if "x-content-type-options" not in given:
        missing.append(("x-content-type-options", "nosniff"))
    if "cache-control" not in given and "json" in given.get("content-type", ""):
        missing.append(("cache-control", "no-store"))
    if https and "strict-transport-security" not in given:
        missing.append(("strict-transport-security", _HSTS))
    return missing


class AsgiResponse(Response):
    """A response as ASGI messages.

    Args:
        deliver: Sends messages, and returns when the server has accepted them.
        head_request: The method is HEAD: the response has no body.
        more_headers: Headers that every response has.
    """

    __slots__ = ("_deliver", "_more_headers", "_start")

    def __init__(
        self,
        deliver: "Callable[..., None]",
        *,
        head_request: bool,
        https: bool | None = None,
        more_headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        super().__init__(head_request=head_request, https=https)
        self._deliver = deliver
        self._more_headers = more_headers
        self._start: list[ASGISendEvent] = []

    def send_headers(self, status: int, headers: list[tuple[str, str]]) -> None:
        """Keep the first message for the chunk that follows at once: a worker thread waits once for both."""
        encoded = [(_encoded(name), value.encode("latin-1")) for name, value in headers]
        encoded += self._more_headers
        self._start.append({"type": "http.response.start", "status": status, "headers": encoded, "trailers": False})

    def send_body(self, chunk: bytes, *, more: bool) -> None:
        """Send another message."""
        message: HTTPResponseBodyEvent = {"type": "http.response.body", "body": chunk, "more_body": more}
        if self._start:
            self._deliver(self._start.pop(), message)
        else:
            self._deliver(message)


class BufferedResponse(Response):
    """A response that is kept whole, for a gateway that takes it in a single piece.

    Attributes:
        status: HTTP status, once the headers are sent.
        headers: Names, in lower case, and values.
        body: All chunks.
    """

    __slots__ = ("_chunks", "headers")

    def __init__(self, *, head_request: bool, https: bool | None = None) -> None:
        super().__init__(head_request=head_request, https=https)
        self._chunks: list[bytes] = []

    @property
    def body(self) -> bytes:
        """All chunks."""
        return b"".join(self._chunks)

    @body.setter
    def body(self, body: bytes) -> None:
        self._chunks = [body]

    def send_headers(self, status: int, headers: list[tuple[str, str]]) -> None:
        """Keep them."""
        self.status, self.headers = status, headers

    def send_body(self, chunk: bytes, *, more: bool) -> None:  # noqa: ARG002  # a buffer has no end
        """Keep the chunk."""
        self._chunks.append(chunk)


@lru_cache(maxsize=1024)
def _encoded(name: str) -> bytes:
    return name.encode("latin-1")
