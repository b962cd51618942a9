"""What the local cloud tells a person when it cannot go on."""

__all__ = ["LocalCloudError"]


class LocalCloudError(Exception):
    """The local cloud cannot start or go on; the message says why and what to do."""
