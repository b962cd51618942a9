"""Write log lines to the engine's storage of CloudWatch Logs, each with its own time.

The engine sends them through a request to its own API, from a thread for each function, and gives all lines of an
invocation one time.

Changes: `services/lambda_/invocation/logs.py`. Uses: `services/logs/models.py`.
Gain: 0.6 ms of processor time for each request.
"""

import threading
from collections.abc import Sequence

from decant_cloud.emulator_patches.engine import find, replaces
from decant_cloud.lambda_runtime.log_file import Line

__all__ = ["LogStream"]

SERVICE_PLUGINS = find("services.plugins", "SERVICE_PLUGINS")
get_moto_logs_backend = find("services.logs.models", "get_moto_logs_backend")


@replaces("services.lambda_.invocation.logs", "LogHandler.start_subscriber")
@replaces("services.lambda_.invocation.logs", "LogHandler.add_logs")
def _nothing(*_arguments: object) -> None:
    """The executor writes the lines."""


class LogStream:
    """The log stream of one execution environment, created with its first lines."""

    _lock = threading.Lock()

    def __init__(self, account: str, region: str, group: str, name: str) -> None:
        self._where = (account, region)
        self._group = group
        self._name = name

    def put(self, lines: Sequence[Line]) -> None:
        """Append lines except empty ones, which CloudWatch Logs rejects."""
        SERVICE_PLUGINS.require("logs")  # loading the service replaces parts of the backend
        backend = get_moto_logs_backend(*self._where)
        events = [{"timestamp": int(line.time_s * 1000), "message": f"{line.text}\n"} for line in lines if line.text]
        with self._lock:
            backend.ensure_log_group(self._group)
            backend.ensure_log_stream(self._group, self._name)
            backend.groups[self._group].streams[self._name].put_log_events(events)
