"""A new task: its function and its test, which passes at once."""

import ast
import json
import re
from pathlib import Path

from decant_cloud.local.errors import LocalCloudError
from decant_cloud.scaffold.files import check_name, write

__all__ = ["add_task"]

_TASK = '''

@task(max_retries=3, retry_backoff=True)
async def {name}() -> str:
    """Work that is yet to be written."""
    return "{name}"
'''

_TASK_TEST = '''"""The task `{name}`."""

from decant.testing import eager
from domain.tasks import {name}


async def test_{name}_gives_its_result() -> None:
    """It runs to its end."""
    with eager():
        job = await {name}.delay()

        assert await job.result == "{name}"
'''


def add_task(root: Path, name: str) -> list[Path]:
    """Add a task to `domain/tasks.py`, with a test.

    Returns:
        Every file that was written.

    Raises:
        LocalCloudError: there is such a name already, or it is none; nothing was written.
    """
    check_name(name)
    module = root / "shared/domain/tasks.py"
    text = module.read_text()
    if re.search(rf"\b{name}\b", text):
        raise LocalCloudError(f"{module} has {name} already; take another name.")
    exported = re.search(r"^__all__ = (\[[^\]]*\])$", text, re.MULTILINE)
    if exported is None:
        raise LocalCloudError(f"{module} has no list __all__ of its tasks.")
    names = json.dumps(sorted([*ast.literal_eval(exported[1]), name]))
    changed = text[: exported.start(1)] + names + text[exported.end(1) :] + _TASK.format(name=name)
    return write({root / f"tests/integration/test_task_{name}.py": _TASK_TEST.format(name=name)}, {module: changed})
