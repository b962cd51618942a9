"""Errors of the commands."""

__all__ = ["CommandError"]


class CommandError(Exception):
    """A command cannot start or go on; the message is one line with the reason and the remedy."""
