"""Async iterables as answers."""

from collections.abc import AsyncIterable, AsyncIterator, Iterator
from typing import Self

from decant._sync.greenlets import await_

__all__ = ["stream"]


def stream[T](chunks: AsyncIterable[T]) -> Iterator[T]:
    """An async iterable as the iterator that Flask's answers are made of.

        @app.get("/rows")
        async def rows():
            return stream(lines_of_the_query()), {"Content-Type": "text/csv"}

    The next chunk is asked for when the server has taken the last one. In `stream_with_context(stream(…))` the chunks
    are made with `request` and `session` at hand.
    """
    return _Stream(aiter(chunks))


class _Stream[T]:
    def __init__(self, chunks: AsyncIterator[T]) -> None:
        self._chunks = chunks

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        try:
            return await_(anext(self._chunks))
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self) -> None:
        """Close an async generator, whose `finally` then runs; the server calls it however the answer ends."""
        aclose = getattr(self._chunks, "aclose", None)
        if aclose is not None:
            await_(aclose())
