"""Log lines in CloudWatch Logs, put straight where LocalStack keeps them, each with its own time.

LocalStack sends them from a thread of each function's, all lines of an invocation with one time, through a request of
its own to its own API, which took more processor time than the invocation.
"""

import threading
from collections.abc import Sequence
from typing import Any

from localstack.services.lambda_.invocation.logs import LogHandler
from localstack.services.logs.models import get_moto_logs_backend
from localstack.services.plugins import SERVICE_PLUGINS

from decant_cloud.lambda_runtime.log_file import Line

__all__ = ["LogStream", "leave_logs_to_environments"]


def leave_logs_to_environments() -> None:
    """Have LocalStack put no lines itself."""
    LogHandler.start_subscriber = LogHandler.add_logs = _nothing


def _nothing(*_: Any) -> None:
    """Stand in for both."""


class LogStream:
    """The log stream of one execution environment; it comes to be with its first lines."""

    _lock = threading.Lock()

    def __init__(self, account: str, region: str, group: str, name: str) -> None:
        self._where = (account, region)
        self._group = group
        self._name = name

    def put(self, lines: Sequence[Line]) -> None:
        """Add lines, but for empty ones, which CloudWatch does not take."""
        SERVICE_PLUGINS.require("logs")  # loading it changes what is used here
        backend = get_moto_logs_backend(*self._where)
        events = [{"timestamp": int(line.time_s * 1000), "message": f"{line.text}\n"} for line in lines if line.text]
        with self._lock:
            backend.ensure_log_group(self._group)
            backend.ensure_log_stream(self._group, self._name)
            backend.groups[self._group].streams[self._name].put_log_events(events)
