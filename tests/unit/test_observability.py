"""Logs: JSON lines with their correlation id."""

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from aws_lambda_powertools import Logger

from decant import observability


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger as Python starts with it; its handlers and level are restored."""
    root = logging.getLogger()
    before, level = root.handlers, root.level
    root.handlers, root.level = [], logging.WARNING
    yield root
    root.handlers, root.level = before, level


@pytest.fixture
def lines(root: logging.Logger, capsys: pytest.CaptureFixture[str]) -> pytest.CaptureFixture[str]:
    """Standard output, to which Decant's log handler writes."""
    assert not own_handlers(root)
    observability.configure()
    return capsys


def own_handlers(root: logging.Logger) -> list[logging.Handler]:
    """The handlers of the root logger without pytest's, which it adds for the duration of a test."""
    return [each for each in root.handlers if type(each).__module__ != "_pytest.logging"]


@pytest.fixture
def service() -> Iterator[str]:
    """Service of a Powertools `Logger`, whose handler is removed afterwards."""
    yield "web"
    logger = logging.getLogger("web")
    logger.handlers = []
    vars(logger).pop("powertools_handler", None)
    vars(logger).pop("init", None)


def test_line_is_json_with_the_correlation_id(lines: pytest.CaptureFixture[str]) -> None:
    """A line has time, place, message and request."""
    with observability.correlate("request-1"):
        logging.getLogger("shop").info("Sold %s", "tea", extra={"price": 3})

    line = json.loads(lines.readouterr().out)
    assert line["message"] == "Sold tea"
    assert (line["level"], line["logger"], line["correlation_id"]) == ("INFO", "shop", "request-1")
    assert line["price"] == 3


def test_line_has_the_gateways_id_beside_the_callers(lines: pytest.CaptureFixture[str]) -> None:
    """The gateway's access log contains its own id of the request alone."""
    with observability.correlate("caller-1", "gateway-1"):
        logging.getLogger("shop").info("Sold")

    line = json.loads(lines.readouterr().out)
    assert (line["correlation_id"], line["request_id"]) == ("caller-1", "gateway-1")


def test_line_has_no_correlation_id_outside_of_a_request(lines: pytest.CaptureFixture[str]) -> None:
    """An id does not outlive the block it was given to."""
    with observability.correlate("request-1"):
        pass

    logging.getLogger("shop").info("Closed")

    assert "correlation_id" not in json.loads(lines.readouterr().out)


def test_line_holds_the_traceback(lines: pytest.CaptureFixture[str]) -> None:
    """An exception is one line, traceback included."""
    try:
        int("tea")
    except ValueError:
        logging.getLogger("shop").exception("Failed")

    line = json.loads(lines.readouterr().out)
    assert line["exception_name"] == "ValueError"
    assert "tea" in line["exception"]


def test_configure_twice_writes_each_line_once(lines: pytest.CaptureFixture[str]) -> None:
    """A second handler in the same process does not double the lines."""
    observability.configure()

    logging.getLogger("shop").warning("Once")

    assert lines.readouterr().out.count("Once") == 1


def test_configure_keeps_the_handlers_of_the_root_logger(
    root: logging.Logger, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A handler that writes elsewhere receives every line too, without the fields of the JSON lines."""
    file = logging.FileHandler(tmp_path / "log")
    root.addHandler(file)

    observability.configure()
    logging.getLogger("shop").warning("Sold")

    file.close()
    assert (tmp_path / "log").read_text() == "Sold\n"
    assert json.loads(capsys.readouterr().out)["message"] == "Sold"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_configure_keeps_a_console_handler_alone(
    root: logging.Logger, capsys: pytest.CaptureFixture[str], stream: str
) -> None:
    """A line that an existing handler prints is printed in its format and once."""
    root.addHandler(logging.StreamHandler(getattr(sys, stream)))

    observability.configure()
    logging.getLogger("shop").warning("Sold")

    assert len(own_handlers(root)) == 1
    assert getattr(capsys.readouterr(), stream[-3:]) == "Sold\n"


def test_configure_keeps_a_level_that_was_set(root: logging.Logger) -> None:
    """A level that the application set before is not replaced by LOG_LEVEL."""
    root.setLevel(logging.DEBUG)

    observability.configure()

    assert root.level == logging.DEBUG


def test_configure_removes_the_handler_of_lambda(root: logging.Logger) -> None:
    """The runtime client's own handler would print every line a second time."""
    handler = type("LambdaLoggerHandler", (logging.Handler,), {"__module__": "awslambdaric.bootstrap"})()
    root.addHandler(handler)

    observability.configure()

    assert handler not in root.handlers
    assert len(own_handlers(root)) == 1


def test_caplog_receives_lines_after_configure(caplog: pytest.LogCaptureFixture) -> None:
    """Pytest's handler stays on the root logger."""
    observability.configure()

    logging.getLogger("shop").warning("Sold")

    assert caplog.messages == ["Sold"]


@pytest.mark.usefixtures("root")
def test_powertools_logger_made_before_prints_each_line_once(capsys: pytest.CaptureFixture[str], service: str) -> None:
    """A `Logger` that exists before Decant's handler keeps its own format."""
    logger = Logger(service=service)

    observability.configure()
    logger.warning("Sold")

    [line] = capsys.readouterr().out.splitlines()
    assert json.loads(line)["service"] == service


def test_powertools_logger_made_later_prints_each_line_once(lines: pytest.CaptureFixture[str], service: str) -> None:
    """A `Logger` that is created after Decant's handler prints its lines, and Decant's handler does not."""
    Logger(service=service).warning("Sold")

    [line] = lines.readouterr().out.splitlines()
    assert json.loads(line)["service"] == service


def test_powertools_logger_hides_no_other_line(lines: pytest.CaptureFixture[str], service: str) -> None:
    """A `Logger` suppresses only its own lines, not those of every logger whose name contains its service."""
    Logger(service=service)

    logging.getLogger("decant.web").warning("Failed")

    assert json.loads(lines.readouterr().out)["message"] == "Failed"
