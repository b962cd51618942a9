"""The Lambda adapter as a Mangum: its options, handlers of other events, and the same responses as through ASGI."""

import asyncio
import base64
import json
from typing import Any

import mangum
import pytest
from flask import Flask, Response, request, url_for
from mangum.exceptions import ConfigurationError
from werkzeug.exceptions import BadRequest

from decant import runtime
from decant.asgi import FlaskToAsgi
from decant.web import lambda_handler
from decant.web.events.http import HttpApiEvent
from decant.web.events.load_balancer import LoadBalancerEvent
from decant.web.events.rest import RestEvent
from tests.loading import Context, sample

KINDS = ["rest", "http_1", "http_2", "function_url", "load_balancer", "load_balancer_multi_value"]
PATHS = ["json", "text", "binary", "cookies", "empty", "sync", "missing", "abort", "error", "base-exception", "echo"]

pytestmark = pytest.mark.usefixtures("kept_logs")


class OwnBaseException(BaseException):
    """An exception that no `except Exception` catches."""


async def cookies() -> Response:
    """Two cookies, which cannot be joined."""
    response = Response("cookies")
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    return response


async def echo() -> dict[str, Any]:
    """What the view sees of the request."""
    return {"headers": list(request.headers), "cookies": request.cookies, "body": request.get_data().hex()}


async def json_with_link() -> dict[str, Any]:
    """Parameters, and a link that depends on where the app is mounted."""
    return {"query": request.args.to_dict(flat=False), "link": url_for("sync", _external=True)}


def responding(*response: Any) -> Any:
    """A view that responds after a turn of the event loop, or raises its first argument."""

    async def view() -> Any:
        await asyncio.sleep(0)
        if isinstance(response[0], type):
            raise response[0]
        return response

    return view


@pytest.fixture
def app() -> Flask:
    """An app with a view for each kind of response."""
    made = Flask("responses")
    views: dict[str, Any] = {
        "json": json_with_link,
        "text": responding("größer", {"X-Repeated": "one"}),
        "binary": responding(bytes(range(256)), {"Content-Type": "application/octet-stream"}),
        "cookies": cookies,
        "empty": responding("", 204),
        "sync": lambda: {"address": request.remote_addr},
        "abort": responding(BadRequest),
        "error": responding(KeyError),
        "base-exception": responding(OwnBaseException),
        "echo": echo,
    }
    for name, view in views.items():
        made.add_url_rule(f"/{name}", name, view, methods=["GET", "POST", "PUT"])
    return made


def event(kind: str, path: str) -> dict[str, Any]:
    """A sample event for a path that is not below a stage."""
    made = sample(kind)
    if "http" in made["requestContext"]:
        made["requestContext"]["http"]["path"] = made["rawPath"] = f"/{path}"
        made["routeKey"] = "$default"
        made["requestContext"]["stage"] = "$default"
    else:
        made |= {"path": f"/{path}", "resource": f"/{path}", "pathParameters": None}
        made["requestContext"]["path"] = f"/{path}"
    return made


def through_mangum(app: Flask, given: dict[str, Any], **options: Any) -> dict[str, Any]:
    """The response of Mangum's own way through ASGI."""
    runtime.current().loop  # noqa: B018  # sets the thread's loop, which Mangum runs
    application: Any = FlaskToAsgi(app)
    handler: Any = mangum.Mangum(application, lifespan="off", **options)
    response: dict[str, Any] = handler(given, Context())
    return response


def without_correlation_id(response: dict[str, Any]) -> dict[str, Any]:
    """The response without the header, and without the id in a problem document."""
    response = json.loads(json.dumps(response))
    for headers in (response.get("headers", {}), response.get("multiValueHeaders", {})):
        headers.pop("x-correlation-id", None)
        headers.pop("content-length", None)
    if "about:blank" in response["body"]:
        response["body"] = json.loads(response["body"]) | {"instance": None}
    return response


def test_handler_is_a_mangum(app: Flask) -> None:
    """Code that expects a `mangum.Mangum`, such as a framework's integration, accepts the handler."""
    handler = lambda_handler(app, secure_defaults=False)

    assert isinstance(handler, mangum.Mangum)
    assert handler.lifespan == "off"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", PATHS)
def test_response_is_that_of_mangum_with_the_same_handlers(app: Flask, kind: str, path: str) -> None:
    """Both ways, straight to WSGI and through ASGI, give the same status, headers and body."""
    direct = lambda_handler(app, secure_defaults=False)(event(kind, path), Context())

    handlers = [RestEvent, HttpApiEvent, LoadBalancerEvent]
    through_asgi = through_mangum(app, event(kind, path), custom_handlers=handlers)

    assert without_correlation_id(direct) == without_correlation_id(through_asgi)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", ["text", "binary", "sync"])
