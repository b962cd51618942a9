"""The page of an API's documentation: Swagger UI from the package flask-swagger-ui, which is in a layer of its own."""

from http import HTTPStatus
from pathlib import Path

import flask_swagger_ui
from flask import Flask, Response, abort, send_from_directory

__all__ = ["docs_app"]

_HERE = Path(__file__).parent
_SWAGGER_UI = Path(flask_swagger_ui.__file__).parent / "dist"
_OWN = {"page.js"}
_FILES = _OWN | {"swagger-ui-bundle.js", "swagger-ui.css"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def docs_app(document: Path) -> Flask:
    """Make the app that serves an OpenAPI document at `/openapi.json`, and at `/docs` a page that shows it.

    Args:
        document: The document's file, as `decant openapi` writes it.
    """
    app = Flask("docs", static_folder=None)

    @app.get("/openapi.json")
    async def openapi_document() -> Response:
        response = send_from_directory(document.parent, document.name, max_age=60)
        response.headers["Access-Control-Allow-Origin"] = "*"
        return response

    @app.get("/docs")
    async def docs_page() -> Response:
        response = send_from_directory(_HERE, "page.html", max_age=60)
        response.headers["Content-Security-Policy"] = _POLICY
        return response

    @app.get("/docs/<name>")
    async def docs_file(name: str) -> Response:
        if name not in _FILES:
            abort(HTTPStatus.NOT_FOUND)
        return send_from_directory(_HERE if name in _OWN else _SWAGGER_UI, name, max_age=3600)

    return app
