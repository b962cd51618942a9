"""HTTP exceptions keep the status and the response that Flask gives them.

Reports: pallets/flask 3260, 3389 and 941; pyeve/eve 586.
"""

import json
from datetime import date
from typing import Any

import pytest
from flask import Flask, Response, abort
from werkzeug.exceptions import HTTPException

from decant.web import lambda_handler
from tests.loading import Context, rest_request

pytestmark = pytest.mark.usefixtures("kept_logs")


class LazyText:
    """A lazy translation, as Flask-Babel's `lazy_gettext` returns it."""

    def __str__(self) -> str:
        return "translated"


class OwnResponse(HTTPException):
    """An exception that overrides `get_response`."""

    code = 418

    def get_response(self, *_args: Any, **_named: Any) -> Any:
        """A JSON document of its own."""
        return Response('{"own": true}', 418, mimetype="application/json")


class OwnBody(HTTPException):
    """An exception that overrides `get_body` and `get_headers`."""

    code = 400

    def get_body(self, *_args: Any, **_named: Any) -> str:
        """An XML document of its own."""
        return "<own/>"

    def get_headers(self, *_args: Any, **_named: Any) -> list[tuple[str, str]]:
        """The content type of the document."""
        return [("Content-Type", "application/xml")]


def respond(error: Exception | type[Exception]) -> dict[str, Any]:
    """The response to a request whose view raises the error."""
    app = Flask("errors")

    @app.get("/")
    async def view() -> str:
        raise error

    return lambda_handler(app)(rest_request("/"), Context())


def aborted(description: Any) -> dict[str, Any]:
    """The response to a request whose view calls `abort(400, description)`."""
    with pytest.raises(HTTPException) as raised:
        abort(400, description)
    return respond(raised.value)


@pytest.mark.parametrize(
    ("description", "detail"),
    [
        (ValueError("not a number"), "not a number"),
        (LazyText(), "translated"),
        ({"at": date(2026, 1, 1)}, "{'at': datetime.date(2026, 1, 1)}"),
        ({1}, "{1}"),
        (b"raw", "b'raw'"),
    ],
    ids=["exception", "lazy translation", "date in a dict", "set", "bytes"],
)
def test_description_of_any_type_keeps_the_status(description: Any, detail: str) -> None:
    """The response is 400 and its detail is the description as text."""
    response = aborted(description)

    assert (response["statusCode"], json.loads(response["body"])["detail"]) == (400, detail)


def test_detail_is_text() -> None:
    """RFC 9457, section 3.1.4: `detail` is a JSON string."""
    response = aborted({"field": "name"})

    assert json.loads(response["body"])["detail"] == "{'field': 'name'}"


@pytest.mark.parametrize(
    ("error", "status", "content_type", "body"),
    [
        (OwnResponse, 418, "application/json", '{"own": true}'),
        (OwnBody, 400, "application/xml", "<own/>"),
    ],
)
def test_exception_with_its_own_response_keeps_it(
    error: type[HTTPException], status: int, content_type: str, body: str
) -> None:
    """Status, content type and body are those of the exception."""
    response = respond(error)

    assert response["headers"]["content-type"].startswith(content_type)
    assert (response["statusCode"], response["body"]) == (status, body)
