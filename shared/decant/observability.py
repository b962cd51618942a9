"""Log lines as JSON, with the correlation id of the request or task to which a line belongs.

Code logs through plain `logging.getLogger(__name__)`; `extra={"user_id": …}` becomes fields of the line. Powertools
formats the lines. It is imported at the first line: a request without a log line saves its 69 ms.
"""

import copy
import logging
import re
import sys
from contextvars import ContextVar
from typing import Any

from decant.config import load, log_level, setting, settings_group, text

__all__ = [
    "CORRELATION_HEADER",
    "LogSettings",
    "configure",
    "correlate",
    "correlation_id",
    "correlation_ids",
    "is_valid_correlation_id",
]

CORRELATION_HEADER = "x-correlation-id"


@settings_group
class LogSettings:
    """Settings of the log."""

    stage: str = setting("STAGE", text, "Name of the stage, a field of every log line", default="local")
    service: str = setting("SERVICE", text, "Name of the service, a field of every log line", default="app")
    function_name: str = setting("AWS_LAMBDA_FUNCTION_NAME", text, "Set by Lambda", default="")
    log_level: str = setting("LOG_LEVEL", log_level, "DEBUG, INFO, WARNING, ERROR or CRITICAL", default="INFO")


correlation_ids: ContextVar[tuple[str | None, str | None]] = ContextVar("decant_ids", default=(None, None))
"""The correlation id, and the gateway's id of the request when it is another id."""


def is_valid_correlation_id(identifier: str) -> bool:
    """Whether a caller's own id is fit for headers, logs and URIs."""
    return _VALID_ID.fullmatch(identifier) is not None


_VALID_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


def correlation_id() -> str | None:
    """Id that is common to the log lines of a request and of the tasks that it enqueued; None outside of both."""
    return correlation_ids.get()[0]


class correlate:  # noqa: N801  # a context manager; as a class it costs a request 1 µs, as a generator 5
    """Give every log line of the block, and every task that it enqueues, this correlation id.

    Args:
        identifier: The correlation id.
        request_id: The gateway's id of the request, which its access log contains; a field of the log lines.
    """

    __slots__ = ("_ids", "_token")

    def __init__(self, identifier: str | None, request_id: str | None = None) -> None:
        self._ids = identifier, request_id

    def __enter__(self) -> None:
        self._token = correlation_ids.set(self._ids)

    def __exit__(self, *_error: object) -> None:
        correlation_ids.reset(self._token)


def configure() -> None:
    """Write the log lines of the process to standard output as JSON; calling it again changes nothing.

    Handlers that the root logger has already stay, except Lambda's own, which would print every line again. When one of
    them writes to standard output or standard error, its format is kept and no handler is added. `LOG_LEVEL` applies
    unless the root logger's level was changed before.

    Raises:
        ConfigError: a setting has a bad value.
    """
    root = logging.getLogger()
    for handler in [each for each in root.handlers if type(each).__module__ == "awslambdaric.bootstrap"]:
        root.removeHandler(handler)
    if any(isinstance(each, _JsonHandler) or _writes_to_console(each) for each in root.handlers):
        return
    root.addHandler(_JsonHandler())
    if root.level == logging.WARNING:  # Python's default
        root.setLevel(load(LogSettings).log_level)
    for verbose in ("alembic", "botocore", "httpcore", "httpx"):
        logging.getLogger(verbose).setLevel(logging.WARNING)


class _JsonHandler(logging.Handler):
    """Write records as Powertools' JSON lines to the current standard output.

    Records that a handler below the root logger prints already are left out, such as those of a Powertools `Logger`.
    """

    def addFilter(self, filter: Any) -> None:  # noqa: A002, N802  # logging's names
        """Add a filter, except Powertools', which a `Logger` adds to the handlers of the root logger.

        It would drop the records of every logger whose name contains the `Logger`'s service anywhere.
        """
        if not type(filter).__module__.startswith("aws_lambda_powertools."):
            super().addFilter(filter)

    def emit(self, record: logging.LogRecord) -> None:
        if _is_printed(record):
            return
        try:
            sys.stdout.write(self.format(record) + "\n")
            sys.stdout.flush()
        except (OSError, ValueError):  # ValueError: a value that JSON cannot hold, or a closed stream
            self.handleError(record)

    def format(self, record: logging.LogRecord) -> str:
        if self.formatter is None:
            self.formatter = _powertools_formatter()
        record = copy.copy(record)  # other handlers receive it without these fields
        record.correlation_id, request_id = correlation_ids.get()
        if request_id is not None:
            record.request_id = request_id
        record.logger = record.name
        record.taskName = None  # the name of asyncio's task, which reads like the name of a durable task
        return super().format(record)


def _is_printed(record: logging.LogRecord) -> bool:
    logger = logging.getLogger(record.name)
    while logger.parent is not None:
        if hasattr(logger, "powertools_handler"):  # set by a Powertools Logger
            return True
        if any(_writes_to_console(each) and record.levelno >= each.level for each in logger.handlers):
            return True
        logger = logger.parent
    return False


def _writes_to_console(handler: logging.Handler) -> bool:
    console = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    return isinstance(handler, logging.StreamHandler) and any(handler.stream is each for each in console)


def _powertools_formatter() -> logging.Formatter:
    from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter  # noqa: PLC0415  # at the first line

    settings = load(LogSettings)
    formatter = LambdaPowertoolsFormatter(use_rfc3339=True, utc=True, serialize_stacktrace=False)
    formatter.append_keys(service=settings.service, stage=settings.stage, function=settings.function_name or None)
    formatter.append_keys(location="%(pathname)s:%(lineno)d")  # terminals and editors open the file at the line
    return formatter
