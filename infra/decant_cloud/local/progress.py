"""Steps of a start on the terminal: with a spinner while a step runs, and with its duration afterwards."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from decant_cloud.local.terminal import printable

__all__ = ["Steps"]


class Steps:
    """Shows several steps at a time; a context manager around all of them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = (SpinnerColumn(finished_text="[green]✓"), TextColumn("{task.description}"), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._printing = threading.Lock()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._progress.stop()

    def report(self, line: str) -> None:
        """Print a line above the steps that run."""
        with self._printing:
            self._console.print(Text(f"  {printable(line)}", "dim"), soft_wrap=True)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Show one step while the block runs, and its duration when the block succeeds."""
        started = time.monotonic()
        task = self._progress.add_task(title, total=None)
        try:
            yield
            with self._printing:
                self._console.print(f"[green]✓[/] {title} [dim]{time.monotonic() - started:.1f} s", highlight=False)
        finally:
            self._progress.remove_task(task)
