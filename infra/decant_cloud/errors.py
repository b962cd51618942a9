"""Errors of the commands."""

__all__ = ["CommandError"]


class CommandError(Exception):
    """A command cannot start or go on; the message of one line says why and what to do."""
