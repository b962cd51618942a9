"""Errors as `application/problem+json`.

Source: RFC 9457 (problem details).
"""

import json
import logging
from http import HTTPStatus
from typing import Any

from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from decant.asgi.response import Answer
from decant.errors import DecantError, InvalidInput, ServiceUnavailable
from decant.observability import correlation_id

__all__ = ["install", "internal_error"]

log = logging.getLogger(__name__)

_MIME_TYPE = "application/problem+json"


def install(app: Flask) -> None:
    """Answer errors as problem details wherever the app has no error handler of its own; its own win."""
    own = app.error_handler_spec[None][None]
    if Exception in own:
        return
    if HTTPException not in own:
        app.register_error_handler(HTTPException, _http_error)
    if DecantError not in own:
        app.register_error_handler(DecantError, _decant_error)


def internal_error(answer: Answer) -> None:
    """Answer the opaque 500, for an error that got past Flask."""
    body = _details(500, "Internal Server Error")
    answer.start("500 Internal Server Error", [("Content-Type", _MIME_TYPE), ("Content-Length", str(len(body)))])
    answer.write(body)
    answer.finish()


def _details(status: int, title: str, detail: str | None = None, **members: Any) -> bytes:
    """The document, with the request's correlation id as its instance."""
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    document |= {"instance": correlation_id()} | members
    return json.dumps({name: value for name, value in document.items() if value is not None}).encode()


def _http_error(error: HTTPException) -> Response | Any:
    """What Flask and `abort` raise, and every unknown error, which Flask has logged and made a 500 of."""
    if error.response is not None or error.code is None:
        return error.get_response()
    response = Response(_details(error.code, error.name, error.description), error.code, mimetype=_MIME_TYPE)
    for name, value in error.get_headers():
        if name.lower() not in {"content-type", "content-length"}:
            response.headers.add(name, value)
    return response


def _decant_error(error: DecantError) -> Response:
    if error.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        raise error  # not for the client to read: Flask logs it and answers as for any unknown error
    if error.status > HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("Answered %d: %s", error.status, error, exc_info=error.__cause__)
    members: dict[str, Any] = {}
    if isinstance(error, InvalidInput):
        members["errors"] = [{"field": path, "detail": problem} for path, problem in error.fields.items()]
    response = Response(_details(error.status, error.title, str(error), **members), error.status, mimetype=_MIME_TYPE)
    if isinstance(error, ServiceUnavailable):
        response.headers["Retry-After"] = str(error.retry_after_s)
    return response
