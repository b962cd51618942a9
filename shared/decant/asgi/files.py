"""Files as answers: `send_file`, in large blocks, and under a server read in worker threads."""

from concurrent.futures import Executor
from typing import IO

from werkzeug.wsgi import FileWrapper

from decant._sync.greenlets import await_
from decant._sync.threads import run_in_thread

__all__ = ["FileBlocks"]

_BLOCK_BYTES = 256 * 1024


class FileBlocks(FileWrapper):
    """WSGI's `wsgi.file_wrapper`.

    Args:
        threads: Where to read; None for right here.
        file: Open for reading, at its beginning.
        _block_bytes: What the app proposes: Werkzeug's 8 KiB, at which a large file is mostly overhead.
    """

    def __init__(self, threads: Executor | None, file: IO[bytes], _block_bytes: int = 0) -> None:
        super().__init__(file, _BLOCK_BYTES)
        self._threads = threads

    def __next__(self) -> bytes:
        """The next block."""
        if self._threads is None:
            return super().__next__()
        block: bytes = await_(run_in_thread(self._threads, lambda: self.file.read(self.buffer_size)))
        if not block:
            raise StopIteration
        return block
