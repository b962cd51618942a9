"""Flask on asyncio: an ASGI 3 application around a Flask app.

    scope, receive, send ──▶ FlaskToAsgi ──▶ environ, start_response ──▶ Flask ──▶ your view

A request with an async view runs on the event loop: the WSGI call runs in a greenlet, which switches back to the
request's task while a view, hook or handler awaits. A request with a synchronous view runs in one worker thread from
beginning to end. Both await on the one event loop, in the request's own asyncio task.
"""

from decant._sync.greenlets import await_
from decant.asgi.application import FlaskToAsgi
from decant.web.chunks import stream

__all__ = ["FlaskToAsgi", "await_", "stream"]
