"""Errors of the local cloud."""

from decant_cloud.errors import CommandError

__all__ = ["LocalCloudError"]


class LocalCloudError(CommandError):
    """The local cloud cannot start or continue; the message contains the reason and the remedy."""
