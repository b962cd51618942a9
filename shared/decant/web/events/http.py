"""Events of HTTP APIs and function URLs, format 2.0.

Source: AWS, "Create AWS Lambda proxy integrations for HTTP APIs", "Request and response payloads" (function URLs).
"""

from typing import Any
from urllib.parse import unquote

from decant.web.events.rest import Headers, HttpEvent, join_headers, script_name
from decant.web.wsgi import add_headers, base, to_wsgi_string

__all__ = ["HttpApiEvent"]


class HttpApiEvent(HttpEvent):
    """An event in payload format 2.0."""

    member = "http"

    @staticmethod
    def can_stream(event: dict[str, Any]) -> bool:
        """Function URLs can; HTTP APIs cannot."""
        return _is_function_url(event)

    def build_environ(self) -> dict[str, Any]:
        """The WSGI environ, without body, scheme and server."""
        event = self.event
        context = event["requestContext"]
        http = context["http"]
        requested, stage = http["path"], context.get("stage", "$default")
        root = f"/{stage}" if stage != "$default" and f"{requested}/".startswith(f"/{stage}/") else ""
        if template := event.get("routeKey", "$default").partition(" ")[2]:
            root = script_name(requested, template, event.get("pathParameters"))
        path = requested.removeprefix(root)
        if _is_function_url(event):  # an HTTP API decoded it
            path = unquote(path)
        environ = base(http["method"], root, path, event.get("rawQueryString", ""))
        self.add_headers(environ)
        add_headers(environ, [("Cookie", to_wsgi_string(cookie)) for cookie in event.get("cookies") or ()])
        if address := http.get("sourceIp"):
            environ["REMOTE_ADDR"] = address
        return environ

    def format_headers(self, headers: Headers) -> dict[str, Any]:
        """The members of the response that hold the headers."""
        cookies = [value for name, value in headers if name == "set-cookie"]
        members: dict[str, Any] = {"headers": join_headers(headers)}
        if cookies:
            members["cookies"] = cookies
        return members


def _is_function_url(event: dict[str, Any]) -> bool:
    return ".lambda-url." in event["requestContext"].get("domainName", "")
