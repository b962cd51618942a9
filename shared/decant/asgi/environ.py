"""The WSGI environ of a request.

Source: PEP 3333 (WSGI), ASGI specification (HTTP connection scope), RFC 3875 (CGI), RFC 9113 section 8.2.3 (cookies).
"""

import sys
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from decant.asgi.messages import Scope

__all__ = ["add_headers", "base", "build"]

_NOT_FOR_THE_APP = frozenset({"CONTENT_LENGTH", "TRANSFER_ENCODING"})
"""Described the body in transit; the app gets it whole, with its real length."""


def build(scope: Scope) -> dict[str, Any]:
    """The environ of an ASGI request, but for its body."""
    root, path = _paths(scope)
    environ = base(scope["method"], root, path, scope["query_string"].decode("latin-1"))
    environ["SERVER_PROTOCOL"] = f"HTTP/{scope['http_version']}"
    environ["wsgi.url_scheme"] = scope.get("scheme", "http")
    environ["SERVER_NAME"], port = scope.get("server") or ("localhost", None)
    environ["SERVER_PORT"] = str(port or 0)  # a Unix socket has none
    environ["asgi.scope"] = scope
    if client := scope.get("client"):
        environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = client[0], str(client[1])
    if raw_path := scope.get("raw_path"):
        query = f"?{environ['QUERY_STRING']}" if environ["QUERY_STRING"] else ""
        environ["REQUEST_URI"] = raw_path.decode("latin-1") + query
    add_headers(environ, [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]])
    return environ


def base(method: str, root: str, path: str, query: str) -> dict[str, Any]:
    """What every environ begins with.

    Args:
        method: The request's.
        root: Where the app is mounted, percent-decoded.
        path: The rest of the path, percent-decoded.
        query: The query string as it was sent.
    """
    if not (path.isascii() and root.isascii()):  # WSGI wants the bytes, in the guise of Latin-1
        root, path = root.encode().decode("latin-1"), path.encode().decode("latin-1")
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


def add_headers(environ: dict[str, Any], headers: Iterable[tuple[str, str]]) -> None:
    """Add headers, their bytes in the guise of Latin-1; repeated ones are joined."""
    for name, value in headers:
        key = _key(name)
        if key is None:
            continue
        if key in environ and key != "CONTENT_TYPE":
            separator = "; " if key == "HTTP_COOKIE" else ","
            environ[key] = f"{environ[key]}{separator}{value}"
        else:
            environ[key] = value


def _paths(scope: Scope) -> tuple[str, str]:
    root: str = scope.get("root_path", "").rstrip("/")
    path: str = scope["path"]
    if root and (path == root or path.startswith(f"{root}/")):
        return root, path[len(root) :]
    if not path.startswith("/"):  # "http://host/path", as to a proxy, or "*": RFC 9112, section 3.2
        path = "/" + path.partition("://")[2].partition("/")[2] if "://" in path else f"/{path}"
    return root, path


@lru_cache(maxsize=1024)
def _key(header: str) -> str | None:
    """The environ's key for a header; None for one that the app must not see.

    A name with an underscore is dropped: it would pass for the one with a hyphen, which a proxy may have vouched for.
    """
    name = header.upper().replace("-", "_")
    if "_" in header or name in _NOT_FOR_THE_APP:
        return None
    return name if name == "CONTENT_TYPE" else f"HTTP_{name}"
