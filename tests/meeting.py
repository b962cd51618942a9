"""Functions that run at the same time: each connects to the test and returns when the test lets all of them go on."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["WAIT_FOR_OTHERS", "Meeting", "meeting"]

WAIT_FOR_OTHERS = """
import os, socket

def wait_for_others(port):
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.recv(1)
    return os.getpid()
"""
"""Source of `wait_for_others(port)`, which returns the number of its process."""


class Meeting:
    """A server to which functions connect.

    Attributes:
        port: TCP port on 127.0.0.1.
    """

    def __init__(self, server: socket.socket) -> None:
        self._server = server
        self._waiting: list[socket.socket] = []
        self.port: int = server.getsockname()[1]

    def wait_for(self, count: int) -> None:
        """Wait until so many functions are connected; the timeout of the test ends the wait."""
        while len(self._waiting) < count:
            self._waiting.append(self._server.accept()[0])

    def has_another(self, within_s: float) -> bool:
        """Whether one more function connects within a time."""
        self._server.settimeout(within_s)
        try:
            self._waiting.append(self._server.accept()[0])
        except TimeoutError:
            return False
        finally:
            self._server.settimeout(None)
        return True

    def let_go(self) -> None:
        """Let the functions that are connected return."""
        while self._waiting:
            self._waiting.pop().close()


@contextmanager
def meeting() -> Iterator[Meeting]:
    """Listen on a port; at the end, all functions return."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        made = Meeting(server)
        try:
            yield made
        finally:
            made.let_go()
