"""GET /openapi.json and GET /docs: the API's OpenAPI document, and a page that shows it and sends requests.

`make openapi` writes the document. The page is Swagger UI from the package flask-swagger-ui, which only this function's
layer holds.
"""

from pathlib import Path

import flask_swagger_ui
from flask import Flask, Response, send_from_directory

from decant.web import lambda_handler

app = Flask(__name__)

HERE = Path(__file__).parent
SWAGGER_UI = Path(flask_swagger_ui.__file__).parent / "dist"
OWN = {"page.js"}
FILES = OWN | {"swagger-ui-bundle.js", "swagger-ui.css"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@app.get("/openapi.json")
async def openapi_document() -> Response:
    """Return the OpenAPI document of all routes."""
    response = send_from_directory(HERE, "openapi.json", max_age=60)
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


@app.get("/docs")
async def docs_page() -> Response:
    """Return the interactive page."""
    response = send_from_directory(HERE, "page.html", max_age=60)
    response.headers["Content-Security-Policy"] = POLICY
    return response


@app.get("/docs/<any({files}):name>".format(files=", ".join(f'"{name}"' for name in sorted(FILES))))
async def docs_file(name: str) -> Response:
    """Return a script or style sheet of the page."""
    return send_from_directory(HERE if name in OWN else SWAGGER_UI, name, max_age=3600)


handler = lambda_handler(app)
