"""AWS's published sample events, and what a Flask app makes of them."""

import base64
import json
from typing import Any

import pytest
from flask import Flask, request, url_for
from hypothesis import given
from hypothesis import strategies as st

from decant.web import lambda_handler
from tests.loading import Context, sample

SAMPLES = ["rest", "http_1", "http_2", "function_url", "load_balancer", "load_balancer_multi_value"]
SINGLE_VALUE = "load_balancer"
"""Of a repeated parameter this format has the last value alone."""


def environ_of_event(event: dict[str, Any]) -> dict[str, Any]:
    """The WSGI environ that the adapter builds from an event."""
    handler: Any = lambda_handler(Flask("bridged")).infer(event, Context())
    environ: dict[str, Any] = handler.environ()
    return environ


def echo() -> Flask:
    """An app that responds with what it received."""
    app = Flask("echo")

    @app.route("/<path:path>", methods=["GET", "POST", "PUT"])
    async def view(path: str) -> dict[str, Any]:
        return {
            "method": request.method,
            "path": path,
            "args": request.args.to_dict(flat=False),
            "header1": request.headers["header1"],
            "header2": request.headers["header2"],
            "cookies": request.cookies,
            "address": request.remote_addr,
            "link": url_for("view", path="x", _external=True),
            "body": request.get_data().hex(),
        }

    return app


def answered(app: Flask, event: dict[str, Any]) -> dict[str, Any]:
    """What the app's handler answers to the event."""
    return lambda_handler(app, secure_defaults=False)(event, Context())


def echoed(event: dict[str, Any]) -> dict[str, Any]:
    """What an app sees of the event."""
    seen: dict[str, Any] = json.loads(answered(echo(), event)["body"])
    return seen


@pytest.mark.parametrize("name", SAMPLES)
def test_sample_reaches_the_app_whole(name: str) -> None:
    """Method, path, repeated parameters, repeated headers, cookies, address and body are all there."""
    event = sample(name)

    seen = echoed(event)

    first = ["value1"] if name == SINGLE_VALUE else ["value1", "value2"]
    assert seen == {
        "method": event["requestContext"].get("http", {}).get("method") or event["httpMethod"],
        "path": "my/path",
        "args": {"parameter1": first, "parameter2": ["value"]},
        "header1": "value1",
        "header2": "value1,value2",
        "cookies": {"cookie1": "a", "cookie2": "b"},
        "address": "192.0.2.1",
        "link": seen["link"],
        "body": event["body"].encode().hex(),
    }


@pytest.mark.parametrize(
    ("name", "link"),
    [
        ("rest", "https://id.execute-api.us-east-1.amazonaws.com/dev/x"),
        ("http_1", "https://id.execute-api.us-east-1.amazonaws.com/x"),
        ("http_2", "https://api-id.execute-api.us-east-1.amazonaws.com/x"),
        ("function_url", "https://url-id.lambda-url.us-west-2.on.aws/x"),
        ("load_balancer", "http://lambda-alb-123578498.us-east-1.elb.amazonaws.com/x"),
    ],
)
def test_sample_builds_links_that_work_outside(name: str, link: str) -> None:
    """Scheme, host and stage are those that the client used."""
    assert echoed(sample(name))["link"] == link


@pytest.mark.parametrize(
    ("resource", "parameters", "path", "whole", "expected"),
    [
        ("/users/{id}", {"id": "7"}, "/users/7", "/dev/users/7", ("/dev", "/users/7")),
        ("/users/{id}", {"id": "7"}, "/users/7", "/users/7", ("", "/users/7")),
        ("/users/{id}", {"id": "7"}, "/shop/v1/users/7", "/shop/v1/users/7", ("/shop/v1", "/users/7")),
        ("/{proxy+}", {"proxy": "users/7"}, "/v1/users/7", "/v1/users/7", ("/v1", "/users/7")),
        ("/{proxy+}", {"proxy": "/users/7"}, "/users/7", "/dev/users/7", ("/dev", "/users/7")),
        ("/", None, "/", "/dev/", ("/dev", "/")),
        ("/", None, "/v1", "/v1", ("/v1", "")),
        ("/dev", None, "/dev", "/dev/dev", ("/dev", "/dev")),
        ("/users", None, "/users/", "/dev/users/", ("/dev", "/users/")),
    ],
    ids=[
        "stage",
        "custom domain",
        "custom domain with a base path",
        "greedy route and base path",
        "greedy route, parameter with a slash",
        "root of a stage",
        "root of a base path",
        "path like the stage",
        "slash at the end",
    ],
)
def test_rest_event_tells_where_the_app_is_mounted(
    resource: str, parameters: dict[str, str] | None, path: str, whole: str, expected: tuple[str, str]
) -> None:
    """SCRIPT_NAME is what the gateway put before the route."""
    event = sample("rest", resource=resource, pathParameters=parameters, path=path)
    event["requestContext"]["path"] = whole

    environ = environ_of_event(event)

    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == expected


@pytest.mark.parametrize(
    ("stage", "route", "path", "expected"),
    [
        ("dev", "$default", "/dev/users", ("/dev", "/users")),
        ("dev", "GET /users", "/dev/users", ("/dev", "/users")),
        ("$default", "GET /users", "/users", ("", "/users")),
        ("dev", "$default", "/users", ("", "/users")),
    ],
)
def test_http_event_tells_where_the_app_is_mounted(
    stage: str, route: str, path: str, expected: tuple[str, str]
) -> None:
    """Its path begins with the stage, but for the default one."""
    event = sample("http_2", routeKey=route)
    event["requestContext"] |= {"stage": stage, "http": event["requestContext"]["http"] | {"path": path}}

    environ = environ_of_event(event)

    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == expected


