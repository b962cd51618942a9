"""A function that waits for a debugger: it is started under debugpy, one process at a time, and time does not count.

debugpy is no part of what the function can import: it is run by its own path.
"""

import json
import os
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

__all__ = ["PATIENCE_S", "Debugger"]

PATIENCE_S = 3600
"""Seconds that replace the timeout of the function and the visibility timeout of its messages."""

_VARIABLE = "DECANT_DEBUGGER"
_LOOK_EVERY_S = 0.05


@dataclass(frozen=True, kw_only=True)
class Debugger:
    """Which function waits, and where.

    Attributes:
        function: Its logical id.
        port: Where it listens for a debugger, on loopback.
        package: debugpy's own folder.
    """

    function: str
    port: int
    package: str

    @classmethod
    def of(cls, name: str) -> Self | None:
        """The one that was asked for in this process's environment, if it was for the function of this name at AWS."""
        asked = cls(**json.loads(os.environ[_VARIABLE])) if _VARIABLE in os.environ else None
        return asked if asked and f"-{asked.function}-" in name else None

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables that ask for it."""
        return {_VARIABLE: json.dumps(asdict(self))}

    def command(self, python: Path, arguments: Sequence[str]) -> list[str]:
        """Command line that runs Python with arguments once a debugger has come."""
        return [
            str(python),
            *("-X", "frozen_modules=off"),  # or the debugger warns that it may miss breakpoints in them
            self.package,
            *("--listen", f"127.0.0.1:{self.port}", "--wait-for-client", "--configure-subProcess", "false"),
            *arguments,
        ]

    @staticmethod
    def writes(file: Path) -> dict[str, str]:
        """Variables with which debugpy writes a file once it waits for a debugger.

        It accepts connections a moment earlier, and may then lose them.
        """
        return {"DEBUGPY_ADAPTER_ENDPOINTS": str(file)}

    def wait_for_port(self, deadline: float) -> None:
        """Wait until the process before has left the port, or until a time on the monotonic clock."""
        while self._is_taken() and time.monotonic() < deadline:
            time.sleep(_LOOK_EVERY_S)

    def _is_taken(self) -> bool:
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False
