"""One version of a function while environments of it run: its code, and that all of them end before it goes.

The engine removes the code of an updated function while its last invocations still run, and drops an environment that
starts in that moment. Both are kept here, until the version is stopped.
"""

import os
import shutil
import threading
from pathlib import Path
from typing import Self

from decant_cloud.lambda_runtime.environment import Environment, EnvironmentStopped

__all__ = ["Version"]


class Version:
    """A version that environments can be started of.

    Attributes:
        task: Folder of its code.
    """

    def __init__(self, task: Path) -> None:
        self.task = task
        self._copy: Path | None = None
        self._environments: set[Environment] = set()
        self._lock = threading.Lock()
        self._stopped = False

    @classmethod
    def of_copy(cls, code: Path, folder: Path) -> Self:
        """A version whose code may be removed at any time: it runs a copy of it, in `folder`."""
        shutil.copytree(code, folder, symlinks=True, copy_function=_link)
        version = cls(folder)
        version._copy = folder
        return version

    def start(self, environment: Environment, *, alone: bool = False) -> Environment:
        """Start an environment of it, or where there is to be one alone, take the one that was started first.

        Raises:
            EnvironmentStopped: the version is stopped; another one has taken its place.
        """
        with self._lock:
            if self._stopped:
                raise EnvironmentStopped
            if alone and self._environments:
                return next(iter(self._environments))
            self._environments.add(environment)
        environment.start()
        return environment

    def stop(self, environment: Environment, drain_s: float) -> None:
        """Stop one environment of it; what runs in it may end within `drain_s`."""
        environment.stop(drain_s)
        with self._lock:
            self._environments.discard(environment)

    def close(self, drain_s: float) -> None:
        """Stop every environment that is left, and let no other start; then the code goes."""
        with self._lock:
            self._stopped = True
            left = list(self._environments)
        for environment in left:
            self.stop(environment, drain_s)
        if self._copy is not None:
            shutil.rmtree(self._copy, ignore_errors=True)


def _link(source: str, target: str) -> None:
    """Copy a file by a second name for it, where both are on one file system."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
