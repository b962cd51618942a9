"""Celery code runs in a script, a shell, a thread, views and tasks, with only its import changed."""

import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from flask import Flask

from decant import loop, runtime
from decant.tasks import AsyncResult
from decant.web import lambda_handler
from decant.worker.execution import Deadline
from decant.worker.runner import Runner
from tests.celery_worker import python, worker
from tests.loading import Context, rest_request

pytestmark = pytest.mark.usefixtures("database_url")

MODULE = """
from decant.celery import Celery            # was: from celery import Celery
celery = Celery("tasks", broker="redis://localhost:6379/0", backend="redis://localhost:6379/0")

from flask import Flask
app = Flask(__name__)

@celery.task
def long_task():
    import time
    time.sleep(0.01)
    return "Task Completed"

@celery.task
def outer():
    return long_task.delay().id

@celery.task
async def asynchronous():
    return (await long_task.delay()).id

@app.route("/start-task")
def start_task():
    task = long_task.delay()
    return {"task_id": task.id}

@app.route("/start-task-async")
async def start_task_async():
    task = long_task.delay()
    return {"task_id": task.id}

@app.route("/start-task-awaited")
async def start_task_awaited():
    task = await long_task.delay()
    return {"task_id": task.id}
"""


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_celery_apps: None) -> Iterator[ModuleType]:
    """The module, imported as `celery_demo`."""
    del new_celery_apps
    (tmp_path / "celery_demo.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    import celery_demo  # type: ignore[import-not-found]

    yield celery_demo
    del sys.modules["celery_demo"]


async def run_due() -> None:
    """Run the due tasks until none is due."""
    async with Runner(Deadline(60), 60) as runner:
        while await runner.run_due(10):
            pass


@pytest.mark.parametrize("path", ["/start-task", "/start-task-async", "/start-task-awaited"])
def test_view_starts_a_task(tasks: ModuleType, path: str) -> None:
    """A synchronous view, and an asynchronous view with and without `await`, start a task in a Lambda function."""
    handler = lambda_handler(tasks.app)

    response = handler(rest_request(path), Context())

    task_id = Flask(__name__).json.loads(response["body"])["task_id"]
    loop.run(run_due())
    assert loop.run(AsyncResult(task_id).get(timeout=10)) == "Task Completed"


@pytest.mark.parametrize("name", ["outer", "asynchronous"])
def test_task_starts_a_task(tasks: ModuleType, name: str) -> None:
    """A synchronous task starts another task, and so does an asynchronous one."""
    result = getattr(tasks, name).delay()

    loop.run(run_due())

    inner = tasks.celery.AsyncResult(result.get(timeout=10))
    loop.run(run_due())
    assert inner.get(timeout=10) == "Task Completed"


def test_thread_starts_a_task(tasks: ModuleType) -> None:
    """Several threads start tasks at once."""
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(tasks.long_task.delay().id)) for _ in range(5)]
    context = [runtime.current()]

    def start(thread: threading.Thread) -> None:
        with context[0].active():
            thread.start()

    for thread in threads:
        start(thread)
    for thread in threads:
        thread.join()

    assert len(set(found)) == len(threads)


def test_addresses_are_logged_once(tasks: ModuleType, caplog: pytest.LogCaptureFixture, kept_logs: None) -> None:
    """The URLs of broker and result backend have no effect, and one line states where tasks are stored."""
    del kept_logs
    with caplog.at_level(logging.INFO, "decant.celery"):
        tasks.long_task.delay()
        tasks.long_task.delay()

    assert [record.message for record in caplog.records if "DATABASE_URL" in record.message] == [
        "Tasks and results are stored in PostgreSQL, at DATABASE_URL; the URLs of broker and backend are not used"
    ]


@pytest.mark.long
def test_script_and_shell_start_tasks_of_a_worker(tmp_path: Path, database_url: str) -> None:
    """A script, also the module of the tasks itself, and an interactive shell start tasks that a worker runs."""
    (tmp_path / "tasks.py").write_text(
        MODULE + "\nif __name__ == '__main__':\n    print(long_task.name, long_task.delay().get(timeout=60))\n"
    )
    (tmp_path / "script.py").write_text("import tasks\nprint(tasks.long_task.delay().get(timeout=60))\n")
    shell = "from tasks import long_task\ntask = long_task.delay()\ntask.get(timeout=60)\n"
    variables = {"DATABASE_URL": database_url}

    with worker(tmp_path, TASK_MODULES="tasks", **variables):
        itself = python(tmp_path, "tasks.py", **variables)
        script = python(tmp_path, "script.py", **variables)
        typed = python(tmp_path, "-i", stdin=shell, **variables)

    assert itself.split("\n")[-2] == "tasks.long_task Task Completed"
    assert script.split("\n")[-2] == "Task Completed"
    assert "'Task Completed'" in typed


def test_task_in_the_module_of_a_function_is_refused(tmp_path: Path) -> None:
    """A task that is defined in a function's `app.py` raises an error that names where to define it."""
    folder = tmp_path / "functions" / "start"
    folder.mkdir(parents=True)
    (folder / "app.py").write_text("from decant.celery import Celery\n@Celery('x').task\ndef work(): ...\n")
    check = "import sys, runpy; sys.path[0:0] = ['.']\ntry: import app\nexcept Exception as error: print(error)"

    output = python(folder, "-c", check)

    assert "belongs to one Lambda function" in output
    assert "Move the task and its Celery app to a module in shared/" in output
    assert "TASK_MODULES" in output
