"""What one event costs above Flask's own dispatch: a ladder whose rungs each add one part of the way."""

import asyncio
from collections.abc import Callable
from io import BytesIO
from typing import Any

from flask import Flask

from decant import loop
from decant.asgi import flask_hooks
from decant.asgi.calling import add_body, call
from decant.web import lambda_handler
from decant.web.answers import WholeAnswer
from decant.web.events import body_of, environ_of
from tests.loading import Context

__all__ = ["rungs"]


def rungs(event: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    """Each rung's work, from Flask alone to the whole handler."""
    sync, ready, waiting = _app(_answer_at_once), _app(_answer_ready), _app(_answer_after_a_turn)

    def environ() -> dict[str, Any]:
        made = environ_of(event)
        body = body_of(event)
        add_body(made, BytesIO(body), len(body))
        return made

    made_before = environ()
    handler = lambda_handler(_app(_answer_after_a_turn))
    return {
        "Flask's own dispatch of a sync view": lambda: _dispatch(sync, dict(made_before)),
        "the environ, made of the event": lambda: _dispatch(sync, environ()),
        "the event loop, started and stopped": lambda: loop.run(_in_loop(sync, environ())),
        "the greenlet, and the answer taken": lambda: loop.run(_call(sync, environ())),
        "an async view, which Flask hands to the bridge": lambda: loop.run(_call(ready, environ())),
        "one turn of the loop, for which the view waits": lambda: loop.run(_call(waiting, environ())),
        "correlation id, strays, the gateway's answer": lambda: handler(event, Context()),
    }


def _app(view: Callable[..., Any]) -> Flask:
    app = Flask("rung")
    app.add_url_rule("/", "view", view)
    flask_hooks.bind(app)
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


async def _call(app: Flask, environ: dict[str, Any]) -> WholeAnswer:
    answer = WholeAnswer(head_request=False)
    await call(app, environ, answer)
    return answer
