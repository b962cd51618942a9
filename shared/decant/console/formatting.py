"""Texts of the console: JSON that is redacted and truncated, the application's frames of a traceback, links to logs."""

import os
import re
from datetime import datetime
from typing import Any
from urllib.parse import quote

import msgspec

from decant._aws import AwsSettings
from decant.config import load, names, setting, settings_group
from decant.console.records import Text
from decant.observability import LogSettings

__all__ = ["ConsoleSettings", "application_frames", "formatted", "log_url", "redacted"]

_LONGEST = 20_000  # characters of a text
_REDACTED = "[redacted]"
_FRAME = re.compile(r'^ *File "([^"]+)", line \d+')
_LIBRARIES = (
    "/site-packages/",
    "/lib/python3",
    "/decant/",
    "/var/runtime/",
    "/var/lang/",
    "<frozen ",
    "/opt/python/lib",
)


@settings_group
class ConsoleSettings:
    """Settings of the console."""

    redact: tuple[str, ...] = setting(
        "CONSOLE_REDACT",
        names,
        "Parts of names whose values the console does not show, in arguments, results and errors",
        default=("password", "secret", "token", "authorization", "api_key"),
    )


def formatted(encoded: str) -> Text:
    """JSON with indentation, without the values whose names contain a part of CONSOLE_REDACT."""
    value = redacted(msgspec.json.decode(encoded))
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    return Text(text[:_LONGEST], len(text) > _LONGEST)


def redacted(value: Any) -> Any:
    """Decoded JSON without the values whose names contain a part of CONSOLE_REDACT."""
    return _redacted(value, [part.lower() for part in load(ConsoleSettings).redact])


def _redacted(value: Any, parts: list[str]) -> Any:
    if isinstance(value, list):
        return [_redacted(each, parts) for each in value]
    if isinstance(value, dict):
        return {
            name: _REDACTED if any(part in name.lower() for part in parts) else _redacted(each, parts)
            for name, each in value.items()
        }
    return value


def application_frames(traceback: str) -> list[int]:
    """Numbers of the lines of a traceback that belong to frames of the application, in the order of the text."""
    numbers: list[int] = []
    is_own = False
    for number, line in enumerate(traceback.splitlines()):
        if frame := _FRAME.match(line):
            is_own = not any(part in frame[1] for part in _LIBRARIES)
        elif not line.startswith("    "):
            is_own = False
        if is_own:
            numbers.append(number)
    return numbers


def log_url(correlation_id: str | None, since: datetime, until: datetime | None) -> str | None:
    """Address of CloudWatch Logs Insights with a query for the lines of a correlation id.

    Returns:
        None without a correlation id, in the local cloud, and outside of Lambda.
    """
    group = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
    if not correlation_id or group is None or load(LogSettings).stage == "local":
        return None
    region = load(AwsSettings).region
    pattern = msgspec.json.encode(correlation_id).decode()
    query = f"fields @timestamp, @message | filter @message like {pattern} | sort @timestamp"
    end = "end~0" if until is None else f"end~'{until.strftime('%Y-%m-%dT%H*3a%M*3a%S.999Z')}"
    kind = "timeType~'RELATIVE" if until is None else "timeType~'ABSOLUTE"
    start = "start~-86400" if until is None else f"start~'{since.strftime('%Y-%m-%dT%H*3a%M*3a%S.000Z')}"
    detail = f"~({end}~{start}~{kind}~editorString~'{_escaped(query)}~source~(~'{_escaped(group)}))"
    return (
        f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}"
        f"#logsV2:logs-insights$3FqueryDetail$3D{quote(detail, safe='').replace('%', '$')}"
    )


def _escaped(text: str) -> str:
    """A text in the notation of the links of CloudWatch."""
    return re.sub(r"[^A-Za-z0-9_.-]", lambda match: "".join(f"*{byte:02x}" for byte in match[0].encode()), text)
