"""The WSGI environ of an ASGI request.

Source: PEP 3333 (WSGI), ASGI specification (HTTP connection scope), RFC 3875 (CGI), RFC 9113 section 8.2.3 (cookies).
"""

import sys
from functools import lru_cache
from typing import Any

from decant.asgi.messages import Scope

__all__ = ["build"]

_NOT_FOR_THE_APP = frozenset({"CONTENT_LENGTH", "TRANSFER_ENCODING"})
"""Described the body in transit; the app gets it whole, with its real length."""


def build(scope: Scope) -> dict[str, Any]:
    """The environ but for the body and how it is run, which the bridge adds."""
    script_name, path = _paths(scope)
    scheme = scope.get("scheme", "http")
    host, port = scope.get("server") or (None, None)
    query = scope["query_string"].decode("latin-1")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": script_name,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": host or "localhost",
        "SERVER_PORT": str(port or (443 if scheme == "https" else 80)),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme,
        "wsgi.errors": sys.stderr,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "asgi.scope": scope,
    }
    if client := scope.get("client"):
        environ["REMOTE_ADDR"] = client[0]
        environ["REMOTE_PORT"] = str(client[1])
    if raw_path := scope.get("raw_path"):
        raw = raw_path.decode("latin-1")
        environ["REQUEST_URI"] = f"{raw}?{query}" if query else raw
    _add_headers(environ, scope["headers"])
    return environ


def _paths(scope: Scope) -> tuple[str, str]:
    """SCRIPT_NAME and PATH_INFO: bytes of UTF-8 in the guise of Latin-1, as WSGI has it."""
    root = scope.get("root_path", "").rstrip("/")
    path = scope["path"]
    if root and (path == root or path.startswith(f"{root}/")):
        path = path[len(root) :]
    if path.isascii() and root.isascii():
        return root, path
    return root.encode().decode("latin-1"), path.encode().decode("latin-1")


def _add_headers(environ: dict[str, Any], headers: Any) -> None:
    for name, raw in headers:
        key = _key(name)
        if key is None:
            continue
        value = raw.decode("latin-1")
        if key in environ and key != "CONTENT_TYPE":
            separator = "; " if key == "HTTP_COOKIE" else ","
            value = f"{environ[key]}{separator}{value}"
        environ[key] = value


@lru_cache(maxsize=1024)
def _key(header: bytes) -> str | None:
    """The environ's key for a header; None for one that the app must not see.

    A name with an underscore is dropped: it would pass for the one with a hyphen, which a proxy may have vouched for.
    """
    name = header.decode("latin-1").upper().replace("-", "_")
    if b"_" in header or name in _NOT_FOR_THE_APP:
        return None
    return name if name == "CONTENT_TYPE" else f"HTTP_{name}"
