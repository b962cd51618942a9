"""`limit_per_caller`: the requests of one caller to an expensive view are limited, and those of others are not."""

from typing import Any

import pytest
from flask import Flask
from flask.views import MethodView

from decant.web import asgi_app, lambda_handler, limit_per_caller
from tests.bridging import client
from tests.loading import Context, sample

pytestmark = pytest.mark.usefixtures("kept_logs")


@pytest.fixture(autouse=True)
def two_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers may send two requests a minute."""
    monkeypatch.setenv("CALLER_RATE_PER_MINUTE", "2")


@pytest.fixture
def app() -> Flask:
    """An app with expensive views of each kind, and a cheap one."""
    app = Flask("limits")

    @app.get("/async")
    @limit_per_caller
    async def asynchronous() -> str:
        return "done"

    @app.get("/sync")
    @limit_per_caller
    def synchronous() -> str:
        return "done"

    @app.get("/own")
    @limit_per_caller(per_minute=1)
    async def own() -> str:
        return "done"

    @app.get("/cheap")
    async def cheap() -> str:
        return "done"

    class Expensive(MethodView):
        decorators = [limit_per_caller]  # noqa: RUF012  # Flask's type

        async def get(self) -> str:
            return "done"

    app.add_url_rule("/class", view_func=Expensive.as_view("class"))
    return app


async def statuses(app: Flask, path: str, times: int = 4) -> list[int]:
    """Statuses of requests of one caller to a path, behind a server."""
    async with client(app) as http:
        return [(await http.get(path)).status_code for _ in range(times)]


@pytest.mark.parametrize("path", ["/async", "/sync", "/class"])
async def test_caller_over_the_limit_gets_429(app: Flask, path: str) -> None:
    """All requests of a minute may come at once, and no more."""
    assert await statuses(app, path) == [200, 200, 429, 429]


async def test_routes_are_counted_apart_and_others_are_not_limited(app: Flask) -> None:
    """A caller that has used up one route can still use others."""
    assert await statuses(app, "/async", 3) == [200, 200, 429]
    assert await statuses(app, "/own", 2) == [200, 429]
    assert await statuses(app, "/cheap") == [200, 200, 200, 200]


async def test_response_says_when_to_come_back(app: Flask) -> None:
    """It is a problem document with Retry-After."""
    async with client(asgi_app(app)) as http:
        responses = [await http.get("/async") for _ in range(3)]

    assert responses[-1].headers["content-type"] == "application/problem+json"
    assert responses[-1].json()["detail"] == "At most 2 requests a minute are accepted here."
    assert 1 <= int(responses[-1].headers["retry-after"]) <= 30


async def test_requests_are_accepted_again_after_the_wait(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait that the response names is sufficient, and each step of it admits one request."""
    now_s = 1000.0
    monkeypatch.setattr("decant.web.limits.time.monotonic", lambda: now_s)
    async with client(app) as http:
        responses = [await http.get("/async") for _ in range(3)]
        now_s += int(responses[-1].headers["retry-after"])

        later = [(await http.get("/async")).status_code for _ in range(2)]

    assert later == [200, 429]


async def test_zero_means_no_limit(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the local cloud; a limit that the code names remains."""
    monkeypatch.setenv("CALLER_RATE_PER_MINUTE", "0")

    assert await statuses(app, "/async") == [200, 200, 200, 200]
    assert await statuses(app, "/own", 2) == [200, 429]


def status(app: Flask, **context: Any) -> int:
    """Status of the response to a REST event with these members in its context."""
    event = sample("rest", httpMethod="GET", path="/own", headers={}, multiValueHeaders={})
    event["requestContext"] |= {"path": "/dev/own"} | context
    response: dict[str, int] = lambda_handler(app)(event, Context())
    return response["statusCode"]


@pytest.mark.parametrize(
    "contexts",
    [
        pytest.param([{"identity": {"sourceIp": "192.0.2.1"}}, {"identity": {"sourceIp": "192.0.2.2"}}], id="address"),
        pytest.param(
            [
                {"identity": {"sourceIp": "192.0.2.1", "apiKeyId": "a"}},
                {"identity": {"sourceIp": "192.0.2.1", "apiKeyId": "b"}},
            ],
            id="key",
        ),
        pytest.param([{"authorizer": {"principalId": "ada"}}, {"authorizer": {"principalId": "bob"}}], id="token"),
    ],
)
def test_callers_in_lambda_are_told_apart(app: Flask, contexts: list[dict[str, Any]]) -> None:
    """By what API Gateway has verified, else by the address."""
    first, second = contexts

    assert [status(app, **first), status(app, **first), status(app, **second)] == [200, 429, 200]


async def test_number_of_counted_callers_is_limited(monkeypatch: pytest.MonkeyPatch, app: Flask) -> None:
    """Memory stays bounded: the caller that has been silent for the longest time is forgotten."""
    monkeypatch.setattr("decant.web.limits._MAX_CALLERS", 1)

    assert await statuses(app, "/own", 2) == [200, 429]
    assert await statuses(app, "/async", 1) == [200]
    assert await statuses(app, "/own", 1) == [200]
