"""Metrics of requests, and the app's own log lines."""

import json
import logging
import sys

import pytest
from flask import Flask

from decant.web import asgi_app, lambda_handler
from tests.bridging import client
from tests.loading import Context, sample


@pytest.fixture
def app() -> Flask:
    """An app with a view whose path selects the response."""
    made = Flask("observed")

    @made.get("/users/<name>")
    async def view(name: str) -> tuple[str, int]:
        if name == "exit":
            sys.exit(1)
        if name == "broken":
            raise KeyError(name)
        return name, 202

    return made


@pytest.fixture
def enabled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn metrics on."""
    monkeypatch.setenv("METRICS", "1")


def requests(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str, list[float]]]:
    """Route, status and count of every metric that was written."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    return [(line["route"], line["status"], line["Requests"]) for line in lines]


RESPONSES = [
    pytest.param("/users/ada", "GET /users/<name>", "202", id="view"),
    pytest.param("/users/broken", "GET /users/<name>", "500", id="error"),
    pytest.param("/users/exit", "unmatched", "500", id="error outside of Flask"),
    pytest.param("/nowhere", "unmatched", "404", id="no rule"),
]


@pytest.mark.usefixtures("enabled")
@pytest.mark.parametrize(("path", "route", "status"), RESPONSES)
def test_requests_of_a_function_are_counted_by_route_and_status(
    app: Flask, capsys: pytest.CaptureFixture[str], path: str, route: str, status: str
) -> None:
    """Every response of a function is counted once."""
    lambda_handler(app)(sample("rest", path=path, httpMethod="GET"), Context())

    assert requests(capsys) == [(route, status, [1.0])]


@pytest.mark.usefixtures("enabled")
@pytest.mark.parametrize(("path", "route", "status"), RESPONSES)
async def test_requests_of_a_server_are_counted_by_route_and_status(
    app: Flask, capsys: pytest.CaptureFixture[str], path: str, route: str, status: str
) -> None:
    """Every response behind a server is counted once."""
    async with client(asgi_app(app)) as http:
        await http.get(path)

    assert requests(capsys) == [(route, status, [1.0])]


def test_requests_are_not_counted_by_default(app: Flask, capsys: pytest.CaptureFixture[str]) -> None:
    """Without METRICS, a request writes no metric."""
    lambda_handler(app)(sample("rest", path="/users/ada", httpMethod="GET"), Context())

    assert requests(capsys) == []


def test_line_of_the_apps_logger_is_printed_once(app: Flask, capsys: pytest.CaptureFixture[str]) -> None:
    """The handler that Flask adds to the app's logger, when no other exists, is removed."""
    root = logging.getLogger()
    handlers, root.handlers = root.handlers, []
    app.logger.warning("early")

    asgi_app(app)
    app.logger.warning("later")

    root.handlers = handlers
    captured = capsys.readouterr()
    assert (captured.out.count("later"), captured.err.count("later")) == (1, 0)
