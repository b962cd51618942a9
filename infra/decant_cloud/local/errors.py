"""Errors of the local cloud."""

from decant_cloud.errors import CommandError

__all__ = ["LocalCloudError"]


class LocalCloudError(CommandError):
    """The local cloud cannot start or go on; the message says why and what to do."""
