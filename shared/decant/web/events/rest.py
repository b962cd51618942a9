"""Events of REST APIs, and of HTTP APIs in the same format 1.0; with the base of the other kinds of HTTP events.

API Gateway serves an app below its stage (`/dev/users`), a custom domain's base path (`/shop/v1/users`) or nothing. The
event does not contain that prefix: it is the difference between the requested path and the route's. `url_for` needs it
to build links that work from outside.

Source: AWS, "Input format of a Lambda function for proxy integration", "Output format of a Lambda function for proxy
integration".
"""

from abc import ABC, abstractmethod
from base64 import b64decode, b64encode
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote, urlencode

from mangum.adapter import DEFAULT_TEXT_MIME_TYPES

from decant._aws import AwsSettings
from decant.config import load
from decant.web.wsgi import add_headers, base, to_wsgi_string

if TYPE_CHECKING:
    from mangum.types import LambdaConfig, Response, Scope

__all__ = ["Headers", "HttpEvent", "RestEvent", "is_text", "join_headers", "pairs", "script_name"]

type Event = dict[str, Any]
type Headers = list[tuple[str, str]]

_TEXT_TYPES = frozenset(
    f"application/{kind}" for kind in ("javascript", "json", "vnd.oai.openapi", "x-ndjson", "xml", "yaml")
)


class HttpEvent(ABC):
    """An HTTP event and its response.

    Args:
        event: The function's input.
        context: Lambda's context object.
        config: Mangum's options.

    Attributes:
        member: Member of `requestContext` that identifies the kind.
    """

    def __init__(self, event: Event, context: Any, config: "LambdaConfig") -> None:
        self.event = event
        self.context = context
        self.config = config

    member: ClassVar[str]

    @classmethod
    def infer(cls, event: Event, context: Any, config: "LambdaConfig") -> bool:  # noqa: ARG003  # Mangum's protocol
        """Whether the event is of this kind."""
        return cls.member in (event.get("requestContext") or ())

    @staticmethod
    def can_stream(event: Event) -> bool:  # noqa: ARG004  # for the kinds that can
        """Whether the gateway of an event of this kind can stream the response."""
        return False

    @abstractmethod
    def build_environ(self) -> dict[str, Any]:
        """The WSGI environ, without body, scheme and server."""

    @abstractmethod
    def format_headers(self, headers: Headers) -> dict[str, Any]:
        """The members of the response that hold the headers."""

    def environ(self) -> dict[str, Any]:
        """The WSGI environ, without the body.

        Raises:
            RequestHeaderFieldsTooLarge: there are too many headers.
        """
        environ = self.build_environ()
        base_path = self.config["api_gateway_base_path"]
        if base_path != "/":
            _mount_below(environ, f"/{base_path.strip('/')}")
        scheme = environ.get("HTTP_X_FORWARDED_PROTO", "https").lower()
        environ["wsgi.url_scheme"] = scheme
        environ["SERVER_NAME"] = environ.get("HTTP_HOST", "localhost").partition(":")[0]
        environ["SERVER_PORT"] = environ.get("HTTP_X_FORWARDED_PORT") or ("80" if scheme == "http" else "443")
        environ["aws.event"], environ["aws.context"] = self.event, self.context
        return environ

    @property
    def body(self) -> bytes:
        """The request's body."""
        body: str = self.event.get("body") or ""
        return b64decode(body) if self.event.get("isBase64Encoded") else body.encode()

    def respond(self, status: int, headers: Headers, body: bytes) -> dict[str, Any]:
        """The response in the format of the event's kind.

        Args:
            status: HTTP status.
            headers: Names, in lower case, and values.
            body: Whole body; text is passed as it is, everything else in base64.
        """
        text, is_base64 = _encode(body, headers, self.config["text_mime_types"])
        response = self.metadata(status, headers)
        response["body"], response["isBase64Encoded"] = text, is_base64
        return response

    def metadata(self, status: int, headers: Headers) -> dict[str, Any]:
        """The response without its body: the metadata of a streamed response. The arguments are those of `respond`."""
        if excluded := self.config["exclude_headers"]:
            headers = [(name, value) for name, value in headers if name not in excluded]
        return {"statusCode": status, **self.format_headers(headers)}

    @property
    def scope(self) -> "Scope":
        """The ASGI scope of the same request, for an ASGI application."""
        environ = self.environ()
        headers = [(key[5:], value) for key, value in environ.items() if key.startswith("HTTP_")]
        if "CONTENT_TYPE" in environ:
            headers.append(("CONTENT_TYPE", environ["CONTENT_TYPE"]))
        port = environ["SERVER_PORT"]
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": environ["REQUEST_METHOD"],
            "scheme": environ["wsgi.url_scheme"],
            "path": _from_wsgi_string(environ["SCRIPT_NAME"] + environ["PATH_INFO"]),
            "raw_path": None,
            "root_path": _from_wsgi_string(environ["SCRIPT_NAME"]),
            "query_string": environ["QUERY_STRING"].encode("latin-1"),
            "headers": [(name.replace("_", "-").lower().encode(), value.encode("latin-1")) for name, value in headers],
            "client": (environ["REMOTE_ADDR"], 0) if "REMOTE_ADDR" in environ else None,
            "server": (environ["SERVER_NAME"], int(port) if port.isdecimal() else None),
            "aws.event": self.event,
            "aws.context": self.context,
        }

    def __call__(self, response: "Response") -> dict[str, Any]:
        """The response of an ASGI application, in the format of the event's kind."""
        headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in response["headers"]]
        return self.respond(response["status"], headers, response["body"])

    def add_headers(self, environ: dict[str, Any]) -> None:
        """Add the event's headers to the environ."""
        given = pairs(self.event, "multiValueHeaders", "headers")
        if not "".join([value for _, value in given]).isascii():
            given = [(name, to_wsgi_string(value)) for name, value in given]
        add_headers(environ, given)