def test_emulators_path_is_part_of_its_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """LocalStack serves an API below a path of its own, unless its host names the API."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    by_path, by_host = sample("rest"), sample("rest")
    by_path["requestContext"]["domainName"] = "127.0.0.1:4566"

    roots = [environ_of_event(event)["SCRIPT_NAME"] for event in (by_path, by_host)]

    assert roots == ["/_aws/execute-api/id/dev", "/dev"]


@pytest.mark.parametrize(
    ("name", "sent", "seen"),
    [
        ("rest", "/caf%C3%A9%20%2525", "café %25"),
        ("function_url", "/caf%C3%A9%20%2525", "café %25"),
        ("load_balancer", "/caf%C3%A9%20%2525", "café %25"),
        ("http_1", "/café %25", "café %25"),
        ("http_2", "/café %25", "café %25"),
    ],
)
def test_path_is_decoded_once(name: str, sent: str, seen: str) -> None:
    """HTTP APIs decode the path, the others do not."""
    event = sample(name, path=sent)
    context = event["requestContext"]
    context |= {"path": sent} | ({"http": context["http"] | {"path": sent}} if "http" in context else {})

    assert echoed(event)["path"] == seen


def test_load_balancers_query_is_decoded_once() -> None:
    """A load balancer leaves it encoded, where API Gateway decodes it."""
    balancer = sample("load_balancer", queryStringParameters={"q%20": "a%2Bb+c"})
    gateway = sample("rest", multiValueQueryStringParameters={"q ": ["a+b c"]})

    assert echoed(balancer)["args"] == echoed(gateway)["args"] == {"q ": ["a+b c"]}


@pytest.mark.parametrize("name", SAMPLES)
def test_binary_body_arrives(name: str) -> None:
    """Base64 is taken off."""
    event = sample(name, body=base64.b64encode(bytes(range(256))).decode(), isBase64Encoded=True)

    assert echoed(event)["body"] == bytes(range(256)).hex()


def test_event_without_headers_and_body_is_taken() -> None:
    """The console's test button sends null for what there is none of."""
    event = sample("rest", headers=None, multiValueHeaders=None, body=None)
    event |= {"queryStringParameters": None, "multiValueQueryStringParameters": None}
    app = Flask("bridged")
    app.add_url_rule("/my/path", "view", lambda: f"{request.data!r} {request.scheme} {request.host}")

    assert answered(app, event)["body"] == "b'' https localhost"


OTHER_EVENTS: dict[str, Any] = {
    "nothing": {},
    "SQS": {"Records": [{"messageId": "1", "body": "{}", "eventSource": "aws:sqs"}]},
    "no records": {"Records": []},
    "EventBridge": {"version": "0", "source": "aws.events", "detail": {}},
    "a list": [{"id": 1}],
    "text": "event",
    "no requestContext": {"httpMethod": "GET", "path": "/", "headers": {}},
    "requestContext is null": {"httpMethod": "GET", "path": "/", "headers": {}, "requestContext": None},
    "Bedrock agent": {
        "messageVersion": "1.0",
        "agent": {"name": "agent"},
        "actionGroup": "group",
        "apiPath": "/users",
        "httpMethod": "GET",
        "parameters": [],
    },
    "AppSync": {
        "arguments": {},
        "identity": None,
        "source": None,
        "request": {"headers": {}},
        "info": {"fieldName": "f"},
    },
    "AppSync batch": [{"arguments": {}, "info": {"fieldName": "f"}}],
    "WebSocket": {"requestContext": {"routeKey": "$connect", "connectionId": "1", "eventType": "CONNECT"}},
}


@pytest.mark.parametrize("name", OTHER_EVENTS)
def test_event_of_another_kind_is_refused(name: str) -> None:
    """The same error lists the events that the function responds to."""
    with pytest.raises(TypeError, match="not an HTTP event: this function responds to events of API Gateway"):
        lambda_handler(Flask("bridged"))(OTHER_EVENTS[name], Context())


@pytest.mark.parametrize(
    ("template", "path", "parameters"),
    [
        ("/{proxy+}", "/shop/v1/files/a%2Fb", {"proxy": "files/a/b"}),
        ("/files/{name}", "/shop/v1/files/a%2Fb", {"name": "a/b"}),
        ("/files/{name}", "/shop/v1/files/a", None),
    ],
)
def test_encoded_slash_keeps_the_base_path(template: str, path: str, parameters: dict[str, str] | None) -> None:
    """A REST API leaves a slash in a parameter encoded in the path, and decodes it in the parameters."""
    event = sample("rest", path=path, resource=template, pathParameters=parameters)
    event["requestContext"]["path"] = path

    assert environ_of_event(event)["SCRIPT_NAME"] == "/shop/v1"


@given(st.dictionaries(st.text(max_size=9), st.lists(st.text(max_size=9), min_size=1, max_size=3), max_size=4))
def test_rest_query_gives_back_every_value(parameters: dict[str, list[str]]) -> None:
    """For any text in names and values, Flask decodes it as it was."""
    encodable = {name: values for name, values in parameters.items() if _encodable(name, *values)}
    environ = environ_of_event(sample("rest", multiValueQueryStringParameters=encodable, queryStringParameters=None))

    with Flask("bridged").request_context(environ):
        assert request.args.to_dict(flat=False) == encodable


def _encodable(*texts: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for text in texts for character in text)
