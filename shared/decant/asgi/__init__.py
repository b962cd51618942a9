"""Flask on asyncio: the bridge between a Flask app and an ASGI server.

    scope, receive, send ──▶ FlaskToAsgi ──▶ environ, start_response ──▶ Flask ──▶ your async view
           the task                          a greenlet of the task's own           await: the task waits

Flask calls its views synchronously. Here it does so inside a greenlet on the event loop's own thread, and whenever a
view, hook or handler awaits, the greenlet steps aside and the request's task waits in its place. There is no second
loop, and no thread but for a sync view under a server.
"""

from decant._sync.greenlets import await_
from decant.asgi.bridge import FlaskToAsgi
from decant.asgi.streams import stream

__all__ = ["FlaskToAsgi", "await_", "stream"]
