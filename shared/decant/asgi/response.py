"""The WSGI side of an answer: `start_response`, `write`, and the messages they become.

Source: PEP 3333 (WSGI), ASGI specification (HTTP response), RFC 9110 sections 6.4.1 (content) and 7.6.1 (hop-by-hop).
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from types import TracebackType

from decant.asgi.messages import Message

__all__ = ["Answer"]

_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
_NO_CONTENT = frozenset({204, 304})

type _ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


class Answer:
    """One answer on its way from the app to the server.

    Args:
        emit: Takes each message, and returns when the server took it.
        head_request: The client wants no body.

    Attributes:
        begun: The head has left: the answer can no longer become another.
        complete: The last byte has left.
    """

    __slots__ = ("_bodiless", "_emit", "_head_request", "_headers", "_remaining", "_status", "begun", "complete")

    def __init__(self, emit: Callable[[Message], None], *, head_request: bool) -> None:
        self._emit = emit
        self._head_request = head_request
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._remaining: int | None = None
        self._bodiless = False
        self.begun = False
        self.complete = False

    @property
    def is_stream(self) -> bool:
        """Whether a body is to come and nobody knows how much."""
        return self._remaining is None and not self._bodiless

    def start(
        self, status: str, headers: Iterable[tuple[str, str]], exc_info: _ExcInfo | None = None
    ) -> Callable[[bytes], None]:
        """WSGI's start_response; nothing leaves before the first chunk."""
        if exc_info is not None and exc_info[1] is not None and self.begun:
            raise exc_info[1].with_traceback(exc_info[2])
        if self._status and exc_info is None:
            raise RuntimeError("start_response() was called twice")
        self._status = int(status[:3])
        self._bodiless = self._head_request or self._status in _NO_CONTENT
        self._remaining = None
        self._headers = []
        for key, value in headers:
            name = _name(key)
            if name in _HOP_BY_HOP:
                continue
            if name == b"content-length":
                self._remaining = int(value)
            self._headers.append((name, value.encode("latin-1")))
        return self.write

    def write(self, chunk: bytes) -> None:
        """Send a chunk; bytes beyond Content-Length are not sent."""
        if not chunk or self._bodiless or self.complete:
            return
        if self._remaining is not None:
            chunk = chunk[: self._remaining]
            self._remaining -= len(chunk)
        self._begin()
        self.complete = self._remaining == 0
        self._emit({"type": "http.response.body", "body": chunk, "more_body": not self.complete})

    def finish(self) -> None:
        """Send what remains when the app has no more chunks."""
        if self.complete:
            return
        self._begin()
        self.complete = True
        self._emit({"type": "http.response.body", "body": b"", "more_body": False})

    def _begin(self) -> None:
        if self.begun:
            return
        if not self._status:
            raise RuntimeError("the app answered without calling start_response()")
        self.begun = True
        self._emit({"type": "http.response.start", "status": self._status, "headers": self._headers})


@lru_cache(maxsize=1024)
def _name(header: str) -> bytes:
    return header.lower().encode("latin-1")
