"""GET /openapi.json and GET /docs: the API's OpenAPI document, and a page that shows it and sends requests.

`make openapi` writes the document.
"""

from pathlib import Path

from decant.web import lambda_handler
from decant.web.docs import docs_app

app = docs_app(Path(__file__).parent / "openapi.json")
handler = lambda_handler(app)
