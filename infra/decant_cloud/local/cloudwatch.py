"""What functions log in CloudWatch Logs, brought into the journal that `make up` and `make logs` show."""

import re
import threading
import time
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from decant_cloud.lambda_runtime.log_file import Journal
from decant_cloud.local.deploy import Cloud

__all__ = ["LogFollower"]

_LOOK_EVERY_S = 1


class LogFollower:
    """Looks for new lines of a stack's functions until it is stopped.

    Args:
        journal: File that they are written to; must be there when it starts.
    """

    def __init__(self, cloud: Cloud, stack: str, journal: Path) -> None:
        self._cloud = cloud
        self._prefix = f"/aws/lambda/{stack}-"
        self._path = journal
        self._over = threading.Event()
        self._seen: dict[str, set[str]] = {}

    def start(self) -> None:
        """Begin with what is logged from now on."""
        threading.Thread(target=self._run, args=(int(time.time() * 1000),), name="cloudwatch", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._over.set()

    def _run(self, since_ms: int) -> None:
        logs, journal = self._cloud.client("logs"), Journal(self._path)
        while not self._over.wait(_LOOK_EVERY_S):
            try:
                groups = logs.describe_log_groups(logGroupNamePrefix=self._prefix)["logGroups"]
                for group in groups:
                    self._take(logs, journal, group["logGroupName"], since_ms)
            except (BotoCoreError, ClientError):
                continue  # `check` reports an emulator that has ended; a busy emulator is polled again

    def _take(self, logs: Any, journal: Journal, group: str, since_ms: int) -> None:
        seen = self._seen.setdefault(group, set())
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since_ms):
            for event in page["events"]:
                if event["eventId"] not in seen:
                    seen.add(event["eventId"])
                    journal.write(
                        _function(group, stream := event["logStreamName"]), stream, "", event["message"].rstrip("\n")
                    )


def _function(group: str, stream: str) -> str:
    """The function that wrote a stream: in a group that functions share, its name is in the name of the stream."""
    named = re.search(r"/([^/[]+)\[", stream)
    return named[1] if named else group.removeprefix("/aws/lambda/")
