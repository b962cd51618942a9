"""Messages that a request sends in batches, at the latest before its response.

A message is sent at once when no other is being sent. Those that are added meanwhile form the next batch, so that
batches grow with the load, and the caller waits for none of them.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextvars import ContextVar
from typing import Any

__all__ = ["Outbox", "current"]


class Outbox:
    """Messages of a request.

    Attributes:
        is_empty: All messages that were added are sent.
    """

    __slots__ = ("_closed", "_sending", "_waiting")

    def __init__(self) -> None:
        self._closed = False
        self._sending: asyncio.Task[None] | None = None
        self._waiting: list[Any] = []

    @property
    def is_empty(self) -> bool:  # noqa: D102  # an attribute
        return self._sending is None

    async def send[T](self, messages: Sequence[T], send: Callable[[Sequence[T]], Coroutine[Any, Any, None]]) -> None:
        """Add messages; after the request's end, send them.

        Args:
            messages: The messages; all of an outbox have the same type.
            send: Sends a batch, and handles errors itself.
        """
        if self._closed:
            await send(messages)
            return
        self._waiting += messages
        if self._sending is None:
            # not `create_task`, whose factory may be the application's
            self._sending = asyncio.Task(self._send(send), loop=asyncio.get_running_loop())

    async def _send(self, send: Callable[[Sequence[Any]], Coroutine[Any, Any, None]]) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                await send(batch)
        finally:
            self._sending = None

    async def flush(self) -> None:
        """Wait until all messages are sent; raises the error of a batch."""
        while (sending := self._sending) is not None:
            await asyncio.wait({sending})  # a caller that is cancelled leaves it running
            sending.result()

    def close(self) -> None:
        """Collect no more messages."""
        self._closed = True


current: ContextVar[Outbox | None] = ContextVar("decant_outbox", default=None)
"""The outbox of the current request."""
