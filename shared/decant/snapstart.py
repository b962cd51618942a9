"""Lambda SnapStart: what is done before a version's snapshot is taken, and after an environment starts from it.

Lambda runs the start of a version once and keeps the process's memory; every environment begins as a copy of it. So
there must be no connection in it, which all of them would think their own, no timer of a clock that has moved on, and
no random state, which would give all of them the same numbers. What is slow to import belongs in, though.

Lambda calls the hooks itself, in functions whose template says `SnapStart`; elsewhere `install` does nothing.

Source: AWS Lambda Developer Guide, "Handling uniqueness with Lambda SnapStart", "Runtime hooks for Python". What the
kernel and OpenSSL have of randomness, which `secrets` and `uuid4` ask, is AWS's to renew.
"""

import logging
import random
from collections.abc import Callable

from decant import config, loop

__all__ = ["after_restore", "before_snapshot", "install", "prepare"]

log = logging.getLogger(__name__)

_preparations: list[Callable[[], object]] = []


def prepare(preparation: Callable[[], object]) -> None:
    """Register what is done before a snapshot, so that no request has to: importing, building, but not connecting."""
    _preparations.append(preparation)


def install() -> None:
    """Register the hooks, where Lambda will take a snapshot; called by every handler as it is made.

    A function's own hooks, registered after, run before ours at the snapshot and after ours at the restore.
    """
    if config.settings().initialization_type != "snap-start":
        return
    from snapshot_restore_py import (  # noqa: PLC0415  # is in Lambda's image alone
        register_after_restore,
        register_before_snapshot,
    )

    register_before_snapshot(before_snapshot)
    register_after_restore(after_restore)


def before_snapshot() -> None:
    """Build what requests will need, then close every connection and the event loop.

    Raises:
        ConfigError: a setting is missing or bad; the version is not published.
    """
    for preparation in _preparations:
        preparation()
    log.info("Ready for the snapshot")  # the first line imports what formats all of them
    loop.end()


def after_restore() -> None:
    """Take new random numbers, and read the environment again, which has credentials of this copy's own."""
    random.seed()
    config.load.cache_clear()
