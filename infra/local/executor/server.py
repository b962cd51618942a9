"""LocalStack's gateway on loopback alone, in plain HTTP, with a thread for each connection.

Its own server, Twisted, listens on every interface, whatever GATEWAY_LISTEN says; what runs code for whoever asks must
not. And Twisted hands each request from its loop to a thread, and each part of the answer back, which took more time
than API Gateway and Lambda together. Here the connection's thread reads a request, has the gateway answer it, and
writes that.
"""

import socket
import threading
import time
from contextlib import suppress
from typing import Any

from localstack.runtime.server.core import RuntimeServer, RuntimeServerPlugin
from rolo.gateway.wsgi import WsgiGateway

from infra.local.executor.exchanges import serve

__all__ = ["LoopbackServer", "LoopbackServerPlugin"]

BACKLOG = 128
_PAUSE_S = 0.1


class LoopbackServerPlugin(RuntimeServerPlugin):
    """Names the server `loopback`, for GATEWAY_SERVER."""

    name = "loopback"

    def load(self, *_args: Any, **_kwargs: Any) -> RuntimeServer:
        """The server."""
        return LoopbackServer()


class LoopbackServer(RuntimeServer):
    """Serves the gateway on just the addresses that it is given; LocalStack calls it while it starts and ends."""

    def __init__(self) -> None:
        self._listeners: list[socket.socket] = []
        self._shutting_down = threading.Event()

    def register(self, gateway: Any, listen: Any, _ssl_creds: tuple[str, str] | None = None) -> None:
        """Serve the gateway from now on."""
        application = WsgiGateway(gateway)
        for address in listen:
            listener = socket.create_server((address.host, address.port), backlog=BACKLOG)
            self._listeners.append(listener)
            threading.Thread(target=self._accept, args=(listener, application), name="gateway", daemon=True).start()

    def run(self) -> None:
        """Wait for the end."""
        self._shutting_down.wait()

    def shutdown(self) -> None:
        """Listen no longer; what is being answered ends with the process."""
        self._shutting_down.set()
        for listener in self._listeners:
            listener.close()

    def _accept(self, listener: socket.socket, application: WsgiGateway) -> None:
        while not self._shutting_down.is_set():
            try:
                connection, _peer = listener.accept()
            except OSError:  # it is closed, or there are no more descriptors just now
                time.sleep(_PAUSE_S)
            else:
                threading.Thread(target=_serve, args=(connection, application), name="connection", daemon=True).start()


def _serve(connection: socket.socket, application: WsgiGateway) -> None:
    with connection, suppress(OSError):  # the client is gone, whether it says so or not
        serve(connection, application)
