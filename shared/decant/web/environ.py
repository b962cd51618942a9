"""Parts of a WSGI environ that every request has.

Source: PEP 3333 (WSGI), RFC 3875 (CGI), RFC 9113 section 8.2.3 (cookies), RFC 6585 section 5 (status 431).
"""

import io
import sys
from collections.abc import Sequence
from functools import lru_cache
from typing import IO, Any, NoReturn

from werkzeug.exceptions import RequestEntityTooLarge, RequestHeaderFieldsTooLarge

__all__ = ["TooLargeBody", "add_body", "add_headers", "base", "to_wsgi_string"]

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
