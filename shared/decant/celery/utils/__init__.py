"""Helpers with Celery's names."""

from uuid import uuid4

__all__ = ["uuid"]


def uuid() -> str:
    """A new id."""
    return str(uuid4())
