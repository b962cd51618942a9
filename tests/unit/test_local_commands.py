"""Arguments of the local cloud's commands, and their errors when it does not run."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from decant_cloud.local.commands.logs import as_json, moment
from decant_cloud.local.errors import LocalCloudError
from decant_cloud.local.logs import Entry
from decant_cloud.local.state import Claim
from decant_cloud.template.evaluate import TemplateError
from decant_cloud.template.model import Template
from tests.loading import ROOT

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=timezone(timedelta(hours=2)))
DOCUMENT: dict[str, Any] = {
    "Resources": {
        "UsersGet": {"Type": "AWS::Serverless::Function", "Properties": {"CodeUri": "functions/users_get/"}},
        "DefaultQueue": {"Type": "AWS::SQS::Queue", "Properties": {}},
    }
}
TEMPLATE = Template(ROOT, DOCUMENT)


def local(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the local cloud to its end."""
    command = [sys.executable, "-m", "decant_cloud", *arguments, "--state", str(state)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("90s", timedelta(seconds=90)),
        ("10m", timedelta(minutes=10)),
        ("2h", timedelta(hours=2)),
        ("1d", timedelta(days=1)),
        ("9:30", timedelta(hours=2, minutes=30)),  # today, here
        ("11:59:30", timedelta(seconds=30)),
        ("2026-11-21T12:00", timedelta(days=1)),  # here
        ("2026-11-22T09:00Z", timedelta(hours=1)),
    ],
)
def test_since_takes_times_as_people_write_them(text: str, ago: timedelta) -> None:
    """A span before now, a time of today, or a whole date and time."""
    assert moment(text, NOON) == (NOON - ago).timestamp()


@pytest.mark.parametrize("text", ["", "5x", "yesterday", "25:00", "-3m"])
def test_since_refuses_what_is_no_time(text: str) -> None:
    """The message shows how to write one."""
    with pytest.raises(LocalCloudError, match="is not a time; write 90s"):
        moment(text, NOON)


@pytest.mark.parametrize(("line", "expected"), [('{"message": "Größe"}', {"message": "Größe"}), ("plain", "plain")])
def test_logs_json_holds_lines_as_objects(line: str, expected: object) -> None:
    """A line that is JSON is read once by who reads the stream, and not twice."""
    entry = Entry(time=NOON.timestamp(), function="decant-TaskWorker-1a2b", environment="e", request="r", line=line)

    read = json.loads(as_json(entry))

    assert read["line"] == expected
    assert datetime.fromisoformat(read["time"]) == NOON.astimezone(UTC)
    assert (read["function"], read["environment"], read["request"]) == ("TaskWorker", "e", "r")


@pytest.mark.parametrize("name", ["users_get", "UsersGet"])
def test_function_is_named_as_folder_or_as_resource(name: str) -> None:
    """Both names are in front of a person all day."""
    assert TEMPLATE.function(name).logical_id == "UsersGet"


@pytest.mark.parametrize("name", ["default", "DefaultQueue"])
def test_queue_is_named_as_tasks_or_as_resource(name: str) -> None:
    """As tasks name it, or as the template does."""
    assert TEMPLATE.queue(name) == "DefaultQueue"


def test_unknown_names_are_answered_with_known_ones() -> None:
    """Who mistypes sees what to type."""
    with pytest.raises(TemplateError, match=r"no function user_get; there are users_get\."):
        TEMPLATE.function("user_get")
    with pytest.raises(TemplateError, match=r"no queue slow; there are DefaultQueue\."):
        TEMPLATE.queue("slow")


@pytest.mark.parametrize(
    "arguments", [["status"], ["invoke", "task_worker"], ["send", "{}"], ["psql"], ["flask", "task_worker", "routes"]]
)
def test_command_says_that_nothing_runs(arguments: list[str], tmp_path: Path) -> None:
    """Status 1, and one line that shows how to start it."""
    finished = local(tmp_path, *arguments)

    assert finished.returncode == 1
    assert finished.stderr == f"error: Nothing runs in {tmp_path}; `make up` starts the local cloud.\n"
    assert finished.stdout == ""


def test_command_says_that_it_is_starting(tmp_path: Path) -> None:
    """A call that is too early gets an error."""
    with Claim(tmp_path, "up"):
        finished = local(tmp_path, "status")

    assert finished.returncode == 1
    assert "is still starting; try again in a moment." in finished.stderr


def test_command_that_needs_aws_says_that_serve_has_none(tmp_path: Path) -> None:
    """`make serve` has a database and no queues."""
    with Claim(tmp_path, "serve") as claim:
        claim.announce("http://127.0.0.1:8000", "postgresql+asyncpg://127.0.0.1/postgres")

        finished = local(tmp_path, "send", "{}")

    assert finished.returncode == 1
    assert "runs without AWS; this command needs `make up`." in finished.stderr


def test_logs_of_the_last_time_can_be_read(tmp_path: Path) -> None:
    """They stay until the next start; with nothing running there is nothing to follow."""
    entry = {"time": 1.5, "function": "decant-TaskWorker-1a2b", "environment": "e", "request": "r", "line": "Hello"}
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine/functions.jsonl").write_text(json.dumps(entry) + "\n")

    finished = local(tmp_path, "logs", "task_worker")

    assert finished.returncode == 0
    assert finished.stdout.endswith("TaskWorker Hello\n")


def test_logs_say_that_there_are_none(tmp_path: Path) -> None:
    """Before the first start, the error is one line."""
    finished = local(tmp_path, "logs")

    assert (finished.returncode, finished.stdout) == (1, "")
    assert finished.stderr.startswith(f"error: There are no logs in {tmp_path}; ")


def test_reset_forgets_the_data(tmp_path: Path) -> None:
    """Database and logs go; what else is in the folder stays."""
    for name in ("postgres/data", "engine", "mine"):
        (tmp_path / name).mkdir(parents=True)

    finished = local(tmp_path, "reset")

    assert finished.returncode == 0
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "running.json"}


def test_reset_refuses_while_it_runs(tmp_path: Path) -> None:
    """A database in use is not deleted."""
    (tmp_path / "postgres").mkdir()
    with Claim(tmp_path, "up"):
        finished = local(tmp_path, "reset")

    assert finished.returncode == 1
    assert finished.stderr.startswith("error: `up` (process ")
    assert (tmp_path / "postgres").exists()


def test_detached_start_leaves_one_that_runs_alone(tmp_path: Path) -> None:
    """It is refused before it touches anything, the other's output above all."""
    (tmp_path / "up.log").write_text("kept")
    with Claim(tmp_path, "up"):
        finished = local(tmp_path, "up", "--detach")

    assert finished.returncode == 1
    assert finished.stderr.startswith("error: `up` (process ")
    assert (tmp_path / "up.log").read_text() == "kept"


def test_down_is_content_when_nothing_runs(tmp_path: Path) -> None:
    """What it is for is the case already."""
    finished = local(tmp_path, "down")

    assert (finished.returncode, finished.stdout) == (0, f"Nothing runs in {tmp_path}.\n")
