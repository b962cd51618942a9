"""Signals of a command: while it imports, they end the process; while it works, they raise KeyboardInterrupt."""

import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

__all__ = ["exit_at_once", "interrupt"]

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def exit_at_once() -> None:
    """Let a signal end the process without a traceback, with the exit status of a shell: 128 plus its number."""
    _handle(lambda number, _frame: os._exit(128 + number))


def interrupt() -> None:
    """Let the first signal raise KeyboardInterrupt; further ones are ignored while the command stops its parts."""
    _handle(_raise)


def _raise(_number: int, _frame: FrameType | None) -> NoReturn:
    for number in _NUMBERS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _handle(handler: Callable[[int, FrameType | None], NoReturn]) -> None:
    for number in _NUMBERS:
        signal.signal(number, handler)
