"""The local cloud's commands: `python -m infra.local --help`."""

import argparse
import importlib
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

from rich.console import Console

from infra.local.errors import LocalCloudError

STATE = Path(__file__).resolve().parents[2] / ".decant/local"
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """Run one command; returns the exit status."""
    arguments = _parser().parse_args()
    console = Console(file=sys.stdout)
    for number in STOPS:
        signal.signal(number, _interrupt)
    try:
        # Only now: each command imports a second's worth of packages that the others do not need.
        command = importlib.import_module(f"infra.local.commands.{arguments.command}")
        command.run(console, arguments)
    except LocalCloudError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        console.print("Stopped.")
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    """Stop in order; who is impatient does not make it stop half way."""
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.local", description="The bundle's local cloud.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    up = commands.add_parser("up", help="start the local cloud and deploy the bundle to it; Ctrl-C stops it")
    _add_common(up, port=4566)
    serve = commands.add_parser("serve", help="serve the same functions as one ASGI app under Hypercorn, without AWS")
    _add_common(serve, port=8000)
    return parser


def _add_common(parser: argparse.ArgumentParser, port: int) -> None:
    default = os.environ.get("PORT") or str(port)  # as text, so that argparse tells what is wrong with it
    parser.add_argument("--port", type=int, default=default, help=f"port on 127.0.0.1 (PORT, or {port})")
    parser.add_argument("--state", type=Path, default=STATE, help="folder that keeps the database (.decant/local)")


if __name__ == "__main__":
    sys.exit(main())
