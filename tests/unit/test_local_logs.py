"""The stream of log lines that a person reads."""

import json
import threading
from pathlib import Path

import pytest

from decant_cloud.lambda_runtime.log_file import Journal
from decant_cloud.local.logs import Renderer, follow
from decant_cloud.local.terminal import json_text, printable

NOON = 1795348800.25


def shown(line: str) -> str | None:
    """A line as plain text, without the time of day."""
    text = Renderer(width=8).render(NOON, "FetchData", line)
    return None if text is None else text.plain.split(" ", 1)[1]


def test_json_line_shows_message_and_fields() -> None:
    """Message first, then what the code added, then the correlation id; what every line has is left out."""
    line = json.dumps(
        {"level": "INFO", "message": "Stored", "service": "decant", "user_id": 7, "correlation_id": "c-1"}
    )

    assert shown(line) == "FetchData Stored user_id=7 [c-1]"


def test_exception_is_indented_below() -> None:
    """A traceback follows in lines of its own."""
    line = json.dumps({"level": "ERROR", "message": "Failed", "exception": "Traceback\n  here"})

    assert shown(line) == "FetchData Failed\n                       Traceback\n                         here"


def test_runtimes_traceback_is_in_lines() -> None:
    """What the runtime client writes as one line for CloudWatch is many for a person."""
    lines = (shown("[ERROR] ValueError: no\rTraceback\r\xa0\xa0here") or "").split("\n")

    assert [line.strip() for line in lines] == ["FetchData [ERROR] ValueError: no", "Traceback", "here"]


def test_invalid_settings_are_one_line() -> None:
    """The variables are named; the traceback of the runtime client would not help to correct them."""
    line = "[ERROR] ConfigError: JWT_ISSUER: is not set; TIMEOUT_S: is no number\rTraceback (most recent call last):\ra"

    assert shown(line) == "FetchData [ERROR] Settings are invalid: JWT_ISSUER: is not set; TIMEOUT_S: is no number"
    assert shown("INIT_REPORT Init Duration: 5.00 ms\tPhase: init\tStatus: error\tError Type: ConfigError") is None


def test_places_in_a_traceback_are_as_editors_know_them(tmp_path: Path) -> None:
    """In the runtime client's words too, and in the file itself where the layer has a link to it."""
    (tmp_path / "link.py").symlink_to(tmp_path / "file.py")
    line = f'[ERROR] Runtime.UserCodeSyntaxError: no\rTraceback\r\xa0\xa0File "{tmp_path}/link.py" Line 5'

    assert f'File "{tmp_path}/file.py", line 5' in (shown(line) or "")


def test_location_is_one_click_away(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """File and line, as seen from the folder that the terminal is in."""
    monkeypatch.chdir(tmp_path)
    line = json.dumps({"level": "INFO", "message": "Stored", "location": f"{tmp_path}/functions/app.py:12"})

    assert shown(line) == "FetchData Stored functions/app.py:12"


def test_source_links_to_its_file(tmp_path: Path) -> None:
    """A terminal opens the function when its name is clicked."""
    text = Renderer(width=8, files={"FetchData": tmp_path / "app.py"}).render(NOON, "FetchData", "a line")

    assert text is not None
    assert f"link file://{tmp_path}/app.py" in str(text.spans[1].style)


def test_advice_before_an_error_is_left_out() -> None:
    """The error itself follows."""
    assert shown("[WARNING]\t2026-11-22T12:00:00Z\t\tLAMBDA_WARNING: Unhandled exception. The most likely") is None


@pytest.mark.parametrize("line", ["START RequestId: 1 Version: $LATEST", "END RequestId: 1", "INIT_START x", " "])
def test_lambdas_own_lines_are_left_out(line: str) -> None:
    """Repeated lines are not shown."""
    assert shown(line) is None


def test_report_is_short() -> None:
    """Duration, memory and init of an invocation, and what ended it badly."""
    line = (
        "REPORT RequestId: 1\tDuration: 12.30 ms\tBilled Duration: 13 ms\tMemory Size: 512 MB\tMax Memory Used: 60 MB"
    )

    assert shown(line) == "FetchData 12.30 ms · 60 MB"
    assert shown(f"{line}\tInit Duration: 301.00 ms") == "FetchData 12.30 ms · 60 MB · init 301.00 ms"
    assert shown(f"{line}\tStatus: timeout") == "FetchData 12.30 ms · 60 MB · timeout"


def test_plain_print_is_shown_as_it_is() -> None:
    """A line that looks like JSON and is none is a plain one."""
    assert shown("{not json") == "FetchData {not json"


def test_journal_is_followed_while_it_is_written(tmp_path: Path) -> None:
    """Entries come out in order, also those that are written later."""
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.write("f", "e", "r", "one")
    over = threading.Event()
    entries = follow(path, until=over.is_set)

    first = next(entries)
    journal.write("f", "e", "r", "two")
    over.set()
    rest = list(entries)

    assert [first.line, *(entry.line for entry in rest)] == ["one", "two"]


ESCAPES = (
    "\x1b[31mred\x1b[0m \x1b]0;title\x07\x1b]8;;http://evil.example\x1b\\link "
    "\x9b2Jcleared\x7f\x08 \x1bPq\x1b\\\x1bcend"
)
"""What a terminal executes: colours, title, link, clear, backspace, device control, reset."""


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(f"GET /{ESCAPES}", id="plain"),
        pytest.param(json.dumps({"message": "GET", "path": f"/{ESCAPES}", f"x{ESCAPES}": 1}), id="fields"),
        pytest.param(json.dumps({"message": ESCAPES, "correlation_id": ESCAPES, "exception": ESCAPES}), id="message"),
        pytest.param(f"[ERROR] {ESCAPES}\rTraceback {ESCAPES}", id="error"),
    ],
)
def test_escape_sequences_do_not_reach_the_terminal(line: str) -> None:
    """A path or a log line cannot change the terminal's title, colours, screen or clipboard."""
    text = shown(line) or ""

    assert [character for character in text if not character.isprintable() and character != "\n"] == []
    assert "title" not in text
    assert "end" in text


def test_printable_keeps_text() -> None:
    """Letters of every script, tabs and newlines stay."""
    assert printable("a\tb\né 漢 🙂") == "a\tb\né 漢 🙂"


def test_json_text_has_no_control_characters() -> None:
    """JSON escapes some control characters itself; the others make all of it ASCII."""
    assert json_text({"a": "é"}) == '{"a": "é"}'
    assert json_text({"a": "é\x9b2J"}) == '{"a": "\\u00e9\\u009b2J"}'
