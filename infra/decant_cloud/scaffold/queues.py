"""Add a queue with its worker, as copies of the default queue and its worker."""

import re
from pathlib import Path

from decant_cloud.errors import CommandError
from decant_cloud.scaffold import template_text
from decant_cloud.scaffold.files import check_name, write
from decant_cloud.scaffold.functions import BUDGETS, with_budget
from decant_cloud.template.model import logical_id

__all__ = ["add_queue", "without_queue"]

_APP = '''"""SQS: runs the tasks of the {name} queue."""

import domain.tasks  # noqa: F401  # registers the tasks with the worker
from decant.worker import lambda_handler

handler = lambda_handler()
'''

_TEST = '''"""The worker of the {name} queue through its handler."""

from decant_cloud.invocation import Context, ReadEvent, load_function


def test_{name}_worker_deletes_messages_of_unknown_tasks(database_url: str, event: ReadEvent) -> None:
    """A message whose task does not exist is not delivered again."""
    result = load_function("{name}_worker").handler(event("{name}_worker"), Context())

    assert (database_url != "", result) == (True, {{"batchItemFailures": []}})
'''


def add_queue(root: Path, name: str) -> list[Path]:
    """Add a queue for `@task(queue=…)`, with a function that runs its tasks.

    Returns:
        Every file that was written.

    Raises:
        CommandError: The name is taken or invalid; nothing was written.
    """
    check_name(name)
    template = root / "template.yaml"
    text, prefix, worker = template.read_text(), logical_id(name), f"{name}_worker"
    if template_text.block(text, f"{prefix}Queue"):
        raise CommandError(f"template.yaml has a queue {prefix}Queue. Choose another name.")
    model = re.search(r"^  (\w+):(?:(?!^  \w).*\n)*? +Queue: !GetAtt DefaultQueue\.Arn", text, re.MULTILINE)
    if model is None:
        raise CommandError("template.yaml has no function for DefaultQueue, from which the worker could be copied.")
    blocks = [
        template_text.block(text, each) for each in ("DefaultQueue", "DefaultQueueStack", model[1], f"{model[1]}Alarms")
    ]
    new = template_text.rename("".join(blocks), "Default", prefix)
    new = template_text.rename(new, model[1], f"{prefix}Worker")
    new = new.replace("-default", f"-{name}").replace("default queue", f"{name} queue")
    new = re.sub(r"CodeUri: functions/\w+/", f"CodeUri: functions/{worker}/", new)
    last = f"{model[1]}Alarms" if blocks[-1] else model[1]
    text = template_text.insert_after(text, last, new)
    text = re.sub(r"(TASK_QUEUE_URLS: !Sub .*)$", rf"\1,{name}=${{{prefix}Queue}}", text, flags=re.MULTILINE)
    event = (root / "events/task_worker.json").read_text().replace(':default"', f':{name}"')
    return write(
        {
            root / f"functions/{worker}/app.py": _APP.format(name=name),
            root / f"events/{worker}.json": event,
            root / f"tests/functions/test_{worker}.py": _TEST.format(name=name),
        },
        {
            template: text,
            root / BUDGETS: with_budget((root / BUDGETS).read_text(), worker, ["inputs", "database", "schedules"]),
        },
    )


def without_queue(text: str, name: str) -> str:
    """The template's text without a queue whose worker is removed."""
    queue = f"{logical_id(name)}Queue"
    for each in (f"{queue}Stack", queue):
        text = template_text.drop(text, each)
    text = template_text.drop(text, f"{queue}Url", "Outputs")
    return text.replace(f",{name}=${{{queue}}}", "")
