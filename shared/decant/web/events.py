"""Lambda's HTTP events as WSGI environs.

API Gateway mounts an app below its stage (`/dev/users`), a custom domain's base path (`/shop/v1/users`) or nothing. It
says so nowhere: it shows in the difference between the path that was asked for and the route's. `url_for` needs it to
build links that work from outside.

Source: AWS, "Input format of a Lambda function for proxy integration" (REST APIs: format 1.0), "Create AWS Lambda proxy
integrations for HTTP APIs" (format 2.0, also of function URLs), "Lambda functions as targets" (load balancers).
"""

from base64 import b64decode
from typing import Any
from urllib.parse import quote_plus, unquote

from decant._aws import AwsSettings
from decant.asgi.environ import add_headers, base
from decant.config import load

__all__ = ["body_of", "environ_of"]

type _Event = dict[str, Any]


def environ_of(event: _Event) -> dict[str, Any]:
    """The environ of an HTTP event, but for its body.

    Raises:
        TypeError: it is an event of another kind.
    """
    context = event.get("requestContext") or {}
    if "http" in context:
        environ = _format_2(event, context)
    elif "elb" in context:
        environ = _load_balancer(event)
    elif "httpMethod" in event:
        environ = _format_1(event, context)
    else:
        raise TypeError("no HTTP event: this function answers API Gateway, function URLs and load balancers")
    scheme = environ.get("HTTP_X_FORWARDED_PROTO", "https").lower()
    environ["wsgi.url_scheme"] = scheme
    environ["SERVER_NAME"] = environ.get("HTTP_HOST", "localhost").partition(":")[0]
    environ["SERVER_PORT"] = environ.get("HTTP_X_FORWARDED_PORT") or ("80" if scheme == "http" else "443")
    return environ


def body_of(event: _Event) -> bytes:
    """The body's bytes."""
    body: str = event.get("body") or ""
    return b64decode(body) if event.get("isBase64Encoded") else body.encode()


def _format_1(event: _Event, context: _Event) -> dict[str, Any]:
    """A REST API's event, or an HTTP API's in the same format."""
    inner = event["path"]
    whole = context.get("path") or inner
    if len(whole) > len(inner) and whole.endswith(inner):  # below a stage
        root = _emulators_prefix(context) + whole.removesuffix(inner).rstrip("/")
    else:
        root = _mounted_at(whole, event.get("resource", ""), event.get("pathParameters"))
        inner = inner.removeprefix(root)
    pairs = _pairs(event, "multiValueQueryStringParameters", "queryStringParameters")
    query = "&".join([f"{_quote(name)}={_quote(value)}" for name, value in pairs])  # the gateway decoded it
    path = inner if "version" in event else unquote(inner)  # an HTTP API decoded it, a REST API did not
    environ = base(event["httpMethod"], root, path, query)
    _add_headers(environ, event)
    _add_client(environ, context.get("identity", {}).get("sourceIp"))
    return environ


def _format_2(event: _Event, context: _Event) -> dict[str, Any]:
    """An HTTP API's event or a function URL's."""
    http = context["http"]
    whole, stage = http["path"], context.get("stage", "$default")
    root = f"/{stage}" if stage != "$default" and f"{whole}/".startswith(f"/{stage}/") else ""
    if template := event.get("routeKey", "$default").partition(" ")[2]:
        root = _mounted_at(whole, template, event.get("pathParameters"))
    path = whole.removeprefix(root)
    if ".lambda-url." in context.get("domainName", ""):  # an HTTP API decoded it
        path = unquote(path)
    environ = base(http["method"], root, path, event.get("rawQueryString", ""))
    _add_headers(environ, event)
    add_headers(environ, [("Cookie", _guise(cookie)) for cookie in event.get("cookies") or ()])
    _add_client(environ, http.get("sourceIp"))
    return environ


def _quote(text: str) -> str:
    """Quote text for a query; most needs none, and to find that out the long way is a third of reading an event."""
    return text if text.isalnum() and text.isascii() else quote_plus(text)


def _load_balancer(event: _Event) -> dict[str, Any]:
    pairs = _pairs(event, "multiValueQueryStringParameters", "queryStringParameters")
    query = "&".join([f"{name}={value}" for name, value in pairs])  # still encoded, as it was sent
    environ = base(event["httpMethod"], "", unquote(event["path"]), query)
    _add_headers(environ, event)
    # The balancer appends the address that it saw to those that the client itself may have claimed.
    _add_client(environ, environ.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip())
    return environ


def _pairs(event: _Event, several: str, single: str) -> list[tuple[str, str]]:
    """Names and values from the member that has every value, or else from the one that has the last."""
    if every := event.get(several):
        return [(name, value) for name, values in every.items() for value in values]
    return list((event.get(single) or {}).items())


def _add_headers(environ: dict[str, Any], event: _Event) -> None:
    pairs = _pairs(event, "multiValueHeaders", "headers")
    add_headers(environ, [(name, value if value.isascii() else _guise(value)) for name, value in pairs])


def _guise(value: str) -> str:
    """The bytes of a text in the guise of Latin-1, as WSGI wants them."""
    return value.encode().decode("latin-1")


def _add_client(environ: dict[str, Any], address: str | None) -> None:
    if address:
        environ["REMOTE_ADDR"] = address


def _mounted_at(whole: str, template: str, parameters: dict[str, str] | None) -> str:
    """The path's segments before those that the route's template stands for."""
    segments = [each for each in whole.split("/") if each]
    inner = 0
    for part in filter(None, template.split("/")):
        stands_for = (parameters or {}).get(part[1:-2], "") if part.endswith("+}") else part
        inner += len([each for each in stands_for.split("/") if each])
    return "".join([f"/{each}" for each in segments[: max(0, len(segments) - inner)]])


def _emulators_prefix(context: _Event) -> str:
    """LocalStack serves every API on one host, below `/_aws/execute-api/{id}`, unless the host names the API."""
    api = context.get("apiId", "")
    if load(AwsSettings).endpoint_url is None or context.get("domainName", "").startswith(f"{api}."):
        return ""
    return f"/_aws/execute-api/{api}"
