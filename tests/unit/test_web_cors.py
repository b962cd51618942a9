"""Answers that a web page of another origin may read."""

from typing import Any

import pytest
from flask import Flask

from decant import runtime
from decant.web import lambda_handler

EVENT: dict[str, Any] = {
    "resource": "/",
    "path": "/",
    "httpMethod": "GET",
    "headers": {"Host": "api.example.com"},
    "multiValueHeaders": {"Host": ["api.example.com"]},
    "queryStringParameters": None,
    "multiValueQueryStringParameters": None,
    "requestContext": {"requestId": "1", "httpMethod": "GET", "path": "/", "stage": "local"},
    "body": None,
    "isBase64Encoded": False,
}


def answered(app: Flask) -> dict[str, str]:
    """Headers of what the app answers through the gateway."""
    headers: dict[str, str] = lambda_handler(app)(EVENT, None)["headers"]
    return headers


@pytest.fixture
def app() -> Flask:
    """An app with one route, which fails."""
    made = Flask(__name__)

    @made.get("/")
    async def root() -> str:
        raise LookupError

    return made


def test_cors_names_the_origin_on_errors_too(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page has to read what went wrong; caches keep its copy apart from others."""
    monkeypatch.setenv("CORS_ORIGIN", "https://app.example.com")
    runtime.current().reload()

    headers = answered(app)

    assert headers["access-control-allow-origin"] == "https://app.example.com"
    assert headers["vary"] == "Origin"


def test_cors_for_everybody_is_the_same_for_everybody(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `*` an answer does not vary."""
    monkeypatch.setenv("CORS_ORIGIN", "*")
    runtime.current().reload()

    headers = answered(app)

    assert headers["access-control-allow-origin"] == "*"
    assert "vary" not in headers


def test_cors_is_off_by_default(app: Flask) -> None:
    """Pages of other origins read nothing."""
    assert "access-control-allow-origin" not in answered(app)
