"""Where a task is defined: workers must be able to import its module."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from decant import config
from decant.celery.exceptions import ImproperlyConfigured

__all__ = ["check"]


@config.settings_group
class _FunctionSettings:
    """Place of a Lambda function's own code."""

    task_root: str = config.setting("LAMBDA_TASK_ROOT", config.text, "Set by Lambda", default="")


def check(function: Callable[..., Any], name: str) -> None:
    """Check that the function is in a module that workers can import.

    Raises:
        ImproperlyConfigured: it is in the code of a Lambda function, which other functions cannot import.
    """
    path = getattr(sys.modules.get(function.__module__), "__file__", None)
    if path is None:
        return  # a script without a file, a shell, or a function of Python itself
    root = config.load(_FunctionSettings).task_root
    in_function = bool(root) and Path(path).is_relative_to(root)
    if in_function or (Path(path).name == "app.py" and Path(path).parent.parent.name == "functions"):
        raise ImproperlyConfigured(
            f"The task {name} is defined in {path}, which belongs to one Lambda function: workers cannot import it. "
            "Move the task and its Celery app to a module in shared/domain, add it to TASK_MODULES, and import it "
            "in app.py: `from domain.views import app; handler = lambda_handler(app)`."
        )
