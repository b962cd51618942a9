"""Ports on loopback."""

import socket

from decant_cloud.local.errors import LocalCloudError

__all__ = ["free_or_none", "require_free"]


def require_free(port: int, command: str, variable: str = "PORT") -> None:
    """See that nothing listens on a port that a command is given by a variable.

    Raises:
        LocalCloudError: something does; the message names the option for another.
    """
    try:
        _bind(port)
    except OSError as error:
        other = f"{variable}={port + 1} make {command}"
        raise LocalCloudError(f"Port {port} is busy; stop what listens there, or take another: {other}") from error


def free_or_none(port: int) -> int | None:
    """The port, if nothing listens there."""
    try:
        _bind(port)
    except (OSError, OverflowError):  # OverflowError: there is no such port
        return None
    return port


def _bind(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
