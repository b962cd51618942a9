"""The tutorial: every file and every command of the page, in order, with the output that the page shows."""

import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loading import ROOT

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]

PAGE = ROOT / "docs/tutorial.md"
BLOCK = re.compile(r"^```(?P<kind>\w+)(?P<options>[^\n]*)\n(?P<content>.*?)^```$", re.MULTILINE | re.DOTALL)
OPTION = re.compile(r'(\w+)="([^"]*)"')


class Shell:
    """A shell that keeps its folder and variables from one command to the next."""

    END = "--- end of the command ---"

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            ["bash"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def run(self, command: str) -> str:
        """Run a command that must succeed; returns its output."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f'{command}\nprintf "\\n%s %s\\n" "{self.END}" $?\n')
        self._process.stdin.flush()
        output = ""
        for line in self._process.stdout:
            if line.startswith(self.END):
                assert line.split()[-1] == "0", f"$ {command}\n{output}"
                return output.strip()
            output += line
        raise AssertionError(f"the shell ended: $ {command}\n{output}")

    def close(self) -> None:
        """End the shell."""
        self._process.terminate()
        self._process.communicate()


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A shell in a clone of the repository; the bundle's cloud stops after the test."""
    clone = tmp_path / "decant"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    opened = Shell(clone)
    try:
        yield opened
    finally:
        opened.close()
        if (tmp_path / "notes/.venv/bin/decant").exists():
            subprocess.run([".venv/bin/decant", "down"], cwd=tmp_path / "notes", check=False)


def test_tutorial_works_as_it_is_written(shell: Shell, tmp_path: Path) -> None:
    """All steps succeed, and print what the page shows."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    shell.run(f"export PORT={port}")  # of `make up` and `make deploy`

    for block in BLOCK.finditer(PAGE.read_text()):
        options = dict(OPTION.findall(block["options"]))
        if block["kind"] == "console":
            for command, expected in steps(block["content"].replace("4566", str(port))):
                printed = shell.run(command)
                assert matches(expected, printed), f"$ {command}\n{printed}\nexpected:\n{expected}"
        elif "after" in options:
            path = tmp_path / "notes" / options["title"]
            before, found, rest = path.read_text().partition(f"\n{options['after']}\n")
            assert found, options
            path.write_text(f"{before}{found}{block['content']}{rest}")
        elif "title" in options:
            (tmp_path / "notes" / options["title"]).write_text(block["content"])


def steps(console: str) -> Iterator[tuple[str, str]]:
    """The commands of a block, each with the output that is shown below it."""
    for step in console.removeprefix("$ ").split("\n$ "):
        command, _, output = step.partition("\n")
        yield command, output.strip()


def matches(expected: str, printed: str) -> bool:
    """Whether an output is as expected, where `…` stands for any text; a page may show no output."""
    pattern = ".*".join(re.escape(part.strip("\n")) for part in expected.split("…"))
    return not expected or re.fullmatch(pattern, printed, re.DOTALL) is not None
