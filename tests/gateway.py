"""Serve the functions of a bundle as API Gateway does: `python -m tests.gateway BUNDLE PORT`.

A request goes to the function with the most specific route, as an event of a REST API on a domain without a stage.
"""

import base64
import os
import re
import sys
from collections.abc import Callable
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from decant_cloud.template.model import Route, Template
from tests.loading import Context, load_function, sample


def find(routes: list[Route], method: str, path: str) -> Route | None:
    """The route of a request: static parts go before variables, variables before greedy ones, a method before ANY."""

    def rank(route: Route) -> tuple[list[int], bool]:
        parts = route.path.split("/")
        return [2 if part.endswith("+}") else int(part.startswith("{")) for part in parts], route.method == "ANY"

    path = path.rstrip("/") or "/"
    fitting = [each for each in routes if each.method in {method, "ANY"} and _pattern(each.path).fullmatch(path)]
    return min(fitting, key=rank, default=None)


def _pattern(path: str) -> re.Pattern[str]:
    plain = re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", re.sub(r"{(\w+)\+}", r"(?P<\1>.+)", path.replace(".", r"\.")))
    return re.compile(plain)


@cache
def handler(function: str) -> Callable[..., Any]:
    """The handler of a function, imported at its first request."""
    found: Callable[..., Any] = load_function(function).handler
    return found


class Gateway(BaseHTTPRequestHandler):
    """Turns a request into an event, and the function's result into a response."""

    template = Template(Path(sys.argv[1]))

    def _serve(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        route = find(self.template.routes(), self.command, url.path)
        if route is None:
            self.send_error(403, "Missing Authentication Token")
            return
        function = self.template.functions()[route.function].name
        result = handler(function)(_event(self, route, url.path, url.query, body), Context())
        content = result["body"]
        raw = base64.b64decode(content) if result["isBase64Encoded"] else content.encode()
        self.send_response_only(result["statusCode"])
        several = result.get("multiValueHeaders") or {}
        headers = [(name, value) for name, value in (result.get("headers") or {}).items() if name not in several]
        headers += [(name, value) for name, values in several.items() for value in values]
        for name, value in headers:
            if name.lower() != "content-length":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)

    do_DELETE = do_GET = do_HEAD = do_OPTIONS = do_PATCH = do_POST = do_PUT = _serve  # noqa: N815  # http.server's names


def _event(request: BaseHTTPRequestHandler, route: Route, path: str, query: str, body: bytes) -> dict[str, Any]:
    pairs = parse_qsl(query, keep_blank_values=True)
    found = _pattern(route.path).fullmatch(path.rstrip("/") or "/")
    made = sample("rest", path=path, httpMethod=request.command, isBase64Encoded=True, resource=route.path)
    made |= {"pathParameters": {name: unquote(value) for name, value in found.groupdict().items()} if found else None}
    made |= {"body": base64.b64encode(body).decode() if body else None, "headers": dict(request.headers.items())}
    made |= {"multiValueHeaders": {name: request.headers.get_all(name) for name in request.headers}}
    made |= {"queryStringParameters": dict(pairs) or None}
    made |= {"multiValueQueryStringParameters": {key: [v for k, v in pairs if k == key] for key, _ in pairs} or None}
    context = made["requestContext"] | {"path": path, "httpMethod": request.command, "resourcePath": route.path}
    return made | {"requestContext": context}


if __name__ == "__main__":
    os.environ["DECANT_BUNDLE"] = sys.argv[1]
    sys.path.insert(0, f"{sys.argv[1]}/shared")
    HTTPServer(("127.0.0.1", int(sys.argv[2])), Gateway).serve_forever()
