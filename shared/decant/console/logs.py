"""Log lines of a task, from the CloudWatch Logs of the local cloud. On AWS the page links to Logs Insights instead."""

import os
from datetime import datetime
from typing import Any

import msgspec

from decant._aws import AwsSettings, api
from decant.config import load
from decant.console.records import TaskDetails
from decant.errors import AwsUnavailable
from decant.observability import LogSettings

__all__ = ["log_lines"]

_MOST_LINES = 200
_MOST_PAGES = 10  # of up to 10,000 lines
_AROUND_MS = 60_000  # lines of the request that has enqueued the task, and lines that arrive late


async def log_lines(task: TaskDetails) -> list[str]:
    """Lines with the correlation id of a task; none on AWS, outside of Lambda, and when the emulator has no log.

    The emulator ignores `filterPattern`, so that lines are selected here.

    Source: CloudWatch Logs API reference, FilterLogEvents.
    """
    group = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
    is_local = load(LogSettings).stage == "local" and load(AwsSettings).endpoint_url is not None
    if group is None or not is_local or not task.correlation_id:
        return []
    given: dict[str, Any] = {
        "logGroupName": group,
        "filterPattern": msgspec.json.encode(task.correlation_id).decode(),
        "startTime": _milliseconds(task.date_created) - _AROUND_MS,
    }
    if task.date_done is not None:
        given["endTime"] = _milliseconds(task.date_done) + _AROUND_MS
    lines = list[str]()
    for _ in range(_MOST_PAGES):
        try:
            found = await api.call("logs", "Logs_20140328.FilterLogEvents", given)
        except AwsUnavailable:
            break
        messages = [event["message"].rstrip() for event in found.get("events", ())]
        lines += [message for message in messages if task.correlation_id in message]
        given["nextToken"] = found.get("nextToken")
        if given["nextToken"] is None or len(lines) >= _MOST_LINES:
            break
    return lines[:_MOST_LINES]


def _milliseconds(time: datetime) -> int:
    return int(time.timestamp() * 1000)
