"""How a container reaches what listens on this machine's loopback."""

import socket
import socketserver
import threading
from contextlib import ExitStack
from typing import Self

__all__ = ["Reach"]


class Reach:
    """Lets containers of one engine reach ports of loopback, while its context is open.

    Args:
        gateway: This machine's address on the containers' network.
    """

    def __init__(self, gateway: str) -> None:
        self._gateway = gateway
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def address(self, port: int) -> str:
        """Where a container finds a port of loopback, as `host:port`."""
        try:
            server = _Relay((self._gateway, 0), port)
        except OSError:  # the engine runs in a machine of its own, which has a name for this one's loopback
            return f"host.docker.internal:{port}"
        self._stack.callback(server.server_close)
        self._stack.callback(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"{self._gateway}:{server.server_address[1]}"


class _Relay(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], port: int) -> None:
        super().__init__(address, _Connection)
        self.port = port


class _Connection(socketserver.BaseRequestHandler):
    server: _Relay

    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.port)) as inner:
            back = threading.Thread(target=_copy, args=(inner, self.request), daemon=True)
            back.start()
            _copy(self.request, inner)
            back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Pass on what comes until it ends, and that it ended."""
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        source.close()
        target.close()
