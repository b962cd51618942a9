"""Requests of web pages: cross-site requests, CORS, and headers that make browsers treat responses safely."""

import logging
from typing import Any

import pytest
from flask import Flask, Response

from decant import runtime
from decant.web import allow_cross_site, asgi_app, lambda_handler
from tests.bridging import client
from tests.loading import Context, sample

pytestmark = pytest.mark.usefixtures("kept_logs")

OWN = "https://api.example.com"
PAGE = "https://shop.example"


@pytest.fixture
def app() -> Flask:
    """An app with a view for each case."""
    app = Flask("browsers")

    @app.route("/", methods=["GET", "POST", "PUT", "DELETE"])
    async def view() -> dict[str, bool]:
        return {"done": True}

    @app.post("/callback")
    @allow_cross_site("the identity provider's page posts its form here")
    async def callback() -> str:
        return "in"

    @app.get("/cached")
    async def cached() -> Response:
        return Response("{}", headers={"Cache-Control": "max-age=60"}, mimetype="application/json")

    @app.get("/large/<int:characters>")
    async def large(characters: int) -> str:
        return "é" * characters

    return app


def respond(app: Flask, method: str = "GET", path: str = "/", body: str | None = None, **headers: str) -> Any:
    """The response to a REST event with these headers; underscores stand for hyphens."""
    given = {"Host": "api.example.com", "X-Forwarded-Proto": "https"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    event = sample("rest", httpMethod=method, path=path, body=body, isBase64Encoded=False, headers=given)
    event["requestContext"]["path"] = f"/dev{path}"
    event["multiValueHeaders"] = {name: [value] for name, value in given.items()}
    return lambda_handler(app)(event, Context())


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": PAGE},
        {"Origin": "null"},
        {"Origin": PAGE, "Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Origin": OWN, "Sec_Fetch_Site": "cross-site"},
    ],
    ids=str,
)
def test_unsafe_request_of_another_site_is_rejected(app: Flask, method: str, headers: dict[str, str]) -> None:
    """A page of another site cannot start a task in a visitor's name, with or without a body."""
    assert respond(app, method, **headers)["statusCode"] == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": OWN},
        {"Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Site": "none"},
        {"Origin": PAGE, "Sec_Fetch_Site": "same-origin"},
    ],
    ids=str,
)
def test_unsafe_request_of_the_own_site_or_of_no_browser_is_served(app: Flask, headers: dict[str, str]) -> None:
    """Clients that are no browsers send neither header."""
    assert respond(app, "POST", **headers)["statusCode"] == 200


def test_safe_request_of_another_site_is_served(app: Flask) -> None:
    """A link may lead anywhere."""
    assert respond(app, Sec_Fetch_Site="cross-site")["statusCode"] == 200


@pytest.mark.parametrize(("origin", "status"), [(PAGE, 200), ("https://other.example", 403)])
def test_page_of_cors_origin_may_send_unsafe_requests(
    app: Flask, monkeypatch: pytest.MonkeyPatch, origin: str, status: int
) -> None:
    """The page that may read responses may also send requests."""
    monkeypatch.setenv("CORS_ORIGIN", PAGE)
    runtime.current().reload()

    assert respond(app, "POST", Origin=origin, Sec_Fetch_Site="cross-site")["statusCode"] == status


def test_exempt_view_accepts_forms_of_other_sites(app: Flask) -> None:
    """An identity provider returns its result with a form."""
    headers = {"Origin": "https://login.example", "Content_Type": "application/x-www-form-urlencoded"}

    assert respond(app, "POST", "/callback", "code=1", **headers)["statusCode"] == 200


def test_body_without_content_type_is_rejected(app: Flask) -> None:
    """A page can send such a body without a preflight request."""
    assert respond(app, "POST", body="{}")["statusCode"] == 415


async def test_asgi_app_serves_existing_apps_unchanged(app: Flask) -> None:
    """The rules apply to a bundle's functions; an app of its own has its own rules."""
    async with client(asgi_app(app)) as http:
        response = await http.post("/", headers={"Origin": PAGE})

    assert response.status_code == 200
    assert "x-content-type-options" not in response.headers


async def test_make_serve_applies_the_rules_of_the_functions(app: Flask) -> None:
    """The same request has the same response locally."""
    async with client(asgi_app(app, secure_defaults=True)) as http:
        rejected = await http.post("/", headers={"Origin": PAGE})
        served = await http.get("/")

    assert rejected.status_code == 403
    assert (served.headers["x-content-type-options"], served.headers["cache-control"]) == ("nosniff", "no-store")


def test_json_is_not_stored_and_https_stays(app: Flask) -> None:
    """Responses have the headers that browsers need to treat them safely."""
    headers = respond(app)["headers"]

    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["strict-transport-security"] == "max-age=31536000"


def test_headers_of_the_app_stay(app: Flask) -> None:
    """A view sets how long its response may be stored."""
    assert respond(app, path="/cached")["headers"]["cache-control"] == "max-age=60"


def test_plain_http_has_no_hsts(app: Flask) -> None:
    """Browsers ignore it there, and local development uses HTTP."""
    assert "strict-transport-security" not in respond(app, X_Forwarded_Proto="http")["headers"]


async def test_preflight_names_methods_and_headers(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of CORS_ORIGIN may send JSON and a bearer token with any method that the route has."""
    monkeypatch.setenv("CORS_ORIGIN", PAGE)
    runtime.current().reload()

    async with client(asgi_app(app)) as http:
        response = await http.options("/", headers={"Origin": PAGE, "Access-Control-Request-Method": "PUT"})

    allowed = response.headers["access-control-allow-headers"].split(", ")
    assert {"authorization", "content-type"} <= set(allowed)
    assert "PUT" in response.headers["access-control-allow-methods"]
    assert "x-correlation-id" in response.headers["access-control-expose-headers"]


def test_response_over_lambdas_limit_is_a_clear_error(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    """The caller gets a problem document and the log names route and size, in place of the gateway's 502."""
    response = respond(app, path="/large/3200000")

    [record] = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert (response["statusCode"], response["headers"]["content-type"]) == (500, "application/problem+json")
    assert (record.route, record.response_bytes > 6 * 1024 * 1024) == ("GET /large/3200000", True)  # type: ignore[attr-defined]


def test_response_below_lambdas_limit_is_returned(app: Flask) -> None:
    """Characters count with the bytes that they are sent in."""
    assert respond(app, path="/large/3000000")["statusCode"] == 200
