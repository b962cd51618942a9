"""Implementations that tests replace, such as the store of tasks by one in memory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from decant import runtime

__all__ = ["Replaceable"]


class Replaceable[T]:
    """An implementation that each runtime uses, and that a block can replace by another one.

    Args:
        build: Makes the default implementation at its first use.
    """

    def __init__(self, build: Callable[[], T]) -> None:
        self._build = build

    def __call__(self) -> T:
        """The implementation of the current runtime."""
        return self._selected()[0]

    def _selected(self) -> list[T]:
        return runtime.current().get(self, lambda: [self._build()])

    @contextmanager
    def using(self, other: T) -> Iterator[None]:
        """Use another implementation in the current runtime inside the block."""
        selected = self._selected()
        before, selected[0] = selected[0], other
        try:
            yield
        finally:
            selected[0] = before
