"""Another service, which functions call: a small HTTP server on loopback."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

__all__ = ["BROKEN_ID", "ERROR_ID", "HANGING_UP_ID", "MISSING_ID", "SLOW_ID", "Upstream"]

SLOW_ID = 901
"""GET /todos/901 answers once the test is over."""
BROKEN_ID = 902
"""GET /todos/902 answers 200 and a page of HTML."""
ERROR_ID = 903
"""GET /todos/903 answers 500."""
MISSING_ID = 904
"""GET /todos/904 answers 404."""
HANGING_UP_ID = 905
"""GET /todos/905 closes the connection without an answer."""


class Upstream:
    """The server, as a context manager; every other id is answered with its to-do, at once.

    Attributes:
        url: Address of the collection, without a slash at the end: `<url>/1` is its first document.
        asked: Path of every request so far, in order.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._over = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self.url = f"http://127.0.0.1:{self._server.server_port}/todos"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait_until_over(self) -> None:
        """Wait for the end of the test."""
        self._over.wait()


def _handler(upstream: Upstream) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            upstream.asked.append(self.path)
            self._dispatch(int(self.path.rpartition("/")[2]))

        def _dispatch(self, identifier: int) -> None:
            match identifier:
                case _ if identifier == SLOW_ID:
                    upstream.wait_until_over()
                    self.close_connection = True
                case _ if identifier == HANGING_UP_ID:
                    self.close_connection = True
                case _ if identifier == BROKEN_ID:
                    self._answer(200, "text/html", "<h1>Welcome</h1>")
                case _ if identifier == ERROR_ID:
                    self._answer(500, "application/json", "{}")
                case _ if identifier == MISSING_ID:
                    self._answer(404, "application/json", "{}")
                case _:
                    document = {"userId": 1, "id": identifier, "title": f"To-do {identifier}", "completed": False}
                    self._answer(200, "application/json", json.dumps(document))

        def _answer(self, status: int, content_type: str, body: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_arguments: object) -> None:
            """Log nothing: the tests read `asked`."""

    return Handler
