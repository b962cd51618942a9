"""Log lines of a task, from the CloudWatch Logs of the local cloud. On AWS the page links to Logs Insights instead."""

import os

import msgspec

from decant._aws import AwsSettings, api
from decant.config import load
from decant.console.records import TaskDetails
from decant.errors import AwsUnavailable
from decant.observability import LogSettings

__all__ = ["log_lines"]

_MOST_LINES = 200
_EARLIER_MS = 60_000  # lines of the request that has enqueued the task


async def log_lines(task: TaskDetails) -> list[str]:
    """Lines with the correlation id of a task; none on AWS, outside of Lambda, and when the emulator has no log.

    Source: CloudWatch Logs API reference, FilterLogEvents.
    """
    group = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
    is_local = load(LogSettings).stage == "local" and load(AwsSettings).endpoint_url is not None
    if group is None or not is_local or not task.correlation_id:
        return []
    given = {
        "logGroupName": group,
        "filterPattern": msgspec.json.encode(task.correlation_id).decode(),
        "startTime": int(task.date_created.timestamp() * 1000) - _EARLIER_MS,
        "limit": _MOST_LINES,
    }
    try:
        found = await api.call("logs", "Logs_20140328.FilterLogEvents", given)
    except AwsUnavailable:
        return []
    return [event["message"].rstrip() for event in found.get("events", ())]
