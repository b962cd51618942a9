"""Events of REST APIs, and of HTTP APIs in the same format 1.0.

Source: AWS, "Input format of a Lambda function for proxy integration", "Output format of a Lambda function for proxy
integration".
"""

from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, unquote

from decant._aws import AwsSettings
from decant.config import load
from decant.web.environ import base
from decant.web.events.base import Event, Headers, HttpEvent, pairs, script_name

if TYPE_CHECKING:
    from mangum.types import LambdaConfig

__all__ = ["RestEvent"]


class RestEvent(HttpEvent):
    """An event in payload format 1.0."""

    @classmethod
    def infer(cls, event: Event, _context: Any, _config: "LambdaConfig") -> bool:
        """Whether the event is of this kind."""
        if "httpMethod" not in event or "path" not in event:
            return False
        request = event.get("requestContext")
        return request is not None and "elb" not in request

    def build_environ(self) -> dict[str, Any]:
        """The WSGI environ, without body, scheme and server."""
        event = self.event
        context = event["requestContext"]
        path = event["path"]
        requested = context.get("path") or path
        if len(requested) > len(path) and requested.endswith(path):  # below a stage
            root = _emulator_prefix(context) + requested.removesuffix(path).rstrip("/")
        else:
            root = script_name(requested, event.get("resource", ""), event.get("pathParameters"))
            path = path.removeprefix(root)
        values = pairs(event, "multiValueQueryStringParameters", "queryStringParameters")
        query = "&".join([f"{_quote(name)}={_quote(value)}" for name, value in values])  # the gateway decoded it
        path = path if "version" in event else unquote(path)  # an HTTP API decoded it, a REST API did not
        environ = base(event["httpMethod"], root, path, query)
        self.add_headers(environ)
        if address := context.get("identity", {}).get("sourceIp"):
            environ["REMOTE_ADDR"] = address
        return environ

    def format_headers(self, headers: Headers) -> dict[str, Any]:
        """The members of the response that hold the headers."""
        single: dict[str, str] = {}
        several: dict[str, list[str]] = {}
        for name, value in headers:
            if name in several:
                several[name].append(value)
            elif name in single:
                several[name] = [single.pop(name), value]
            else:
                single[name] = value
        return {"headers": single, "multiValueHeaders": several}


def _quote(text: str) -> str:
    """Quote text for a query. Most text needs none, and `quote_plus` would take a third of reading an event."""
    return text if text.isalnum() and text.isascii() else quote_plus(text)


def _emulator_prefix(context: Event) -> str:
    """LocalStack serves every API on one host, below `/_aws/execute-api/{id}`, unless the host names the API."""
    api = context.get("apiId", "")
    if load(AwsSettings).endpoint_url is None or context.get("domainName", "").startswith(f"{api}."):
        return ""
    return f"/_aws/execute-api/{api}"
