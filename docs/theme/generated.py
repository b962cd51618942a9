"""Adds generated pages to the site: the help texts of `decant`, as they are printed, and the README's settings."""

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import click
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

COMMANDS = "reference/commands.md"
SETTINGS = "reference/settings.md"
WIDTH = 100
"""Columns of the help texts."""


def on_files(files: "Files", config: "MkDocsConfig") -> "Files":
    """Add the pages; mkdocs calls this once per build. The bundle's own environment writes that of the commands."""
    from mkdocs.structure.files import File  # noqa: PLC0415  # the environment that writes the page lacks mkdocs

    root = Path(config.config_file_path).parent
    commands = subprocess.run([root / ".venv/bin/python", __file__], capture_output=True, text=True, check=True).stdout
    _, _, settings = (root / "README.md").read_text().replace("](docs/", "](../").partition("\n## Configuration\n")
    files.append(File.generated(config, COMMANDS, content=commands))
    files.append(File.generated(config, SETTINGS, content=f"# Settings\n{settings.partition('\n## ')[0]}\n"))
    return files


def on_page_markdown(markdown: str, **_page: object) -> str:
    """Lead links to the README, which is not part of the site, to the page of the settings."""
    return markdown.replace("](../README.md)", f"]({SETTINGS})")


def print_commands() -> None:
    """Print the page of the commands: a section for each command, and for each command of a group."""
    from decant_cloud.cli import cli  # noqa: PLC0415  # of the bundle's environment

    print("# Commands\n\nThe targets of the Makefile, which `make help` lists, call these commands.")
    for level, path, text in help_texts(cli, "decant", 2):
        print(f"\n{'#' * level} {path}\n\n```text\n{text}\n```")


def help_texts(group: "click.Group", path: str, level: int) -> "Iterator[tuple[int, str, str]]":
    """The level of the heading, the command and its help text, for each command of a group."""
    import click  # noqa: PLC0415

    parent = click.Context(group, info_name=path, terminal_width=WIDTH)
    for name, command in group.commands.items():
        context = click.Context(command, parent=parent, info_name=name, terminal_width=WIDTH)
        yield level, f"{path} {name}", command.get_help(context)
        if isinstance(command, click.Group):
            yield from help_texts(command, f"{path} {name}", level + 1)


if __name__ == "__main__":
    sys.exit(print_commands())
