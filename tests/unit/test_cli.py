"""The command line of `decant`."""

import click
import pytest

from decant_cloud.cli import cli, run
from tests.loading import run_python


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["up", "--port", "99999"], "99999 is not in the range 1<=x<=65535", id="a port out of range"),
        pytest.param(["up", "--debug-port", "five"], "'five' is not a valid integer range", id="a word for a port"),
        pytest.param(["up", "--stack", "My-Stack"], "'My-Stack' is not a stack name", id="a stack's name"),
        pytest.param(["upp"], "No such command 'upp'", id="a command"),
        pytest.param(["down", "--now"], "No such option '--now'", id="an option"),
    ],
)
def test_command_line_with_an_error_prints_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line names the wrong value; the exit status is that of a usage error."""
    status = run(arguments)

    [line] = capsys.readouterr().err.splitlines()
    assert status == 2
    assert line.startswith("error: ")
    assert message in line


@pytest.mark.parametrize(
    "arguments",
    [["invoke"], ["send"], ["new", "function"], ["new", "task"], ["remove", "function"], ["aliases", "record"]],
)
def test_command_without_arguments_prints_usage_and_an_example(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing argument shows how the command is written."""
    status = run(arguments)

    usage, example, error = capsys.readouterr().err.splitlines()
    assert status == 2
    assert usage.startswith(f"Usage: decant {' '.join(arguments)} ")
    assert example.startswith("Example: ")
    assert error.startswith("error: Missing argument")


def test_up_takes_its_options_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `PORT=4600 STACK=mine make up` sets them."""
    for name, value in {"PORT": "4600", "DEBUG_PORT": "5700", "STACK": "mine"}.items():
        monkeypatch.setenv(name, value)

    given = cli.commands["up"].make_context("up", []).params

    assert (given["port"], given["debug_port"], given["stack"]) == (4600, 5700, "mine")


def test_every_command_has_an_example() -> None:
    """The help of a command ends with a command line that can be copied."""
    groups = [command for command in cli.commands.values() if isinstance(command, click.Group)]
    commands = [command for group in (cli, *groups) for command in group.commands.values()]

    assert [command.name for command in commands if "Example" not in (command.epilog or "")] == []


def test_help_imports_no_package_but_click() -> None:
    """The bodies of commands are imported when a command runs."""
    code = "import sys, decant_cloud.cli; print({'rich', 'yaml', 'boto3', 'decant'} & set(sys.modules))"

    assert run_python(code) == "set()\n"
