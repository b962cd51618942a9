"""The local cloud's commands: `python -m infra.local --help`."""

import argparse
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

from rich.console import Console

from infra.local.cloud import ROOT
from infra.local.commands.up import up
from infra.local.errors import LocalCloudError

STATE = ROOT / ".decant/local"
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """Run one command; returns the exit status."""
    arguments = _parser().parse_args()
    console = Console()
    for number in STOPS:
        signal.signal(number, _interrupt)
    try:
        arguments.run(console, arguments)
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
    commands = parser.add_subparsers(required=True, metavar="command")
    starts = commands.add_parser("up", help="start the local cloud and deploy the bundle to it; Ctrl-C stops it")
    starts.add_argument(
        "--port",
        type=int,
        default=os.environ.get("PORT") or 4566,
        help="where the gateway listens on 127.0.0.1 (%(default)s)",
    )
    starts.add_argument("--state", type=Path, default=STATE, help="folder that keeps database and logs")
    starts.set_defaults(run=lambda console, given: up(console, given.state, given.port))
    return parser


if __name__ == "__main__":
    sys.exit(main())
