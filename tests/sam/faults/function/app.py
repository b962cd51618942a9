"""The handlers, which come from the layer."""

from failing import exits, raises, sleeps  # type: ignore[import-not-found]  # it is in the layer

__all__ = ["exits", "raises", "sleeps"]
