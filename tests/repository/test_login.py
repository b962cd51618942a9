"""The login recipe of docs/api.md, with an identity provider on loopback."""

import json
import re
import subprocess
import sys
import threading
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask

from decant import auth
from decant.secrets import provide
from decant.web import lambda_handler
from decant_cloud.invocation import Token
from tests.loading import ROOT, Context, rest_request

DECANT = Path(sys.executable).parent / "decant"

pytestmark = pytest.mark.usefixtures("kept_logs")


class Provider(BaseHTTPRequestHandler):
    """An identity provider that accepts the code `c-1` with the verifier of its challenge."""

    challenge = ""

    def do_GET(self) -> None:
        """Respond with the configuration, or with the person of the access token."""
        if self.path == "/person":
            self._send({"sub": "ada"} if self.headers["Authorization"] == "Bearer t-1" else None)
            return
        url = f"http://{self.headers['Host']}"
        endpoints = {"authorization_endpoint": "/authorize", "token_endpoint": "/token", "userinfo_endpoint": "/person"}
        self._send({name: url + path for name, path in endpoints.items()})

    def do_POST(self) -> None:
        """Exchange the code."""
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        digest = sha256(form["code_verifier"][0].encode()).digest()
        is_valid = urlsafe_b64encode(digest).decode().rstrip("=") == Provider.challenge and form["code"] == ["c-1"]
        self._send({"access_token": "t-1"} if is_valid else None)

    def _send(self, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(200 if document else 400)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Log nothing."""


@pytest.fixture
def recipe() -> Iterator[ModuleType]:
    """The code of the page, with the provider's address."""
    provider = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    thread = threading.Thread(target=provider.serve_forever)
    thread.start()
    try:
        blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/api.md").read_text(), re.DOTALL)
        [code] = [block for block in blocks if "SecretSessions" in block]
        module = ModuleType("login_recipe")
        address = f"http://127.0.0.1:{provider.server_port}"
        exec(code.replace("https://login.example.com", address), vars(module))  # noqa: S102  # our own page
        provide({"myshop/session-key": "for tests"})
        yield module
    finally:
        provider.shutdown()
        thread.join()
        provider.server_close()


def get(recipe: ModuleType, path: str, query: str = "", cookie: str = "") -> tuple[int, str, str, str]:
    """Status, Location, the session's cookie and body of a GET request."""
    event: dict[str, Any] = rest_request(path, **({"Cookie": cookie} if cookie else {}))
    event["multiValueQueryStringParameters"] = parse_qs(query) or None
    response = recipe.handler(event, Context())
    headers = {name: values[-1] for name, values in (response.get("multiValueHeaders") or {}).items()}
    headers = {name.lower(): value for name, value in (headers | (response.get("headers") or {})).items()}
    given = headers.get("set-cookie", "").partition(";")[0]
    return response["statusCode"], headers.get("location", ""), given or cookie, response["body"]


def test_login_keeps_the_subject_in_the_session(recipe: ModuleType) -> None:
    """The provider's code is exchanged once, with the verifier of the challenge."""
    _, address, cookie, _ = get(recipe, "/login")
    sent = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    Provider.challenge = sent["code_challenge"]

    status, _, cookie, _ = get(recipe, "/login/callback", f"state={sent['state']}&code=c-1", cookie)

    assert status == 302
    assert json.loads(get(recipe, "/me", cookie=cookie)[3]) == {"subject": "ada"}
    assert get(recipe, "/login/callback", f"state={sent['state']}&code=c-1", cookie)[0] == 403


def test_login_of_another_browser_is_rejected(recipe: ModuleType) -> None:
    """A state without its cookie, a wrong state and a wrong code are rejected."""
    _, address, cookie, _ = get(recipe, "/login")
    state = parse_qs(urlsplit(address).query)["state"][0]

    assert get(recipe, "/login/callback", f"state={state}&code=c-1")[0] == 403
    assert get(recipe, "/login/callback", "state=other&code=c-1", cookie)[0] == 403
    assert get(recipe, "/login/callback", f"state={state}&code=other", cookie)[0] == 502
    assert get(recipe, "/me", cookie=cookie)[0] == 401


def test_token_has_the_given_subject_and_scope(token: Token, tmp_path_factory: pytest.TempPathFactory) -> None:
    """`make token` signs tokens for the routes of a bundle: 401 without one, 403 without the scope."""
    assert token("other")  # the routes accept the tokens of this issuer
    app = Flask("bookings")

    @app.get("/bookings")
    async def bookings_list() -> dict[str, str]:
        await auth.require("bookings:read")
        return {"caller": await auth.subject()}

    def ask(**options: str) -> tuple[int, str]:
        given = [part for name, value in options.items() for part in (f"--{name}", value)]
        state = tmp_path_factory.getbasetemp() / "tokens"
        made = subprocess.run(
            [DECANT, "token", "--state", state, *given], cwd=ROOT, capture_output=True, text=True, check=True
        )
        event = rest_request("/bookings", Authorization=f"Bearer {made.stdout.strip()}")
        response = lambda_handler(app)(event, Context())
        return response["statusCode"], response["body"].strip()

    assert ask(subject="ada", scope="bookings:read") == (200, '{"caller":"ada"}')
    assert ask(subject="ada", scope="bookings:write")[0] == 403
    assert lambda_handler(app)(rest_request("/bookings"), Context())["statusCode"] == 401
