"""An emulator at AWS_ENDPOINT_URL that another process runs. The stack is deployed to it, and deleted at the end."""

import socket
import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from decant_cloud.emulator_patches.engine import ENGINES
from decant_cloud.local.cloudwatch import LogFollower
from decant_cloud.local.deploy import Cloud, delete
from decant_cloud.local.engine_server import chosen
from decant_cloud.local.errors import LocalCloudError

__all__ = ["Emulator"]

_ANSWERS_WITHIN_S = 5


class Emulator:
    """What `make up` uses in place of an engine of its own.

    Args:
        url: Where every AWS API answers.
        stack: Name of our stack there.
        folder: For the functions' log lines.
    """

    def __init__(self, url: str, stack: str, folder: Path) -> None:
        self.url = url.rstrip("/")
        self.title = f"Emulator at {self.url}"
        self.journal = folder / "functions.jsonl"
        self._stack = stack
        self._follower = LogFollower(Cloud(self.url), stack, self.journal)
        self._is_found = False

    def start(self) -> None:
        """See that it answers, and take over what the functions log there from now on.

        Raises:
            LocalCloudError: it does not; the message contains the remedy.
        """
        if (fault := self._fault()) is not None:
            raise LocalCloudError(
                f"AWS_ENDPOINT_URL is {self.url}, and nothing answers there ({fault}). Start the emulator, or unset "
                f"AWS_ENDPOINT_URL to start {chosen().title}."
            )
        self._is_found = True
        self.journal.parent.mkdir(parents=True, exist_ok=True)
        self.journal.write_text("")
        self._follower.start()

    def stop(self) -> None:
        """Delete our stack, if the emulator is still there."""
        if self._is_found:
            self._follower.stop()
            if self.is_running():
                delete(Cloud(self.url), self._stack)

    def is_running(self) -> bool:
        """Whether it answers."""
        return self._fault() is None

    def mounts(self) -> bool:
        """Whether it is one of the engines, which run code from its folder; other emulators get a copy."""
        return any(self._responds(engine.health_path) for engine in ENGINES.values())

    def _responds(self, path: str) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=_ANSWERS_WITHIN_S) as response:  # noqa: S310  # the user's own address
                return bool(response.status == HTTPStatus.OK)
        except OSError:
            return False

    def _fault(self) -> str | None:
        parts = urlsplit(self.url)
        try:
            port = parts.port or {"http": 80, "https": 443}[parts.scheme]
            with socket.create_connection((parts.hostname or "", port), _ANSWERS_WITHIN_S):
                return None
        except (OSError, KeyError, ValueError) as error:
            return str(error) or type(error).__name__
