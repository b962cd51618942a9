"""An app whose views use the shared clients, called on several event loops of one process.

`python -m tests.many_loops ADDRESS` runs all of it and prints the results by name, as JSON.
"""

import asyncio
import json
import sys

from flask import Flask, current_app
from sqlalchemy import text

from decant import db, http
from decant.web import asgi_app, lambda_handler
from tests.bridging import client
from tests.loading import Context, rest_request


def make_app(address: str = "") -> Flask:
    """An app with views that query the database, do so on another thread, and send a request.

    Args:
        address: URL that the view `/http` requests.
    """
    app = Flask("many_loops")

    async def database() -> str:
        async with db.session() as session:
            return str(await session.scalar(text("SELECT 1")))

    async def thread() -> str:
        return str(await asyncio.to_thread(current_app.ensure_sync(database)))

    async def upstream() -> str:
        return (await http.client().get(address)).text

    for name, view in {"database": database, "thread": thread, "http": upstream}.items():
        app.add_url_rule(f"/{name}", name, view)
    return app


def http_in_test_client(address: str) -> list[int]:
    """Statuses of four requests to `/http` through Flask's test client: each has its own loop."""
    http_client = make_app(address).test_client()
    return [http_client.get("/http").status_code for _ in range(4)]


def database_in_test_client(_address: str) -> list[int]:
    """Statuses of four requests to `/database` through Flask's test client: each has its own loop."""
    http_client = make_app().test_client()
    return [http_client.get("/database").status_code for _ in range(4)]


def database_on_successive_loops(_address: str) -> list[int]:
    """Statuses of three requests to `/database` through ASGI, each on a new loop."""
    application = asgi_app(make_app())

    async def status() -> int:
        async with client(application) as http_client:
            return (await http_client.get("/database")).status_code

    return [asyncio.run(status()) for _ in range(3)]


def database_in_thread_of_view(_address: str) -> list[int]:
    """Statuses of three Lambda invocations, the second of which queries the database on a loop of another thread."""
    handler = lambda_handler(make_app())
    return [handler(rest_request(path), Context())["statusCode"] for path in ("/database", "/thread", "/database")]


if __name__ == "__main__":
    functions = (
        http_in_test_client,
        database_in_test_client,
        database_on_successive_loops,
        database_in_thread_of_view,
    )
    results = {function.__name__: function(sys.argv[1]) for function in functions}
    print(f"\n{json.dumps(results)}")  # noqa: T201  # the result
