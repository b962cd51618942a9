"""The same four routes in every framework, and every way to serve them.

    GET  /          JSON after one turn of the loop
    GET  /wait      JSON after ?seconds= of waiting
    POST /json      how many items the JSON list has that was sent
    GET  /download  ?megabytes= in chunks of 64 KiB

Peers are imported by name, where they are used: they are installed in `.decant/bench` alone, and none should pay for
another's import.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from importlib import import_module
from typing import Any

from flask import Flask, request

__all__ = ["LAMBDA", "SERVED", "WSGI"]

CHUNK = b"x" * 65536
CHUNKS_A_MEGABYTE = 16

type Handler = Callable[[dict[str, Any], Any], Any]


def flask_app() -> Flask:
    """The routes as a Flask user writes them."""
    app = Flask("peer")

    @app.get("/")
    async def index() -> dict[str, bool]:
        await asyncio.sleep(0)
        return {"ok": True}

    @app.get("/wait")
    async def wait() -> dict[str, bool]:
        await asyncio.sleep(float(request.args["seconds"]))
        return {"ok": True}

    @app.get("/sync-wait")
    def sync_wait() -> dict[str, bool]:
        time.sleep(float(request.args["seconds"]))
        return {"ok": True}

    @app.post("/json")
    async def count() -> dict[str, int]:
        return {"count": len(request.get_json())}

    @app.get("/download")
    async def download() -> Iterator[bytes]:
        return iter(CHUNK for _ in range(CHUNKS_A_MEGABYTE * int(request.args["megabytes"])))

    return app


def sync_flask_app() -> Flask:
    """Flask at its barest: one sync view."""
    app = Flask("floor")
    app.add_url_rule("/", "index", lambda: {"ok": True})
    return app


def quart_app() -> Any:
    """The routes in Quart, Flask's own async twin."""
    quart = import_module("quart")
    app = quart.Quart("peer")

    async def index() -> dict[str, bool]:
        await asyncio.sleep(0)
        return {"ok": True}

    async def wait() -> dict[str, bool]:
        await asyncio.sleep(float(quart.request.args["seconds"]))
        return {"ok": True}

    async def count() -> dict[str, int]:
        return {"count": len(await quart.request.get_json())}

    async def download() -> AsyncIterator[bytes]:
        return _chunks(int(quart.request.args["megabytes"]))

    app.get("/")(index)
    app.get("/wait")(wait)
    app.post("/json")(count)
    app.get("/download")(download)
    return app


def starlette_app() -> Any:
    """The routes in Starlette."""
    responses, routing = import_module("starlette.responses"), import_module("starlette.routing")

    async def index(_request: Any) -> Any:
        await asyncio.sleep(0)
        return responses.JSONResponse({"ok": True})

    async def wait(request: Any) -> Any:
        await asyncio.sleep(float(request.query_params["seconds"]))
        return responses.JSONResponse({"ok": True})

    async def count(request: Any) -> Any:
        return responses.JSONResponse({"count": len(await request.json())})

    async def download(request: Any) -> Any:
        return responses.StreamingResponse(_chunks(int(request.query_params["megabytes"])))

    routes = [
        routing.Route("/", index),
        routing.Route("/wait", wait),
        routing.Route("/json", count, methods=["POST"]),
        routing.Route("/download", download),
    ]
    return import_module("starlette.applications").Starlette(routes=routes)


def fastapi_app() -> Any:
    """The routes in FastAPI."""
    app = import_module("fastapi").FastAPI()
    streaming = import_module("fastapi.responses").StreamingResponse

    async def index() -> dict[str, bool]:
        await asyncio.sleep(0)
        return {"ok": True}

    async def wait(seconds: float) -> dict[str, bool]:
        await asyncio.sleep(seconds)
        return {"ok": True}

    async def count(items: list[dict[str, Any]]) -> dict[str, int]:
        return {"count": len(items)}

    async def download(megabytes: int) -> Any:
        return streaming(_chunks(megabytes))

    app.get("/")(index)
    app.get("/wait")(wait)
    app.post("/json")(count)
    app.get("/download", response_class=streaming)(download)
    return app


async def _chunks(megabytes: int) -> AsyncIterator[bytes]:
    for _ in range(CHUNKS_A_MEGABYTE * megabytes):
        yield CHUNK


def decant_asgi() -> Any:
    """The bridge, as `make serve` uses it."""
    return import_module("decant.web").asgi_app(flask_app())


def asgiref_asgi() -> Any:
    """Flask in asgiref's adapter."""
    return import_module("asgiref.wsgi").WsgiToAsgi(flask_app())


def a2wsgi_asgi() -> Any:
    """Flask in a2wsgi's adapter."""
    return import_module("a2wsgi").WSGIMiddleware(flask_app())


SERVED: dict[str, Callable[[], Any]] = {
    "decant": decant_asgi,
    "Quart": quart_app,
    "Starlette": starlette_app,
    "FastAPI": fastapi_app,
    "Flask": flask_app,
    "asgiref": asgiref_asgi,
    "a2wsgi": a2wsgi_asgi,
}
"""What is served; plain Flask is a WSGI app, which each server runs in its own way."""

WSGI = {"Flask"}


def _mangum(app: Any) -> Handler:
    handler: Handler = import_module("mangum").Mangum(app, lifespan="off")
    return handler


def _floor() -> Handler:
    """Flask alone: its sync dispatch, with an environ that is ready."""
    app = sync_flask_app()
    environ = import_module("werkzeug.test").EnvironBuilder("/").get_environ()

    def dispatch(_event: dict[str, Any], _context: Any) -> None:
        chunks = app(dict(environ), lambda *_head: None)  # type: ignore[arg-type]
        b"".join(chunks)
        chunks.close()  # type: ignore[attr-defined]

    return dispatch


def _mangum_alone() -> Handler:
    """Mangum around an ASGI app that does nothing: what it costs by itself."""

    async def nothing(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await asyncio.sleep(0)
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps({"ok": True}).encode()})

    return _mangum(nothing)


def _powertools() -> Handler:
    """Powertools' resolver, whose views are sync: they await nothing."""
    resolver = import_module("aws_lambda_powertools.event_handler").APIGatewayRestResolver()

    resolver.get("/")(lambda: {"ok": True})
    handler: Handler = resolver.resolve
    return handler


LAMBDA: dict[str, Callable[[], Handler]] = {
    "decant": lambda: import_module("decant.web").lambda_handler(flask_app()),
    "Quart + Mangum": lambda: _mangum(quart_app()),
    "asgiref + Mangum": lambda: _mangum(asgiref_asgi()),
    "a2wsgi + Mangum": lambda: _mangum(a2wsgi_asgi()),
    "apig-wsgi": lambda: import_module("apig_wsgi").make_lambda_handler(flask_app()),
    "FastAPI + Mangum": lambda: _mangum(fastapi_app()),
    "Starlette + Mangum": lambda: _mangum(starlette_app()),
    "bridge + Mangum": lambda: _mangum(import_module("decant.asgi").FlaskToAsgi(flask_app(), view_threads=0)),
    "Powertools (sync)": _powertools,
    "Flask's dispatch (sync)": _floor,
    "Mangum alone": _mangum_alone,
}
