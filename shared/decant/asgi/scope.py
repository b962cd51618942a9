"""The WSGI environ of an ASGI request.

Source: ASGI specification (HTTP connection scope), RFC 9112 section 3.2 (request target).
"""

from typing import TYPE_CHECKING, Any

from decant.web.environ import add_headers, base

if TYPE_CHECKING:
    from asgiref.typing import HTTPScope

__all__ = ["environ_of"]


def environ_of(scope: "HTTPScope") -> dict[str, Any]:
    """The environ of an ASGI request, without its body.

    Raises:
        RequestHeaderFieldsTooLarge: there are too many headers.
    """
    root, path = _paths(scope)
    environ = base(scope["method"], root, path, scope["query_string"].decode("latin-1"))
    environ["SERVER_PROTOCOL"] = f"HTTP/{scope['http_version']}"
    environ["wsgi.url_scheme"] = scope.get("scheme", "http")
    environ["SERVER_NAME"], port = scope.get("server") or ("localhost", None)
    environ["SERVER_PORT"] = str(port or 0)  # a Unix socket has none
    environ["asgi.scope"] = scope
    if "aws.event" in scope:  # set by Mangum
        environ |= {name: scope[name] for name in ("aws.event", "aws.context")}  # type: ignore[typeddict-item]
    if client := scope.get("client"):
        environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = client[0], str(client[1])
    if raw_path := scope.get("raw_path"):
        query = f"?{environ['QUERY_STRING']}" if environ["QUERY_STRING"] else ""
        environ["REQUEST_URI"] = raw_path.decode("latin-1") + query
    add_headers(environ, [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]])
    return environ


def _paths(scope: "HTTPScope") -> tuple[str, str]:
    root = scope.get("root_path", "").rstrip("/")
    path = scope["path"]
    if root and (path == root or path.startswith(f"{root}/")):
        return root, path[len(root) :]
    if not path.startswith("/"):  # "http://host/path", as to a proxy, or "*"
        path = "/" + path.partition("://")[2].partition("/")[2] if "://" in path else f"/{path}"
    return root, path
