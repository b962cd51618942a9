"""What may stand behind `python -m decant_cloud.local`; each command is a module of `local/commands`."""

import argparse
import os
import re
from pathlib import Path

from decant_cloud.paths import state

__all__ = ["parser"]

LAST_PORT = 65_535


def parser() -> argparse.ArgumentParser:
    """The command line of every command."""
    more = "Each is a make target too (`make help`); docs/local-cloud.md tells more."
    made = argparse.ArgumentParser(
        prog="python -m decant_cloud.local", description="The bundle's local cloud.", epilog=more
    )
    commands = made.add_subparsers(dest="command", required=True, metavar="command")

    def command(name: str, help_line: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=help_line, description=help_line[0].upper() + help_line[1:] + ".")
        folder = "folder of the local cloud, with its database (.decant/local)"
        added.add_argument("--state", metavar="FOLDER", type=Path, default=state(), help=folder)
        return added

    up = command("up", "start the local cloud and deploy the bundle to it; Ctrl-C stops it")
    _add_port(up, 4566)
    up.add_argument(
        "--debug", metavar="FUNCTION", help="let this function wait for a debugger: users_create, or UsersCreate"
    )
    _add_port(up, 5678, "DEBUG_PORT", "where it waits")
    stack = os.environ.get("STACK") or "decant"
    up.add_argument(
        "--stack",
        metavar="NAME",
        type=_stack,
        default=stack,
        help="name of the stack that is deployed (STACK, or decant)",
    )
    up.add_argument("--detach", action="store_true", help="return once it is up; `down` stops it")
    up.add_argument("--detached", action="store_true", help=argparse.SUPPRESS)  # what `--detach` starts
    command("down", "stop what `up` or `serve` has started, wherever that was")
    _add_port(command("serve", "serve the same functions as one ASGI app under Hypercorn, without AWS"), 8000)
    command("status", "tell what runs, where and since when, with every route")
    _add_logs(command("logs", "show what the functions log, and go on while they do"))
    _add_invoke(command("invoke", "invoke a function and print its answer"))
    _add_send(command("send", "send a message to a queue"))
    _add_psql(command("psql", "open psql on the database"))
    command("reset", "forget the database's data; the next `up` starts anew")
    _add_new(commands.add_parser("new", help="add a function or a task, with test and event"))
    return made


def _stack(text: str) -> str:
    if not re.fullmatch("[a-z][a-z0-9]{0,19}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name for a stack; write small letters and digits")
    return text


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; write one from 1 to {LAST_PORT}")
    return int(text)


def _add_port(command: argparse.ArgumentParser, port: int, variable: str = "PORT", what: str = "port") -> None:
    default = os.environ.get(variable) or str(port)  # as text, so that argparse tells what is wrong with it
    option = "--" + variable.lower().replace("_", "-")
    told = f"{what} on 127.0.0.1 ({variable}, or {port})"
    command.add_argument(option, metavar="PORT", type=_port, default=default, help=told)


def _add_logs(command: argparse.ArgumentParser) -> None:
    command.add_argument("function", nargs="?", help="only this one: users_create, or UsersCreate")
    command.add_argument("--since", metavar="WHEN", help="only from then on: 90s, 10m, 2h, 14:30, 2026-11-22T14:30")
    command.add_argument("--json", action="store_true", help="an object a line, for other programs")
    command.add_argument("--no-follow", dest="follow", action="store_false", help="end with the last line there is")


def _add_invoke(command: argparse.ArgumentParser) -> None:
    command.add_argument("function", help="users_create, or UsersCreate")
    command.add_argument("-e", "--event", metavar="EVENT", help="a JSON file, or JSON itself (events/<function>.json)")


def _add_send(command: argparse.ArgumentParser) -> None:
    command.add_argument("message", help="its body")
    command.add_argument("--queue", default="default", help="which one: default, or DefaultQueue (default)")


def _add_psql(command: argparse.ArgumentParser) -> None:
    command.add_argument("-c", "--sql", metavar="SQL", help="run this and end")


def _add_new(command: argparse.ArgumentParser) -> None:
    kinds = command.add_subparsers(dest="kind", required=True, metavar="kind")
    function = kinds.add_parser("function", help="folder, part of template.yaml, event, test and import budget")
    function.add_argument("name", help="of its folder: users_export")
    function.add_argument("--route", required=True, help='method and path: "GET /users/export"')
    like = "function whose part of template.yaml is copied: task_status has a database (async_response)"
    function.add_argument("--like", default="async_response", metavar="FUNCTION", help=like)
    task = kinds.add_parser("task", help="task in shared/domain/tasks.py, and its test")
    task.add_argument("name", help="of its Python function: export_users")
