"""What the commands share: how their bodies are imported, and the options that several of them have."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from decant_cloud import signals
from decant_cloud.paths import state as state_folder

__all__ = ["INTERRUPTED", "STAGE", "STATE", "Group", "call", "cli", "end", "option", "port"]

INTERRUPTED = 130
"""Exit status after Ctrl-C, as of a shell."""


class Group(click.Group):
    """Commands in the order of their definition, under the titles of the modules that define them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # the signature is click's
        """Names of the commands."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # as above
        """Write the commands with the whole first sentence of their help."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, command in self.commands.items():
            title = sys.modules[command.callback.__module__].__doc__ or ""
            sections.setdefault(title.partition("\n")[0].rstrip("."), []).append(
                (name, command.get_short_help_str(_WHOLE_SENTENCE))
            )
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows)


_WHOLE_SENTENCE = 200


def call(body: str, **options: Any) -> int:
    """Import a command's module and call its `run`, with the options as keyword arguments.

    Returns:
        Exit status: what `run` returns, 0 for None.
    Raises:
        CommandError: the command failed, with a message of one line.
    """
    module = importlib.import_module(f"decant_cloud.{body}")
    signals.interrupt()
    try:
        return module.run(**options) or 0
    except KeyboardInterrupt:
        return INTERRUPTED


def port(default: int, variable: str = "PORT", about: str = "TCP port on 127.0.0.1.") -> Callable[..., Any]:
    name = f"--{variable.lower().replace('_', '-')}"
    return click.option(
        name, envvar=variable, type=click.IntRange(1, 65535), default=default, metavar="PORT", help=about,
        show_default=True, show_envvar=True,
    )  # fmt: skip


def option(*names: str, variable: str | None = None, **attributes: Any) -> Callable[..., Any]:
    """An option that its environment variable can set too."""
    return click.option(*names, envvar=variable, show_envvar=variable is not None, **attributes)


STATE = click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    default=state_folder,
    show_default=".decant/local",
    metavar="FOLDER",
    help="Folder of the local cloud, with its database.",
)
STAGE = click.argument("stage", envvar="STAGE", default="local")


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
def cli() -> None:
    """Develop, check and deploy a bundle of Flask functions.

    The bundle is the folder of template.yaml: the current one, one above it, or DECANT_BUNDLE.
    """


def end(status: int, *, silently: bool = False) -> int:
    """Exit status of a command that runs until it is interrupted."""
    if status != INTERRUPTED:
        return status
    if not silently:
        print("Stopped.")
    return 0
