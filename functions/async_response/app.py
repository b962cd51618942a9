"""GET /async: waits without blocking, then responds."""

import asyncio
from typing import Annotated

from flask import Flask
from msgspec import Meta, Struct

from decant.web import lambda_handler, limit_per_caller, query

app = Flask(__name__)


class Wait(Struct, forbid_unknown_fields=True):
    """How long to wait, seconds."""

    seconds: Annotated[float, Meta(ge=0, le=20)] = 2


@app.get("/async")
@limit_per_caller
async def async_response() -> str:
    """Wait for `?seconds=`, then respond."""
    await asyncio.sleep(query(Wait).seconds)
    return "Async Response"


handler = lambda_handler(app)
