"""Bodies of responses in chunks: files, and async iterables."""

from collections.abc import AsyncIterable, AsyncIterator, Iterator
from concurrent.futures import Executor
from typing import IO, Self

from werkzeug.wsgi import FileWrapper

from decant._sync.greenlets import await_
from decant._sync.threads import run_in_thread

__all__ = ["FileBlocks", "stream"]

_BLOCK_BYTES = 256 * 1024


class FileBlocks(FileWrapper):
    """WSGI's `wsgi.file_wrapper`: files as responses, in large blocks.

    Args:
        file: Open for reading, at its beginning.
        _block_bytes: The block size of the app: Werkzeug's 8 KiB, at which a large file is mostly overhead.
        executor: Reads the file for a request on a server's event loop; None reads in the caller's thread.
    """

    def __init__(self, file: IO[bytes], _block_bytes: int = 0, *, executor: Executor | None = None) -> None:
        super().__init__(file, _BLOCK_BYTES)
        self._executor = executor

    def __next__(self) -> bytes:
        """The next block."""
        if self._executor is None:
            return super().__next__()
        block: bytes = await_(run_in_thread(self._executor, lambda: self.file.read(self.buffer_size)))
        if not block:
            raise StopIteration
        return block


def stream[T](chunks: AsyncIterable[T]) -> Iterator[T]:
    """An async iterable as the iterator that a Flask response is made of.

        @app.get("/rows")
        async def rows():
            return stream(lines_of_the_query()), {"Content-Type": "text/csv"}

    The next chunk is requested after the server has accepted the last chunk. In `stream_with_context(stream(…))` the
    chunks are made with `request` and `session` available.
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
        """Close an async generator, so that its `finally` runs; the server calls it however the response ends."""
        aclose = getattr(self._chunks, "aclose", None)
        if aclose is not None:
            await_(aclose())
