"""Add a task, and a task with a schedule: its function and a test that passes."""

import ast
import json
import re
from pathlib import Path

from decant_cloud.errors import CommandError
from decant_cloud.scaffold.files import check_name, write

__all__ = ["add_task", "startable_task"]

MODULE = "shared/domain/tasks.py"

_TASK = '''

@task({options})
async def {name}() -> str:
    """Return the task's name, as an example."""
    return "{name}"
'''

_TEST = '''"""The task `{name}`."""

from decant.testing import Broker
from domain.tasks import {name}


async def test_{name}_returns_its_result(tasks: Broker) -> None:
    """A run completes the task."""
    job = await {name}.delay()

    await tasks.run()

    assert await job.result == "{name}"
'''


def add_task(root: Path, name: str, schedule: str | None = None) -> list[Path]:
    """Add a task to `domain/tasks.py`, with a test.

    Args:
        root: Folder of the bundle.
        name: Name of the task's function.
        schedule: Seconds between two runs, or five fields of cron; without it, `delay()` starts the task.

    Returns:
        Every file that was written.

    Raises:
        CommandError: The name is taken or invalid, or the schedule is not one; nothing was written.
    """
    check_name(name)
    module = root / MODULE
    text = module.read_text()
    if re.search(rf"\b{name}\b", text):
        raise CommandError(f"{MODULE} contains {name}. Choose another name.")
    exported = re.search(r"^__all__ = (\[[^\]]*\])$", text, re.MULTILINE)
    imported = re.search(r"^from decant\.tasks import (.+)$", text, re.MULTILINE)
    if exported is None or imported is None:
        raise CommandError(f'{MODULE} needs a line "from decant.tasks import task" and a list __all__ of its tasks.')
    options = "max_retries=3, retry_backoff=True"
    if schedule is not None:
        kind, value = _schedule(schedule)
        names = sorted({*re.split(r",\s*", imported[1]), kind})
        text = text.replace(imported[0], f"from decant.tasks import {', '.join(names)}")
        options = f"schedule={kind}({value}), {options}"
    listed = json.dumps(sorted([*ast.literal_eval(exported[1]), name]))
    text = text.replace(exported[0], f"__all__ = {listed}") + _TASK.format(name=name, options=options)
    return write({root / f"tests/functions/test_task_{name}.py": _TEST.format(name=name)}, {module: text})


def startable_task(root: Path) -> str:
    """Name of the first task that needs no arguments.

    Raises:
        CommandError: There is none.
    """
    for node in ast.parse((root / MODULE).read_text()).body:
        if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef) and node.decorator_list:
            arguments = node.args
            required = len(arguments.posonlyargs + arguments.args) - len(arguments.defaults)
            if not required and None not in arguments.kw_defaults:
                return node.name
    raise CommandError(f"{MODULE} has no task without required arguments. Add one: decant new task send_report")


def _schedule(text: str) -> tuple[str, str]:
    """The name of the schedule's function, and its argument."""
    if re.fullmatch(r"[1-9]\d*", text):
        return "every", text
    if len(text.split()) == 5:  # noqa: PLR2004  # fields of cron
        return "cron", json.dumps(text)
    raise CommandError(
        f'{text!r} is not a schedule. Write whole seconds, as 300, or five fields of cron, as "0 3 * * *".'
    )
