"""Werkzeug's test client over Decant, for the tests of existing applications.

A mode is the way of a request: `threads` and `event loop` use ASGI, and the other modes are the names of the events in
`tests/aws_events/`. `pytest -p tests.flaskr_client` with FLASKR_MODE makes `app.test_client()` of Flask's tutorial
application return such a client.
"""

import asyncio
import base64
import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any, Self
from urllib.parse import unquote

from flask import Flask, request_finished
from flask.globals import app_ctx, request_ctx
from werkzeug import Request, Response
from werkzeug.datastructures import Headers
from werkzeug.test import Client

from decant.asgi import FlaskToAsgi
from decant.web import asgi_app, lambda_handler
from tests.bridging import client
from tests.loading import Context, sample

__all__ = ["MODES", "client_of"]

MODES = ("threads", "event loop", "rest", "http_2", "function_url", "load_balancer")

type Send = Callable[[Request], Response]


def client_of(app: Flask, mode: str) -> Client:
    """A client that keeps cookies and sends each request through Decant."""
    return Client(_application(app, mode), Response)


def _application(app: Flask, mode: str) -> Any:
    return Request.application(_through_asgi(app, mode) if mode in MODES[:2] else _through_lambda(app, mode))


class ModeClient(Client):
    """Werkzeug's test client over one of the modes, with what the tutorial's tests use of Flask's own client.

    In a `with` block the contexts of the last request are current again, for `g` and `session`.
    """

    def __init__(self, app: Flask, response_wrapper: Any, *, use_cookies: bool = True) -> None:
        super().__init__(_application(app, os.environ["FLASKR_MODE"]), response_wrapper, use_cookies=use_cookies)
        self._contexts: list[Any] = []
        self._current: ExitStack | None = None
        request_finished.connect(self._note, app)

    def __enter__(self) -> Self:
        self._current = ExitStack()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._current is not None:
            self._current.close()
        self._current = None

    def open(self, *args: Any, **kwargs: Any) -> Any:
        """Send a request; see `werkzeug.test.Client.open`."""
        if self._current is not None:
            self._current.close()
        response = super().open(*args, **kwargs)
        if self._current is not None:
            for context in self._contexts:
                self._current.enter_context(context)
        return response

    def _note(self, _app: Flask, **_named: object) -> None:
        self._contexts = [app_ctx._get_current_object(), request_ctx._get_current_object()]  # type: ignore[attr-defined]


def _through_asgi(app: Flask, mode: str) -> Send:
    application: Any = asgi_app(app) if mode == "threads" else FlaskToAsgi(app, view_threads=0)

    async def request(given: Request) -> Response:
        async with client(application) as http:
            received = await http.request(
                given.method, given.full_path, headers=given.headers.to_wsgi_list(), content=given.get_data()
            )
        return _response(received.content, received.status_code, received.headers.multi_items())

    def send(given: Request) -> Response:
        return asyncio.run(request(given))

    return send


def _through_lambda(app: Flask, mode: str) -> Send:
    handler = lambda_handler(app)

    def send(given: Request) -> Response:
        result = handler(_event(mode, given), Context())
        body = base64.b64decode(result["body"]) if result["isBase64Encoded"] else result["body"].encode()
        headers = [(name, value) for name, value in result.get("headers", {}).items()]
        headers += [(name, value) for name, values in result.get("multiValueHeaders", {}).items() for value in values]
        headers += [("Set-Cookie", cookie) for cookie in result.get("cookies", [])]
        return _response(body, result["statusCode"], headers)

    return send


def _response(body: bytes, status: int, headers: Iterable[tuple[str, str]]) -> Response:
    given = Headers(list(headers))
    given.pop("Content-Length", None)  # Werkzeug adds its own
    return Response(body, status, given)


def _event(name: str, given: Request) -> dict[str, Any]:
    """The request in one of the formats of AWS, on a domain whose paths have no stage."""
    headers = dict(given.headers.items())
    query = given.query_string.decode()
    made = sample(name, body=base64.b64encode(given.get_data()).decode(), isBase64Encoded=True, headers=headers)
    context = made["requestContext"]
    if made.get("version") == "2.0":
        cookies = [cookie.strip() for cookie in headers.pop("Cookie", "").split(";") if cookie]
        http = context["http"] | {"method": given.method, "path": given.path}
        made |= {"rawPath": given.path, "rawQueryString": query, "cookies": cookies}
        return made | {"requestContext": context | {"http": http}}
    pairs = [pair.partition("=")[::2] for pair in query.split("&") if pair]
    made |= {"path": given.path, "httpMethod": given.method}
    made |= {"queryStringParameters": {unquote(key): unquote(value) for key, value in pairs}}
    if name == "rest":
        values = {key: [value] for key, value in made["queryStringParameters"].items()}
        made |= {"multiValueQueryStringParameters": values}
        made |= {"multiValueHeaders": {key: [value] for key, value in headers.items()}}
        made |= {"requestContext": context | {"path": given.path, "httpMethod": given.method}}
    return made


if "FLASKR_MODE" in os.environ:
    Flask.test_client_class = ModeClient  # type: ignore[assignment]  # it has what the tutorial's tests use
