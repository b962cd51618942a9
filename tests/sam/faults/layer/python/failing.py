"""Functions that fail, each in its way."""

import os
import time
from typing import Any, NoReturn


def raises(event: dict[str, Any], _context: object) -> NoReturn:
    """Raise an error that nothing handles."""
    raise ValueError(event["message"])


def exits(_event: dict[str, Any], _context: object) -> NoReturn:
    """End the process."""
    os._exit(3)


def sleeps(_event: dict[str, Any], _context: object) -> None:
    """Take longer than the function may."""
    time.sleep(30)
