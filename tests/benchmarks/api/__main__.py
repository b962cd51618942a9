"""Measure an idempotent POST beside a plain one, and the OpenAPI document of many functions.

Both kinds of requests take turns through a Lambda handler that inserts a row, so that load on the machine affects both.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

from flask import Flask
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from decant import db, loop
from decant.runtime import Runtime
from decant.web import idempotent, lambda_handler
from decant_cloud.local.postgres import temporary_postgres
from decant_cloud.openapi.document import Function, document, load_app, without_collector
from decant_cloud.openapi.validation import validate
from tests.benchmarks.progress import progress
from tests.loading import Context, rest_request
from tests.sample.database import migrate

BATCH = 40
FUNCTION = """
from typing import Annotated, Literal
from uuid import UUID

from flask import Flask
from msgspec import Meta, Struct

from decant import auth
from decant.errors import NotFound
from decant.web import body

app = Flask(__name__)


class NewRoom{number}(Struct):
    name: Annotated[str, Meta(min_length=1, max_length=80)]
    beds: Annotated[int, Meta(ge=1)] = 2


class Room{number}(Struct):
    id: UUID
    name: str
    beds: int


@app.put("/rooms{number}/<uuid:room_id>")
async def rooms{number}(room_id: UUID) -> tuple[Room{number}, Literal[201]]:
    \"\"\"Store a room.\"\"\"
    await auth.require("rooms:write")
    new = body(NewRoom{number})
    if not new.name:
        raise NotFound("There is no such room.")
    return Room{number}(room_id, new.name, new.beds), 201
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="turns of each kind of request (%(default)s)")
    parser.add_argument("--routes", type=int, default=1_000, help="functions with a route each (%(default)s)")
    arguments = parser.parse_args()
    plain_us, idempotent_us = requests(arguments.rounds)
    table = Table("measure", "", "")
    table.add_row("POST that inserts a row, p50", f"{plain_us:,.0f} µs", "")
    ratio = f"{idempotent_us / plain_us:.2f} of plain"
    table.add_row("the same with an Idempotency-Key, p50", f"{idempotent_us:,.0f} µs", ratio)
    for name, seconds in parts_of_document(arguments.routes).items():
        table.add_row(f"OpenAPI document of {arguments.routes:,} functions: {name}", f"{seconds:.1f} s of CPU", "")
    Console().print(table)


def requests(rounds: int) -> tuple[float, float]:
    """Medians of a plain and of an idempotent request, µs."""
    with temporary_postgres() as server, Runtime({**os.environ, "DATABASE_URL": server.url()}).active() as own:
        migrate()
        loop.run(_execute("CREATE TABLE orders (name text)"))
        handler = lambda_handler(_app())
        taken: dict[bool, list[float]] = {False: [], True: []}
        for round_ in progress(range(rounds + 1), "plain and idempotent requests"):
            for with_key, durations in taken.items():
                batch = [_timed(handler, with_key=with_key) for _ in range(BATCH)]
                durations.extend(batch if round_ else [])  # the first round warms up
        own.shut_down()
    return statistics.median(taken[False]), statistics.median(taken[True])


def _app() -> Flask:
    app = Flask("orders")

    @app.post("/orders")
    @idempotent
    async def create() -> tuple[dict[str, str], int]:
        await _execute("INSERT INTO orders VALUES ('a')")
        return {"name": "a"}, 201

    return app


async def _execute(statement: str) -> None:
    async with db.session() as session:
        await session.execute(text(statement))


def _timed(handler: Callable[[Any, Any], Any], *, with_key: bool) -> float:
    headers = {"Idempotency_Key": str(uuid4())} if with_key else {}
    event = rest_request("/orders", "POST", Content_Type="application/json", **headers) | {"body": "{}"}
    started = time.perf_counter()
    response = handler(event, Context())
    taken_us = (time.perf_counter() - started) * 1e6
    assert response["statusCode"] == 201, response
    return taken_us


@without_collector()
def parts_of_document(count: int) -> dict[str, float]:
    """Seconds of CPU for each part of `make openapi`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(count):
            function = folder / f"functions/rooms{number}"
            function.mkdir(parents=True)
            (function / "app.py").write_text(FUNCTION.format(number=number))
        started = time.process_time()
        functions = []
        for path in progress(sorted((folder / "functions").iterdir()), "functions"):
            app = load_app(path)
            assert app is not None
            functions.append(Function(name=path.name, app=app, routes=frozenset(), event={}))
        loaded = time.process_time()
        made = document(functions, title="Rooms", version="1", bundle=folder)
        derived = time.process_time()
        validate(made)
        validated = time.process_time()
    return {"load": loaded - started, "derive": derived - loaded, "validate": validated - derived}


if __name__ == "__main__":
    main()
