"""LocalStack's gateway on loopback alone, in plain HTTP, with a thread for each connection.

Its own server, Twisted, listens on every interface, whatever GATEWAY_LISTEN says; what runs code for whoever asks must
not. And Twisted hands each request from its loop to a thread, and each part of the answer back, which took more time
than API Gateway and Lambda together. Here the connection's thread reads a request, has the gateway answer it, and
writes that.
"""

import os
import socket
import threading
import time
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from localstack.aws import handlers
from localstack.runtime.server.core import RuntimeServer, RuntimeServerPlugin
from rolo.gateway.wsgi import WsgiGateway

from infra.local.executor.access import NOT_SIGNED, UNSIGNED, Access, is_presigned
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
        require_signatures(gateway)
        application = Access(WsgiGateway(gateway), cors_origins())
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

    def _accept(self, listener: socket.socket, application: Access) -> None:
        while not self._shutting_down.is_set():
            try:
                connection, _peer = listener.accept()
            except OSError:  # it is closed, or there are no more descriptors just now
                time.sleep(_PAUSE_S)
            else:
                threading.Thread(target=_serve, args=(connection, application), name="connection", daemon=True).start()


def _serve(connection: socket.socket, application: Access) -> None:
    with connection, suppress(OSError):  # the client is gone, whether it says so or not
        serve(connection, application)


def cors_origins() -> set[str]:
    """Origins whose pages may call the routes of the deployed API."""
    return {origin for origin in os.environ.get("DECANT_CORS_ORIGIN", "").split(",") if origin}


def require_signatures(gateway: Any) -> None:
    """Let LocalStack itself reject unsigned requests that it takes for another service than S3.

    `Access` decides by path and host before LocalStack routes the request. A path of an API that does not exist, or
    a query that only looks presigned, falls through to the AWS services: LocalStack's handler for them starts here.
    Requests that LocalStack sends to itself do not pass `Access`.
    """
    chain = gateway.request_handlers
    chain.insert(chain.index(handlers.parse_pre_signed_url_request), _require_signature)


def _require_signature(chain: Any, context: Any, response: Any) -> None:
    service = context.service and context.service.service_name
    if not context.request.environ.get(UNSIGNED) or (service == "s3" and is_presigned(context.request.environ)):
        return
    response.status_code, response.data = HTTPStatus.FORBIDDEN, NOT_SIGNED
    chain.terminate()
