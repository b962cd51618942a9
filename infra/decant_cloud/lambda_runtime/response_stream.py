"""The body of a streamed response on its way from an environment to the client."""

import queue
import threading

__all__ = ["ClientDisconnected", "ResponseBuffer", "ResponseStream", "StreamAborted"]

_END = b""


class ClientDisconnected(Exception):
    """The client reads no more of the response."""


class StreamAborted(Exception):
    """The function failed before the end of its response."""


class ResponseBuffer:
    """Keeps the parts for a caller that receives the whole response, as Lambda's Invoke does.

    Attributes:
        payload: All parts.
    """

    def __init__(self) -> None:
        self.payload = bytearray()

    def offer(self, part: bytes, _timeout_s: float) -> bool:
        """Keep a part."""
        self.payload += part
        return True

    def check(self) -> None:
        """The caller stays."""

    def end(self, *, is_complete: bool) -> None:
        """There are no more parts."""


class ResponseStream:
    """Passes one part at a time, so that the function sends as fast as the client reads.

    The environment calls `offer` and `end`, the client's thread calls `take` and `close`.
    """

    def __init__(self) -> None:
        self._parts: queue.Queue[bytes] = queue.Queue(maxsize=1)
        self._is_closed = threading.Event()
        self._is_ended = threading.Event()
        self._is_complete = False

    def offer(self, part: bytes, timeout_s: float) -> bool:
        """Pass a part on; returns whether the client's thread has room for it within the time.

        Raises:
            ClientDisconnected: the client reads no more.
        """
        self.check()
        try:
            self._parts.put(part, timeout=timeout_s)
        except queue.Full:
            return False
        return True

    def check(self) -> None:
        """Notice a disconnect.

        Raises:
            ClientDisconnected: the client reads no more.
        """
        if self._is_closed.is_set():
            raise ClientDisconnected

    def end(self, *, is_complete: bool) -> None:
        """There are no more parts: the response is complete, or the function has failed; the first call counts."""
        if self._is_ended.is_set():
            return
        self._is_complete = is_complete
        self._is_ended.set()
        while not self._is_closed.is_set():
            try:
                self._parts.put(_END, timeout=1)  # wakes `take`
            except queue.Full:
                continue
            return

    def take(self, timeout_s: float) -> bytes | None:
        """The next part; empty at the end of a complete response, None when no part arrives within the time.

        Raises:
            StreamAborted: the function failed.
        """
        try:
            part = self._parts.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if part == _END and not self._is_complete:
            raise StreamAborted
        return part

    def close(self) -> None:
        """Accept no more parts."""
        self._is_closed.set()