def test_response_means_the_same_as_mangums_own(app: Flask, kind: str, path: str) -> None:
    """With Mangum's own handlers the client gets the same status, content type and body."""
    direct = lambda_handler(app, secure_defaults=False)(event(kind, path), Context())
    given = event(kind, path)
    if kind == "load_balancer":  # Mangum fails on a null member
        given.pop("multiValueHeaders", None)
    own = through_mangum(app, given)

    def meaning(response: dict[str, Any]) -> tuple[int, str, bytes]:
        headers = response.get("headers") or {
            name: values[-1] for name, values in response["multiValueHeaders"].items()
        }
        body = response["body"]
        decoded = base64.b64decode(body) if response["isBase64Encoded"] else body.encode()
        if path == "sync" and "elb" in given["requestContext"]:
            decoded = b"the client's address"  # see docs/bridge.md
        return response["statusCode"], headers["content-type"], decoded

    assert meaning(direct) == meaning(own)


def test_lifespan_must_be_known(app: Flask) -> None:
    """Mangum validates the options."""
    unknown: Any = "sometimes"

    with pytest.raises(ConfigurationError):
        lambda_handler(app, lifespan=unknown, secure_defaults=False)


@pytest.mark.parametrize("lifespan", ["on", "auto"])
def test_lifespan_runs_for_every_event(app: Flask, lifespan: Any) -> None:
    """The response goes through ASGI then, and what was built is closed after each event."""
    handler = lambda_handler(app, lifespan=lifespan, secure_defaults=False)
    closed: list[int] = []

    @app.get("/resource")
    async def resource() -> str:
        async def close() -> None:
            closed.append(1)

        runtime.current().on_close(close)
        return "ok"

    responses = [handler(event("rest", "resource"), Context()) for _ in range(2)]

    assert [response["body"] for response in responses] == ["ok", "ok"]
    assert closed == [1, 1]


@pytest.mark.parametrize("kind", ["rest", "http_1", "http_2"])
@pytest.mark.parametrize("base_path", ["/v1", "v1"])
def test_base_path_is_left_out_of_the_path_and_kept_in_links(app: Flask, kind: str, base_path: str) -> None:
    """`api_gateway_base_path` becomes SCRIPT_NAME."""
    response = lambda_handler(app, api_gateway_base_path=base_path, secure_defaults=False)(
        event(kind, "v1/json"), Context()
    )

    assert json.loads(response["body"])["link"].endswith("/v1/sync")


@pytest.mark.parametrize("kind", KINDS)
def test_excluded_headers_are_left_out(app: Flask, kind: str) -> None:
    """`exclude_headers` applies to every kind of event."""
    response = lambda_handler(app, exclude_headers=["X-Repeated"], secure_defaults=False)(
        event(kind, "text"), Context()
    )

    names = {**response.get("headers", {}), **response.get("multiValueHeaders", {})}
    assert "x-repeated" not in names
    assert "content-type" in names


def test_text_types_of_the_caller_replace_the_usual_ones(app: Flask) -> None:
    """`text_mime_types` alone selects the encoding, as in Mangum."""
    handler = lambda_handler(app, text_mime_types=["application/json"], secure_defaults=False)

    text, data = (handler(event("rest", path), Context()) for path in ("text", "json"))

    assert (text["isBase64Encoded"], data["isBase64Encoded"]) == (True, False)


class OtherEvent:
    """A custom handler of events that are no HTTP events."""

    def __init__(self, *given: Any) -> None:
        self.event = given[0]
        self.body = b""
        self.scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "path": self.event["path-of-mine"],
            "query_string": b"",
            "headers": [(b"host", b"example.org")],
        }

    @classmethod
    def infer(cls, event: dict[str, Any], _context: Any, _config: Any) -> bool:
        """Whether it is one."""
        return "path-of-mine" in event or "httpMethod" in event

    def __call__(self, response: Any) -> dict[str, Any]:
        """The response in a format of its own."""
        return {"mine": response["status"], "headers": [name for name, _ in response["headers"]]}


def test_custom_handler_takes_events_of_its_own_kind(app: Flask) -> None:
    """It is served through ASGI, with a correlation id; Decant's own handlers are tried before it."""
    handler = lambda_handler(app, custom_handlers=[OtherEvent], secure_defaults=False)

    own, rest = handler({"path-of-mine": "/text"}, Context()), handler(event("rest", "text"), Context())

    assert own["mine"] == 200
    assert b"x-correlation-id" in own["headers"]
    assert rest["statusCode"] == 200


def test_leftover_tasks_of_a_custom_event_are_finished() -> None:
    """A task that the request leaves behind ends before the response, on this path too."""
    app, ended = Flask("leftover"), []

    @app.get("/")
    async def view() -> str:
        async def work() -> None:
            await asyncio.sleep(0.01)
            ended.append(1)

        app.config["task"] = asyncio.create_task(work())
        return "ok"

    lambda_handler(app, custom_handlers=[OtherEvent], secure_defaults=False)({"path-of-mine": "/"}, Context())

    assert ended == [1]


def test_stage_of_a_load_balancer_that_lists_null_headers_is_no_error(app: Flask) -> None:
    """Mangum fails on `multiValueHeaders: null`; Decant reads the other member."""
    given = event("load_balancer", "text") | {"multiValueHeaders": None}

    assert lambda_handler(app, secure_defaults=False)(given, Context())["statusCode"] == 200
