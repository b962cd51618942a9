"""Logs: JSON lines with their correlation id."""

import json
import logging
from collections.abc import Iterator

import pytest

from decant import observability


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[pytest.CaptureFixture[str]]:
    """Standard output with Decant's log handler writing to it; the handlers before are put back."""
    root = logging.getLogger()
    before, level = root.handlers, root.level
    root.handlers = []
    observability.configure()
    yield capsys
    root.handlers, root.level = before, level


def test_line_is_json_with_the_correlation_id(lines: pytest.CaptureFixture[str]) -> None:
    """A line says when, where, what, and to which request it belongs."""
    with observability.correlate("request-1"):
        logging.getLogger("shop").info("Sold %s", "tea", extra={"price": 3})

    line = json.loads(lines.readouterr().out)
    assert line["message"] == "Sold tea"
    assert (line["level"], line["logger"], line["correlation_id"]) == ("INFO", "shop", "request-1")
    assert line["price"] == 3


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
