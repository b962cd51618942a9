"""Exceptions outside `Exception` become an opaque 500 problem document and leave the process running.

Reports: tornadoweb/tornado 2990 and 3695.
"""

import asyncio

import pytest
from flask import Flask

from decant.web import asgi_app, lambda_handler
from tests.bridging import client
from tests.loading import Context, rest_request

pytestmark = pytest.mark.usefixtures("kept_logs")


class OwnBaseException(BaseException):
    """An exception that an application hides from `except Exception`."""


@pytest.fixture
def app() -> Flask:
    """An app whose views raise exceptions outside `Exception`."""
    made = Flask("raising")

    @made.get("/cancelled-task")
    async def cancelled_task() -> str:
        waiting = asyncio.create_task(asyncio.sleep(5))
        await asyncio.sleep(0)
        waiting.cancel()
        await waiting
        return "never"

    @made.get("/cancelled-error")
    def cancelled_error() -> str:
        raise asyncio.CancelledError

    @made.get("/base-exception")
    async def base_exception() -> str:
        raise OwnBaseException

    return made


@pytest.mark.parametrize("path", ["/cancelled-task", "/cancelled-error", "/base-exception"])
def test_lambda_responds_500(app: Flask, path: str) -> None:
    """The gateway receives a problem document rather than a function error."""
    response = lambda_handler(app)(rest_request(path), Context())

    assert (response["statusCode"], response["headers"]["content-type"]) == (500, "application/problem+json")


@pytest.mark.parametrize("path", ["/cancelled-task", "/cancelled-error"])
async def test_server_responds_500(app: Flask, path: str) -> None:
    """The client of an ASGI server receives a problem document rather than a closed connection."""
    async with client(asgi_app(app)) as http:
        response = await http.get(path)

    assert (response.status_code, response.headers["content-type"]) == (500, "application/problem+json")
