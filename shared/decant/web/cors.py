"""Answers that a web page of another origin may read: the API's gateway answers the browser's question before."""

from flask import Flask, Response

from decant.config import settings

__all__ = ["install"]


def install(app: Flask) -> None:
    """Name CORS_ORIGIN in each answer of the app, errors too; nothing when it is not set.

    Source: Fetch Standard, CORS protocol.
    """
    origin = settings().cors_origin
    if origin is None:
        return

    @app.after_request
    def name_origin(response: Response) -> Response:
        response.headers.setdefault("Access-Control-Allow-Origin", origin)
        if origin != "*":
            response.vary.add("Origin")
        return response
