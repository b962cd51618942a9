"""`make serve` selects the same function as API Gateway and returns the same response.

Reports: aws/aws-sam-cli 1037 and 400, ministackorg/ministack 1256, aws/serverless-application-model 463 and 1151.
"""

from pathlib import Path

import pytest
from flask import Flask

from decant import runtime
from decant.web import asgi_app
from decant_cloud.local.served import Dispatcher
from decant_cloud.template.model import load_template
from tests.bridging import client
from tests.loading import ROOT

pytestmark = pytest.mark.usefixtures("kept_logs")


def function(name: str, rule: str, *methods: str, folder: Path | None = None) -> Flask:
    """The app of one function, which has one route and responds with the function's name."""
    app = Flask(name, root_path=None if folder is None else str(folder))

    async def view(**_values: str) -> str:
        return name

    app.add_url_rule(rule, "view", view, methods=methods or ("GET",))
    return app


@pytest.mark.parametrize(
    ("general", "special"),
    [("/files/<name>", "/files/new"), ("/<path:proxy>", "/health")],
    ids=["variable", "greedy"],
)
async def test_most_specific_route_is_selected(general: str, special: str) -> None:
    """The order of the functions has no effect."""
    dispatcher = Dispatcher([function("general", general), function("special", special)])

    async with client(dispatcher) as http:
        response = await http.get(special)

    assert response.text == "special"


async def test_static_files_of_the_second_function_are_served(tmp_path: Path) -> None:
    """Every function's static folder is reachable."""
    (tmp_path / "static").mkdir()
    (tmp_path / "static/site.css").write_text("body {}")
    dispatcher = Dispatcher([function("first", "/a"), function("second", "/b", folder=tmp_path)])

    async with client(dispatcher) as http:
        response = await http.get("/static/site.css")

    assert (response.status_code, response.text) == (200, "body {}")


async def test_allow_lists_the_methods_of_every_function() -> None:
    """A path that two functions share responds to other methods with the methods of both."""
    dispatcher = Dispatcher([function("reads", "/users"), function("writes", "/users", "POST")])

    async with client(dispatcher) as http:
        response = await http.delete("/users")

    assert {"GET", "POST"} <= set(response.headers["allow"].split(", "))


async def test_most_specific_path_is_selected_before_the_method() -> None:
    """API Gateway does not fall back to the path with a variable for a method that the specific path lacks."""
    dispatcher = Dispatcher([function("status", "/tasks/<task_id>"), function("redrive", "/tasks/redrive", "POST")])

    async with client(dispatcher) as http:
        response = await http.get("/tasks/redrive")

    assert (response.status_code, response.headers["allow"]) == (405, "OPTIONS, POST")


async def test_preflight_lists_the_methods_of_every_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page may send the methods of all functions that share a path, also with different converters."""
    monkeypatch.setenv("CORS_ORIGIN", "https://shop.example")
    runtime.current().reload()
    dispatcher = Dispatcher([function("reads", "/users/<int:id>"), function("removes", "/users/<name>", "DELETE")])
    asked = {"Origin": "https://shop.example", "Access-Control-Request-Method": "DELETE"}

    async with client(dispatcher) as http:
        response = await http.options("/users/7", headers=asked)

    assert {"GET", "DELETE"} <= set(response.headers["access-control-allow-methods"].split(", "))


async def test_preflight_allows_json_from_the_configured_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of CORS_ORIGIN may POST JSON."""
    monkeypatch.setenv("CORS_ORIGIN", "https://shop.example")
    runtime.current().reload()
    asked = {
        "Origin": "https://shop.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }

    async with client(asgi_app(function("writes", "/users", "POST"))) as http:
        response = await http.options("/users", headers=asked)

    assert response.headers["access-control-allow-origin"] == "https://shop.example"
    assert "content-type" in response.headers.get("access-control-allow-headers", "").lower()


async def test_gateway_and_servers_allow_the_same_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page may send the bearer token that the admin routes require, and an API key, to every front end."""
    monkeypatch.setenv("CORS_ORIGIN", "https://shop.example")
    runtime.current().reload()
    asked = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}

    async with client(asgi_app(function("writes", "/users", "POST"))) as http:
        response = await http.options("/users", headers=asked)

    api = load_template(ROOT / "template.yaml")["Resources"]["Api"]["Properties"]
    allowed = set(response.headers["access-control-allow-headers"].split(", "))
    assert allowed == set(api["Cors"]["AllowHeaders"].strip("'").split(","))
    assert {"authorization", "x-api-key"} <= allowed


def test_gateway_exposes_the_headers_of_its_own_errors() -> None:
    """A page can read when it may repeat a request that the gateway has rejected, and which token it needs."""
    api = load_template(ROOT / "template.yaml")["Resources"]["Api"]["Properties"]
    headers = [each["ResponseParameters"]["Headers"] for each in api["GatewayResponses"].values()]

    exposed = [given.get("Access-Control-Expose-Headers", "''").strip("'") for given in headers]

    own = [",".join(name.lower() for name in given if not name.startswith("Access-Control-")) for given in headers]
    assert exposed == own


async def test_doubled_slash_and_another_method_are_no_error_of_the_server() -> None:
    """Without the second slash, the path belongs to a function that has no such method."""
    dispatcher = Dispatcher([function("reads", "/tasks/<task_id>"), function("revokes", "/tasks/<id>/revoke", "POST")])

    async with client(dispatcher) as http:
        response = await http.post("/tasks//revoke")

    assert response.status_code in {308, 404, 405}


async def test_static_file_with_a_long_name_is_not_found(tmp_path: Path) -> None:
    """A name that is longer than the file system allows is no error of the server."""
    (tmp_path / "static").mkdir()
    dispatcher = Dispatcher([function("first", "/a", folder=tmp_path)])

    async with client(dispatcher) as http:
        response = await http.get(f"/static/{'x' * 5_000}")

    assert response.status_code == 404