class RestEvent(HttpEvent):
    """An event in payload format 1.0."""

    @classmethod
    def infer(cls, event: Event, _context: Any, _config: "LambdaConfig") -> bool:
        """Whether the event is of this kind."""
        if "httpMethod" not in event or "path" not in event:
            return False
        request = event.get("requestContext")
        return request is not None and "elb" not in request

    @staticmethod
    def can_stream(event: Event) -> bool:
        """REST APIs can; HTTP APIs, whose events have a version, cannot."""
        return "version" not in event

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
        query = _encode_query(values) if values else ""
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


def pairs(event: Event, several: str, single: str) -> list[tuple[str, str]]:
    """Names and values, from the member with every value, or else from the member with only the last value."""
    if every := event.get(several):
        return [(name, value) for name, values in every.items() for value in values]
    return list((event.get(single) or {}).items())


def script_name(path: str, template: str, parameters: dict[str, str] | None) -> str:
    """The part of the requested path before the part that the route's template matched.

    A path parameter may contain a slash, which a REST API leaves encoded in the path: the segments are counted decoded.
    """
    if path == template:  # usual for a route without parameters: nothing to count
        return ""
    route = [
        (parameters or {}).get(part.strip("{+}"), part) if part[:1] == "{" else part for part in template.split("/")
    ]
    segments = [segment for segment in path.split("/") if segment]
    matched = _count_segments("/".join(route))
    while segments and matched > 0:
        matched -= _count_segments(segments.pop()) or 1
    return "".join([f"/{segment}" for segment in segments])


def join_headers(headers: Headers) -> dict[str, str]:
    """A single value per name; cookies, which cannot be joined, are left out."""
    joined: dict[str, str] = {}
    repeated: dict[str, list[str]] = {}
    for name, value in headers:
        if name in joined:
            repeated.setdefault(name, [joined[name]]).append(value)
        elif name != "set-cookie":
            joined[name] = value
    return joined | {name: ", ".join(values) for name, values in repeated.items()} if repeated else joined


def _encode_query(values: list[tuple[str, str]]) -> str:
    """The query string of values that the gateway decoded; most need no quoting, which takes ten times as long."""
    whole = "".join([text for value in values for text in value])
    if whole.isalnum() and whole.isascii():
        return "&".join([f"{name}={value}" for name, value in values])
    return urlencode(values)


def _emulator_prefix(context: Event) -> str:
    """LocalStack serves every API on one host, below `/_aws/execute-api/{id}`, unless the host names the API."""
    api = context.get("apiId", "")
    if context.get("domainName", "").startswith(f"{api}.") or load(AwsSettings).endpoint_url is None:
        return ""
    return f"/_aws/execute-api/{api}"


def _count_segments(path: str) -> int:
    return len([segment for segment in unquote(path).split("/") if segment])


def _mount_below(environ: dict[str, Any], base_path: str) -> None:
    """Move the base path from PATH_INFO to SCRIPT_NAME."""
    path: str = environ["PATH_INFO"]
    if path == base_path or path.startswith(f"{base_path}/"):
        environ["SCRIPT_NAME"] += base_path
        environ["PATH_INFO"] = path.removeprefix(base_path)


def _from_wsgi_string(text: str) -> str:
    return text if text.isascii() else text.encode("latin-1").decode()


def _encode(body: bytes, headers: Headers, text_types: list[str]) -> tuple[str, bool]:
    """The body as JSON can hold it, and whether that is base64."""
    content_type = ""
    for name, value in headers:
        if name == "content-type":
            content_type = value
            break
    if not body or is_text(content_type, None if text_types == DEFAULT_TEXT_MIME_TYPES else tuple(text_types)):
        try:
            return body.decode(), False
        except UnicodeDecodeError:  # compressed, or in another encoding
            pass
    return b64encode(body).decode(), True


@lru_cache(maxsize=256)
def is_text(content_type: str, chosen: Iterable[str] | None) -> bool:
    """Whether a body of this type is text; `chosen` are the text types that the user gave to Mangum."""
    if chosen is not None:
        return any(text_type in content_type for text_type in chosen)
    kind = content_type.partition(";")[0].strip().lower()
    return kind in _TEXT_TYPES or kind.startswith("text/") or kind.endswith(("+json", "+xml", "+yaml"))
