"""Commands in the README and the pages of `docs/`: they exist, and a test executes each of them."""

import re
import shlex
from fnmatch import fnmatchcase
from pathlib import Path

import click
import pytest

from decant_cloud.cli import cli
from tests.documented import PAGES, SKELETON, commands, inline_commands
from tests.loading import ROOT

EXECUTED = {
    "make up": "e2e/clones.py::running_clone",
    "make up DETACH=1": "e2e/test_local_up.py::test_detached_one_stays_until_down_and_serve_goes_on_with_its_data",
    "make up DEBUG=users_create": "e2e/test_local_clone.py::test_debugged_function_stops_at_breakpoints",
    "PORT=4600 make up": "e2e/test_local_up.py::test_interrupt_and_kill_leave_nothing",
    "make down": "e2e/test_local_up.py::test_detached_one_stays_until_down_and_serve_goes_on_with_its_data",
    "make serve": "e2e/test_local_up.py::test_serve_uses_the_database_that_runs",
    "make status": "e2e/test_local_commands.py::test_status_tells_what_runs_and_where",
    "make logs*": "unit/test_local_commands.py::test_logs_of_the_last_time_can_be_read",
    "make invoke FUNCTION=users_create": "e2e/test_local_commands.py::test_invoke_prints_the_answer_alone",
    "make invoke FUNCTION=users_get EVENT=*": "e2e/test_local_commands.py::test_invoke_takes_an_event",
    "make send *": "e2e/test_local_commands.py::test_sent_message_arrives_and_is_logged",
    "make psql": "e2e/test_local_commands.py::test_psql_runs_sql",
    "make reset": "unit/test_local_commands.py::test_reset_forgets_the_data",
    "make bundle *": "integration/test_new_bundle.py::bundle",
    "*decant new *": "integration/test_new_bundle.py::bundle",
    "decant pour *": "parity.py::pour",
    "*decant flask *": "e2e/test_local_commands.py::test_flask_runs_a_command_of_the_application",
    "decant remove function *": "integration/test_new_bundle.py::bundle",
    "decant upgrade *": "integration/test_new_bundle.py::test_upgrade_merges_the_skeleton_and_keeps_what_is_the_owners",
    "decant tasks *": "integration/test_console.py::test_commands_list_show_and_change_tasks",
    "pip install *": "integration/test_wheel.py::make_environment",
    "curl *": "e2e/test_documented_requests.py::test_requests_of_the_readme_get_the_responses_that_it_shows",
    "[ET][A-Z]*=*": "e2e/test_documented_requests.py::test_requests_of_the_readme_get_the_responses_that_it_shows",
}
"""Tests that execute the commands of the pages' blocks, by pattern."""

NOT_EXECUTED = {
    "make test": "it runs the tests",
    "make e2e *": "it runs the tests",
    "make up ENGINE=localemu": "`make e2e-localemu` runs the tests of `make up` on this engine",
    "ENGINE=localemu make up": "`make e2e-localemu` runs the tests of `make up` on this engine",
    "make bench-local": "it measures, for minutes",
    "cd ../myshop": "the tests use another folder",
    "URL=*": "the tests use another port",
    "export AWS_DEFAULT_REGION=*": "it is for commands that need an AWS account",
    "aws *": "it needs an AWS account",
}
"""Reasons why no test executes a command."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_documented_command_exists(page: Path) -> None:
    """Each target is in the Makefile, and each command line of `decant` has a command and options that exist."""
    makefile = (SKELETON if page.is_relative_to(SKELETON) else ROOT) / "Makefile"
    targets = set(re.findall(r"^([a-z0-9-]+):", makefile.read_text(), re.MULTILINE))

    faults = []
    for line in [*commands(page), *inline_commands(page)]:
        words = shlex.split(re.sub("<.*?>", "…", line).split("|")[0])
        if "make" in words:
            names = [word for word in words[words.index("make") + 1 :] if re.fullmatch(r"[a-z][a-z0-9-]*", word)]
            faults += [f"{line}: no target {name}" for name in names if name not in targets]
        elif words[0].endswith("decant"):
            faults += _usage_errors(line, words[1:])

    assert faults == []


def _usage_errors(line: str, arguments: list[str]) -> list[str]:
    """What the command line rejects; a command without arguments, in a text, stands for all of its uses."""
    command: click.Command = cli
    context: click.Context | None = None
    try:
        while isinstance(command, click.Group):
            context = click.Context(command, parent=context)
            if not arguments or not arguments[0].islower():  # decant COMMAND
                return []
            _name, found, arguments = command.resolve_command(context, arguments)
            command = found or command
        if arguments:
            command.make_context(command.name, arguments, parent=context)
    except click.UsageError as error:
        if isinstance(error, click.BadParameter) and not isinstance(error, click.MissingParameter):
            return []  # the value stands for another one: FOLDER
        return [f"{line}: {error.format_message()}"]
    return []


def test_documented_commands_are_executed_by_tests() -> None:
    """A new command in a block needs a test, or a reason why there is none."""
    found = {line for page in PAGES for line in commands(page)}
    patterns = {**EXECUTED, **NOT_EXECUTED}

    without = {line for line in found if not any(fnmatchcase(line, pattern) for pattern in patterns)}
    unused = {pattern for pattern in patterns if not any(fnmatchcase(line, pattern) for line in found)}

    assert (without, unused) == (set(), set())
    named = (each.split("::") for each in EXECUTED.values())
    assert [name for file, name in named if f"def {name}(" not in (ROOT / "tests" / file).read_text()] == []
