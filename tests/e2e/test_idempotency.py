"""Idempotent requests on the local cloud: one effect, also when the process dies between commit and response."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from tests.e2e.running import Create, RunningCloud
from tests.loading import rest_request

DYING = """
    import os
    import signal
    from pathlib import Path

    from flask import Flask
    from sqlalchemy import text

    from decant import db
    from decant.web import idempotent, lambda_handler

    app = Flask(__name__)

    @app.post("/effects")
    @idempotent
    async def create():
        async with db.session() as session:
            found = await session.execute(text("INSERT INTO effects DEFAULT VALUES RETURNING number"))
            return {"number": found.scalar_one()}, 201

    respond = lambda_handler(app)

    def handler(event, context):
        response = respond(event, context)
        if response["statusCode"] == 201 and "idempotency-replayed" not in response["headers"]:
            os.kill(os.getpid(), signal.SIGKILL)  # the transaction is committed, and nothing was sent
        return response
"""


@pytest.fixture
def connection(local_cloud: RunningCloud) -> Any:
    """A connection to the database of the local cloud, with an empty table of effects."""
    with psycopg.connect(local_cloud.postgres_url.replace("+asyncpg", ""), autocommit=True) as opened:
        opened.execute("CREATE TABLE effects (number bigserial)")
        yield opened
        opened.execute("DROP TABLE effects")


@pytest.mark.long
def test_fifty_concurrent_requests_create_one_user(local_cloud: RunningCloud) -> None:
    """All others get the first response, or 409 and the first response later."""
    body = {"name": "Ada Lovelace", "email": f"{uuid4().hex}@example.com"}
    headers = {"Idempotency-Key": str(uuid4())}

    async def send() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=50)
        async with httpx.AsyncClient(base_url=local_cloud.api_url, timeout=240, limits=limits) as client:
            requests = (client.post("/users", json=body, headers=headers) for _ in range(50))
            return [*await asyncio.gather(*requests), await client.post("/users", json=body, headers=headers)]

    *responses, last = asyncio.run(send())

    created = [each for each in responses if each.status_code == 201]
    rejected = [each for each in responses if each.status_code == 409]
    assert len(created) + len(rejected) == 50, {each.status_code for each in responses}
    assert all(each.headers["Retry-After"] == "1" for each in rejected)
    assert sum("Idempotency-Replayed" not in each.headers for each in created) == 1
    assert (last.status_code, last.headers["Idempotency-Replayed"]) == (201, "true")
    assert {each.content for each in [*created, last]} == {last.content}


def test_process_that_dies_after_the_commit_leaves_one_effect(
    local_cloud: RunningCloud, create: Create, connection: psycopg.Connection[Any]
) -> None:
    """The client gets no response, and the same request gets the stored one, from another process."""
    like = local_cloud.client("lambda").get_function_configuration(
        FunctionName=local_cloud.function_name("UsersCreate")
    )
    layers = [layer["Arn"] for layer in like["Layers"]]
    name = create(DYING, Layers=layers, Environment=like["Environment"], Timeout=60)
    event = rest_request("/effects", "POST", Content_Type="application/json", Idempotency_Key="k")
    payload = json.dumps(event | {"body": "{}"}).encode()

    def invoke(_number: int) -> dict[str, Any]:
        answer = local_cloud.client("lambda").invoke(FunctionName=name, Payload=payload)
        result: dict[str, Any] = json.loads(answer["Payload"].read())
        return result

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(invoke, range(4)))
    last = invoke(4)

    assert sum("errorType" in each for each in results) == 1, results
    assert {each["statusCode"] for each in results if "statusCode" in each} <= {201, 409}
    assert (last["statusCode"], last["headers"]["idempotency-replayed"]) == (201, "true")
    assert connection.execute("SELECT count(*) FROM effects").fetchone() == (1,)
