"""A Flask app on the web: as a Lambda function behind API Gateway, or as an ASGI app behind a server.

    from decant.web import body, lambda_handler

    @app.post("/users")
    async def create_user():
        wanted = body(NewUser)          # a msgspec Struct, or 400 or 422 that names every wrong field
        ...

    handler = lambda_handler(app)

Errors leave as `application/problem+json`, and every answer and log line carries the request's correlation id.
"""

from decant.asgi import stream
from decant.web.aws import lambda_handler
from decant.web.inputs import body, query
from decant.web.server import asgi_app

__all__ = ["asgi_app", "body", "lambda_handler", "query", "stream"]
