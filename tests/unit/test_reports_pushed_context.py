"""Each request has its own `g`, also when the application pushed a context at import.

Reports: pallets-eco/flask-security 727, flask-login 721 and 905, level12/flask-webtest 18.
"""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, abort, g, request

from decant.web import asgi_app, lambda_handler
from tests.bridging import client
from tests.loading import Context, rest_request

pytestmark = pytest.mark.usefixtures("kept_logs")


@pytest.fixture
def app() -> Iterator[Flask]:
    """An app whose context is pushed, as at the end of a module, and whose view keeps the user on `g`."""
    made = Flask("pushed")
    made.secret_key = "for tests"

    @made.get("/user")
    async def user() -> dict[str, Any]:
        before, g.user = g.get("user"), request.headers["X-User"]
        await asyncio.sleep(0.05)
        return {"before": before, "now": g.user}

    with made.app_context():
        yield made


def test_invocation_does_not_see_the_user_of_the_last(app: Flask) -> None:
    """`g` is empty at the start of the second invocation."""
    handler = lambda_handler(app)
    handler(rest_request("/user", X_User="ann"), Context())

    response = handler(rest_request("/user", X_User="ben"), Context())

    assert json.loads(response["body"])["before"] is None


async def test_concurrent_requests_have_their_own_g(app: Flask) -> None:
    """Two requests that run at the same time each read the user that they stored."""
    async with client(asgi_app(app)) as http:
        responses = await asyncio.gather(*(http.get("/user", headers={"X-User": name}) for name in ("ann", "ben")))

    assert [response.json()["now"] for response in responses] == ["ann", "ben"]


def test_anonymous_request_stays_anonymous_after_a_login(app: Flask) -> None:
    """A user cached on `g`, as Flask-Login does it, does not log in the next client."""

    @app.get("/login")
    async def login() -> str:
        g._login_user = "ann"
        return "logged in"

    @app.get("/private")
    async def private() -> str:
        if "_login_user" not in g:
            abort(401)
        return "private"

    handler = lambda_handler(app)
    paths = ("/private", "/login", "/private")

    statuses = [handler(rest_request(path), Context())["statusCode"] for path in paths]

    assert statuses == [401, 200, 401]
