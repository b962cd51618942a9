"""Lambda's HTTP events as ASGI scopes, where Mangum's own reading of them loses something.

What is added: every repeated header and cookie; where the gateway has mounted the app, so that `url_for` builds links
that work from outside; and a load balancer's word on who the client is.

API Gateway mounts an app below its stage (`/dev/users`), a custom domain's base path (`/shop/v1/users`) or nothing. It
says so nowhere: it shows in the difference between the path that was asked for and the route's.

Source: AWS, "Input format of a Lambda function for proxy integration" (REST, format 1.0), "Create AWS Lambda proxy
integrations for HTTP APIs" (format 2.0), "Receive multi-value headers" (load balancer).
"""

from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urlencode

from mangum.handlers import ALB, APIGateway, HTTPGateway

from decant.config import settings

__all__ = ["HANDLERS"]


class RestApi(APIGateway):
    """A REST API's event, format 1.0, and an HTTP API's in the same format."""

    @property
    def scope(self) -> Any:
        """The ASGI scope, made anew."""
        event = self.event
        context = event["requestContext"]
        headers = _headers(event)
        given = dict(headers)
        root_path, path = _rest_paths(event, context)
        source = context.get("identity", {}).get("sourceIp")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": event["httpMethod"],
            "scheme": given.get(b"x-forwarded-proto", b"https").decode(),
            "path": path,
            "root_path": root_path,
            "query_string": _query_string(event),
            "headers": headers,
            "server": (given.get(b"host", b"").decode().partition(":")[0], _port(given)),
            "client": (source, 0) if source else None,
            "aws.event": event,
            "aws.context": self.context,
        }


class HttpApi(HTTPGateway):
    """An HTTP API's event or a function URL's, format 2.0, whose path is whole."""

    @classmethod
    def infer(cls, event: Any, _context: Any, _config: Any) -> bool:
        """Whether the event is of this kind."""
        return event.get("version") == "2.0" and "http" in event.get("requestContext", ())

    @property
    def scope(self) -> Any:
        """The ASGI scope, made anew."""
        return {**super().scope, "root_path": _http_api_root(self.event)}


class LoadBalancer(ALB):
    """A load balancer's event."""

    @property
    def scope(self) -> Any:
        """The ASGI scope, made anew; the client's address is the one that the balancer itself put last."""
        scope = super().scope
        address = str(scope["client"][0]).rpartition(",")[2].strip()
        return {**scope, "client": (address, 0) if address else None}


HANDLERS: list[Any] = [LoadBalancer, HttpApi, RestApi]
"""For Mangum, in the order in which it asks them."""


def _headers(event: dict[str, Any]) -> list[tuple[bytes, bytes]]:
    if several := event.get("multiValueHeaders"):
        return [(_name(name), each.encode()) for name, values in several.items() for each in values]
    return [(_name(name), value.encode()) for name, value in (event.get("headers") or {}).items()]


@lru_cache(maxsize=1024)
def _name(header: str) -> bytes:
    return header.lower().encode()


def _port(headers: dict[bytes, bytes]) -> int:
    port = headers.get(b"x-forwarded-port", b"")
    return int(port) if port.isdigit() else 443


def _query_string(event: dict[str, Any]) -> bytes:
    """The query string encoded again: the gateway decoded it."""
    if several := event.get("multiValueQueryStringParameters"):
        pairs = [(name, each) for name, values in several.items() for each in values]
    else:
        pairs = list((event.get("queryStringParameters") or {}).items())
    return urlencode(pairs).encode() if pairs else b""


def _rest_paths(event: dict[str, Any], context: dict[str, Any]) -> tuple[str, str]:
    """ASGI's `root_path` and `path`: where the app is mounted, and the whole path."""
    inner = event["path"]
    whole = context.get("path") or inner
    if len(whole) > len(inner) and whole.endswith(inner):  # below a stage
        root = _emulators_prefix(context) + whole.removesuffix(inner).rstrip("/")
        return root, root + unquote(inner)
    return _mounted_at(whole, event["resource"], event.get("pathParameters")), unquote(inner)


def _http_api_root(event: dict[str, Any]) -> str:
    whole, stage = event["requestContext"]["http"]["path"], event["requestContext"].get("stage", "$default")
    if template := event.get("routeKey", "$default").partition(" ")[2]:
        return _mounted_at(whole, template, event.get("pathParameters"))
    return f"/{stage}" if stage != "$default" and f"{whole}/".startswith(f"/{stage}/") else ""


def _mounted_at(whole: str, template: str, parameters: dict[str, str] | None) -> str:
    """The path's segments before those that the route's template stands for."""
    segments = [each for each in whole.split("/") if each]
    inner = 0
    for part in filter(None, template.split("/")):
        stands_for = (parameters or {}).get(part[1:-2], "") if part.endswith("+}") else part
        inner += len([each for each in stands_for.split("/") if each])
    return "".join([f"/{each}" for each in segments[: max(0, len(segments) - inner)]])


def _emulators_prefix(context: dict[str, Any]) -> str:
    """LocalStack serves every API on one host, below `/_aws/execute-api/{id}`, unless the host names the API."""
    api = context.get("apiId", "")
    if settings().aws_endpoint_url is None or context.get("domainName", "").startswith(f"{api}."):
        return ""
    return f"/_aws/execute-api/{api}"
