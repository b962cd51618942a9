"""The local cloud's commands: `python -m decant_cloud.local --help`."""

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """Run one command; returns the exit status."""
    _on_stop(_quit)
    # From here on: each import takes up to a second, and a signal may come meanwhile.
    import importlib  # noqa: PLC0415

    from rich.console import Console  # noqa: PLC0415

    from decant_cloud.local.arguments import parser  # noqa: PLC0415
    from decant_cloud.local.errors import LocalCloudError  # noqa: PLC0415
    from decant_cloud.local.terminal import printable  # noqa: PLC0415

    arguments = parser().parse_args()
    console = Console(file=sys.stdout)
    command = importlib.import_module(f"decant_cloud.local.commands.{arguments.command}")
    try:
        _on_stop(_interrupt)
        command.run(console, arguments)
    except LocalCloudError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        if arguments.command in {"up", "serve"}:
            console.print("Stopped.")
    return 0


def _on_stop(handler: Callable[[int, FrameType | None], NoReturn]) -> None:
    for number in STOPS:
        signal.signal(number, handler)


def _quit(number: int, _frame: FrameType | None) -> NoReturn:
    """Exit at once, without a traceback of the imports that run: nothing has been started yet."""
    os._exit(128 + number)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    """Stop in order, and ignore further signals meanwhile."""
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
