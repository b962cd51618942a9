"""The pages of the console and of the documentation in Chromium, behind an API that requires a key or a token."""

import json
from pathlib import Path

import pytest
from flask import Flask, Response, jsonify, request

from decant.console.app import console_app
from decant.console.commands import main
from decant.web.docs import docs_app
from decant_cloud.bundle import bundle
from decant_cloud.local import tokens
from tests.bridging import serve_in_thread
from tests.e2e.browser import click, open_page, shows

pytestmark = pytest.mark.chromium

KEY = "6b1e4c3a9f5d2f1f0c7a4e11"


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A token that the app accepts."""
    monkeypatch.setenv("JWT_ISSUER", tokens.ISSUER)
    monkeypatch.setenv("JWT_AUDIENCE", bundle().name)
    monkeypatch.setenv("JWT_PUBLIC_PEM", tokens.public_key(tmp_path))
    return tokens.mint(tmp_path, "tasks:admin")


def behind_gateway(app: Flask, path: str, status: int, **required: str) -> Flask:
    """The app behind an API that rejects requests of a path without these headers, as API Gateway does."""

    @app.before_request
    def reject() -> tuple[Response, int] | None:
        is_permitted = all(request.headers.get(name) == value for name, value in required.items())
        if request.path.startswith(path) and not is_permitted:
            return jsonify(message="Forbidden" if status == 403 else "Unauthorized"), status
        return None

    return app


@pytest.mark.usefixtures("database_url")
def test_console_sends_the_key_of_the_api(token: str, tmp_path: Path) -> None:
    """The page opens without headers; the form, and the fragment of the URL, take the key beside the token."""
    app = console_app(read="tasks:read", admin="tasks:admin")

    with (
        serve_in_thread(behind_gateway(app, "/console/api/", 403, **{"x-api-key": KEY})) as url,
        open_page(f"{url}/console#token={token}", tmp_path / "browser") as page,
    ):
        shows(page, "Forbidden")
        page.evaluate(f"document.getElementById('token').value = '{token}'")
        page.evaluate(f"document.getElementById('key').value = '{KEY}'")
        click(page, "Open the console")
        shows(page, "Throughput and latency")
        page.evaluate("sessionStorage.clear()")
        page.evaluate(f"location.hash = 'token={token}&key={KEY}'")
        shows(page, "Throughput and latency")
        hash_after = page.evaluate("location.hash")

    assert hash_after == ""


@pytest.mark.usefixtures("database_url")
def test_commands_send_the_key_of_the_api(
    token: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The key is that of the option, or else of the environment; without it, the API rejects the command."""
    app = console_app(read="tasks:read", admin="tasks:admin")

    with serve_in_thread(behind_gateway(app, "/console/api/", 403, **{"x-api-key": KEY})) as url:
        command = ["list", "--json", "--url", url, "--token", token]
        rejected = main(command)
        by_option = main([*command, "--api-key", KEY])
        monkeypatch.setenv("DECANT_API_KEY", KEY)
        by_environment = main(command)

    assert (rejected, by_option, by_environment) == (1, 0, 0)
    assert "The API responded with 403" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "status"), [("Authorization", 401), ("x-api-key", 403)])
def test_documentation_asks_for_a_token_or_a_key(token: str, tmp_path: Path, name: str, status: int) -> None:
    """The page opens without headers, and sends what the form or the fragment of the URL has with its requests."""
    document = {"openapi": "3.1.0", "info": {"title": "Shop", "version": "1"}, "paths": {}}
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    field, value = ("token", token) if status == 401 else ("key", KEY)
    header = f"Bearer {value}" if status == 401 else value
    app = behind_gateway(docs_app(tmp_path / "openapi.json"), "/openapi.json", status, **{name: header})

    def enter(given: str) -> None:
        page.evaluate(f"document.querySelector('#access [name={field}]').value = '{given}'")
        click(page, "Open", "form")

    with serve_in_thread(app) as url, open_page(f"{url}/docs", tmp_path / "browser") as page:
        shows(page, "The API requires a token or a key for its document.")
        enter("other")
        shows(page, "The API rejects this token or key.")
        enter(value)
        page.wait_for("document.title === 'Shop'")
        page.evaluate("sessionStorage.clear()")
        page.call("Page.navigate", url=f"{url}/docs?again#{field}={value}")
        page.wait_for("document.title === 'Shop' && location.hash === ''")
