"""Bodies that pass a gateway in both directions, for tests of several gateways."""

import random
from collections.abc import Iterator

__all__ = ["ECHO", "random_bodies"]

ECHO = """
    import hashlib
    from flask import Flask, Response, request
    from decant.web import lambda_handler

    app = Flask(__name__)

    @app.post("/echo")
    def echo():
        body = request.get_data()
        received = hashlib.sha256(body).hexdigest()
        return Response(body, content_type=request.content_type, headers={"X-Received": received})

    handler = lambda_handler(app)
"""
"""A function that returns the body which it receives, with its digest."""

_SEED = 15


def random_bodies() -> Iterator[tuple[bytes, str]]:
    """256 bodies of 256 random bytes, the same in each run, each with its media type."""
    bytes_of = random.Random(_SEED).randbytes  # noqa: S311  # no secret
    for number in range(256):
        yield bytes_of(256), ("application/octet-stream", "text/plain", "application/json")[number % 3]
