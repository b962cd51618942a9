"""The WSGI side of an answer: `start_response`, `write`, and the messages they become.

Source: PEP 3333 (WSGI), ASGI specification (HTTP response), RFC 9110 sections 6.4.1 (content) and 7.6.1 (hop-by-hop).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from functools import lru_cache
from types import TracebackType

from decant.asgi.messages import Message

__all__ = ["Answer", "Messages"]

_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_NO_CONTENT = frozenset({204, 304})

type _ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


class Answer(ABC):
    """One answer on its way from the app to whoever takes it.

    Args:
        head_request: The client wants no body.

    Attributes:
        begun: The head has left: the answer can no longer become another.
        complete: The last byte has left.
    """

    __slots__ = ("_bodiless", "_head_request", "_headers", "_remaining", "_status", "begun", "complete")

    def __init__(self, *, head_request: bool) -> None:
        self._head_request = head_request
        self._status = 0
        self._headers: list[tuple[str, str]] = []
        self._remaining: int | None = None
        self._bodiless = False
        self.begun = False
        self.complete = False

    @abstractmethod
    def take_head(self, status: int, headers: list[tuple[str, str]]) -> None:
        """Take the status and the headers, names in lower case; once, before any chunk."""

    @abstractmethod
    def take_chunk(self, chunk: bytes, *, more: bool) -> None:
        """Take a piece of the body; the last one may be empty."""

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
        for name, value in headers:
            lower = name.lower()
            if lower in _HOP_BY_HOP:
                continue
            if lower == "content-length":
                self._remaining = int(value)
            self._headers.append((lower, value))
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
        self.take_chunk(chunk, more=not self.complete)

    def finish(self) -> None:
        """Send what remains when the app has no more chunks."""
        if self.complete:
            return
        self._begin()
        self.complete = True
        self.take_chunk(b"", more=False)

    def _begin(self) -> None:
        if self.begun:
            return
        if not self._status:
            raise RuntimeError("the app answered without calling start_response()")
        self.begun = True
        self.take_head(self._status, self._headers)


class Messages(Answer):
    """An answer as ASGI messages.

    Args:
        emit: Takes each message, and returns when the server took it.
        head_request: The client wants no body.
    """

    __slots__ = ("_emit",)

    def __init__(self, emit: Callable[[Message], None], *, head_request: bool) -> None:
        super().__init__(head_request=head_request)
        self._emit = emit

    def take_head(self, status: int, headers: list[tuple[str, str]]) -> None:
        """Send the first message."""
        encoded = [(_encoded(name), value.encode("latin-1")) for name, value in headers]
        self._emit({"type": "http.response.start", "status": status, "headers": encoded})

    def take_chunk(self, chunk: bytes, *, more: bool) -> None:
        """Send another message."""
        self._emit({"type": "http.response.body", "body": chunk, "more_body": more})


@lru_cache(maxsize=1024)
def _encoded(name: str) -> bytes:
    return name.encode("latin-1")
