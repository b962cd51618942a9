"""What one event costs above Flask's own dispatch: every rung adds one part of the work."""

import asyncio
from collections.abc import Callable
from io import BytesIO
from typing import Any

from flask import Flask

from decant import loop
from decant.web.flask_app import bind, call
from decant.web.lambda_adapter import lambda_handler
from decant.web.wsgi import BufferedResponse, add_body
from tests.loading import Context

__all__ = ["rungs"]


def rungs(event: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    """The work of every rung, from Flask alone to the whole handler."""
    sync, ready, waiting = _app(_answer_at_once), _app(_answer_ready), _app(_answer_after_a_turn)

    handler = lambda_handler(_app(_answer_after_a_turn))

    def environ() -> dict[str, Any]:
        request: Any = handler.infer(event, Context())
        made: dict[str, Any] = request.environ()
        add_body(made, BytesIO(request.body), len(request.body))
        return made

    made_before, plain = environ(), _app(_answer_at_once, bound=False)
    return {
        "Flask's own dispatch of a sync view": lambda: _dispatch(plain, dict(made_before)),
        "the same, shortened": lambda: _dispatch(sync, dict(made_before)),
        "the environ, built from the event": lambda: _dispatch(sync, environ()),
        "the event loop, started and stopped": lambda: loop.run(_in_loop(sync, environ())),
        "the greenlet, and the response collected": lambda: loop.run(_call(sync, environ())),
        "an async view": lambda: loop.run(_call(ready, environ())),
        "an await that takes one iteration of the loop": lambda: loop.run(_call(waiting, environ())),
        "correlation id, leftover tasks, the gateway's response": lambda: handler(event, Context()),
    }


def _app(view: Callable[..., Any], *, bound: bool = True) -> Flask:
    app = Flask("rung")
    app.add_url_rule("/", "view", view)
    if bound:
        bind(app)
    return app


def _answer_at_once() -> dict[str, bool]:
    return {"ok": True}


async def _answer_ready() -> dict[str, bool]:
    return {"ok": True}


async def _answer_after_a_turn() -> dict[str, bool]:
    await asyncio.sleep(0)
    return {"ok": True}


def _dispatch(app: Flask, environ: dict[str, Any]) -> bytes:
    chunks: Any = app(environ, lambda *_head: lambda _chunk: None)
    answer = b"".join(chunks)
    chunks.close()
    return answer


async def _in_loop(app: Flask, environ: dict[str, Any]) -> bytes:
    return _dispatch(app, environ)


async def _call(app: Flask, environ: dict[str, Any]) -> BufferedResponse:
    response = BufferedResponse(head_request=False)
    await call(app, environ, response)
    return response
