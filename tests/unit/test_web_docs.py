"""The page of an API's documentation."""

from pathlib import Path

import pytest
from flask import Flask

from decant.web.docs import docs_app


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    """The page of a document."""
    (tmp_path / "openapi.json").write_text('{"openapi": "3.1.0"}')
    return docs_app(tmp_path / "openapi.json")


def test_document_can_be_read_by_pages_of_other_origins(app: Flask) -> None:
    """Tools in a browser may read it."""
    response = app.test_client().get("/openapi.json", buffered=True)

    assert response.json == {"openapi": "3.1.0"}
    assert response.headers["Access-Control-Allow-Origin"] == "*"


def test_page_loads_its_own_files_alone(app: Flask) -> None:
    """Every file that the page names is served, and the policy allows no other host."""
    client = app.test_client()
    page = client.get("/docs", buffered=True)

    assert "default-src 'none'; script-src 'self'" in page.headers["Content-Security-Policy"]
    for name in ("page.js", "swagger-ui-bundle.js", "swagger-ui.css"):
        assert f"docs/{name}" in page.text
        assert client.get(f"/docs/{name}", buffered=True).status_code == 200


def test_page_serves_no_other_files(app: Flask) -> None:
    """The package contains more than the page needs."""
    assert app.test_client().get("/docs/index.html").status_code == 404
