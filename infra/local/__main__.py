"""The local cloud's commands: `python -m infra.local --help`."""

import importlib
import signal
import sys
from types import FrameType
from typing import NoReturn

from rich.console import Console

from infra.local.arguments import parser
from infra.local.errors import LocalCloudError

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """Run one command; returns the exit status."""
    arguments = parser().parse_args()
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
        if arguments.command in {"up", "serve"}:
            console.print("Stopped.")
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    """Stop in order; who is impatient does not make it stop half way."""
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
