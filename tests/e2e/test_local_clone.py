"""`make up` in another clone, beside the session's cloud: its files are edited, and one function is debugged."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from decant_cloud.local.postgres import free_port
from tests import dap
from tests.e2e.clones import Clone
from tests.e2e.commands import command
from tests.e2e.running import RunningCloud
from tests.e2e.test_background import wait_for


@pytest.fixture
def gateway(clone: Clone) -> Iterator[httpx.Client]:
    """A client of the clone's API."""
    with httpx.Client(base_url=clone.api_url, timeout=120) as client:
        yield client


def test_clouds_side_by_side_share_no_data(clone: Clone, gateway: httpx.Client, local_cloud: RunningCloud) -> None:
    """A user that one stores is unknown to the other, and each has ports of its own."""
    user = gateway.post("/users", json={"name": "Ada", "email": "ada@example.com"}).json()

    there = httpx.get(f"{local_cloud.api_url}/users/{user['id']}", timeout=120)

    assert user.items() >= gateway.get(f"/users/{user['id']}").json().items()
    assert there.status_code == 404
    assert not local_cloud.api_url.startswith(clone.api_url[: len("http://127.0.0.1:00000")])


MARK = """
@app.after_request
def mark(answer):
    answer.headers["X-Edited"] = "1"
    return answer


handler = """


def test_edited_function_is_live(clone: Clone, gateway: httpx.Client) -> None:
    """The next request runs what was saved."""
    clone.edit("functions/users_get/app.py", "handler = ", MARK)

    assert gateway.get("/users/1").headers["x-edited"] == "1"


def test_syntax_error_is_in_the_answer_and_the_terminal(clone: Clone, gateway: httpx.Client) -> None:
    """The terminal names the file and the line, for an editor to open."""
    clone.edit("functions/task_status/app.py", "import Flask", "import Flask(")

    answer = gateway.get("/tasks/1")

    assert answer.status_code == 502
    clone.up.wait_for(f'File "{clone.folder}/functions/task_status/app.py", line')
    clone.edit("functions/task_status/app.py", "import Flask(", "import Flask")
    assert gateway.get("/tasks/1").status_code == 404


CELERY = """
from flask import Flask
from decant.celery import Celery            # was: from celery import Celery
celery = Celery("tasks", broker="redis://localhost:6379/0", backend="redis://localhost:6379/0")
app = Flask(__name__)

@celery.task
def long_task():
    import time
    time.sleep(0.1)
    return "Task Completed"

@app.route("/start-task", methods=["POST"])
def start_task():
    task = long_task.delay()
    return {"task_id": task.id}
"""


@pytest.fixture(scope="module")
def celery_demo(clone: Clone) -> None:
    """A module with Celery code in the layer, a function with its view, and the function of the queue."""
    (clone.folder / "shared/domain/celery_demo.py").write_text(CELERY)
    clone.edit("functions/task_worker/app.py", "import domain.tasks ", "import domain.celery_demo, domain.tasks ")
    function = (
        "from domain.celery_demo import app\nfrom decant.web import lambda_handler\n\nhandler = lambda_handler(app)\n"
    )
    (clone.folder / "functions/start_task/app.py").write_text(function)


@pytest.mark.long
@pytest.mark.usefixtures("celery_demo")
def test_celery_code_runs_in_functions(clone: Clone, gateway: httpx.Client) -> None:
    """One function starts a task of Celery code, and the function of the queue runs it."""
    response = gateway.post("/start-task")

    assert response.status_code == 200, clone.up.printed[-4000:]
    task_id = response.json()["task_id"]
    wait_for(lambda: gateway.get(f"/tasks/{task_id}").json()["state"] == "SUCCESS", "The task")
    assert gateway.get(f"/tasks/{task_id}").json()["result"] == "Task Completed"


@pytest.mark.long
@pytest.mark.usefixtures("celery_demo")
def test_celery_code_runs_under_serve(clone: Clone, tmp_path: Path) -> None:
    """`make serve` runs the same view, and the task in the same process."""
    (tmp_path / "local").symlink_to(clone.folder / "local")
    port = free_port()
    modules = {"TASK_MODULES": "domain.celery_demo"}
    serve = command(tmp_path, "serve", "--port", str(port), root=clone.folder, **modules)
    serve.wait_for("Running on")

    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        task_id = client.post("/start-task").json()["task_id"]
        wait_for(lambda: client.get(f"/tasks/{task_id}").json()["state"] == "SUCCESS", "The task")
        result = client.get(f"/tasks/{task_id}").json()["result"]

    assert serve.stop() == 0
    assert result == "Task Completed"


def test_edited_template_is_live(clone: Clone, gateway: httpx.Client) -> None:
    """A new route is, a failure is reported while the old template serves, and the next save mends it."""
    deployed = clone.lines("Deployed in")
    queue = "\n  Wrong: {Type: AWS::SQS::Queue, Properties: {QueueName: no name}, DependsOn: UsersGet}\n"
    clone.edit("template.yaml", 'GET, Path: "/users/{user_id}"', 'GET, Path: "/people/{user_id}"')
    wait_for(lambda: clone.lines("Deployed in") > deployed, "The deployment")
    assert gateway.get("/people/1").headers["content-type"] == "application/problem+json"

    clone.edit("template.yaml", "\nGlobals:", f"{queue}\nGlobals:")
    clone.up.wait_for("what ran before runs on")
    clone.up.wait_for("Wrong: ")
    assert gateway.get("/people/1").headers["content-type"] == "application/problem+json"

    clone.edit("template.yaml", f"{queue}\nGlobals:", "\nGlobals:")
    clone.edit("template.yaml", 'Path: "/people/{user_id}"', 'Path: "/users/{user_id}"')
    wait_for(lambda: "x-correlation-id" in gateway.get("/users/1").headers, "The route")


@pytest.mark.long
def test_new_function_is_live(clone: Clone, gateway: httpx.Client) -> None:
    """The function is deployed while `make up` runs, also where another route's variable could be meant."""
    new = [sys.executable, "-m", "decant_cloud", "new", "function", "GET /users/export", "--name", "users_export"]

    subprocess.run(new, cwd=clone.folder, check=True, capture_output=True)

    wait_for(lambda: gateway.get("/users/export").status_code == 200, "The route")
    assert gateway.get("/users/export").json() == {"message": "users_export"}


def place(clone: Clone, path: str, code: str) -> tuple[Path, int]:
    """File and line of the first line with some code in it."""
    file = clone.folder / path
    return file, next(number for number, each in enumerate(file.read_text().splitlines(), 1) if code in each)


def test_debugged_function_stops_at_breakpoints(clone: Clone, gateway: httpx.Client) -> None:
    """An editor attaches with `.vscode/launch.json`; it stops where the user sees the line, in the layer too."""
    settings = {**dap.attach_settings(clone.folder), "connect": {"host": "127.0.0.1", "port": clone.debug_port}}
    function = place(clone, "functions/fetch_data/app.py", "slots = asyncio.Semaphore")
    layer = place(clone, "shared/decant/web/params.py", "lists = _list_fields(into)")
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(gateway.get, "/fetch-data?ids=1")
        clone.up.wait_for("waits for a debugger on")
        with dap.Debugger(clone.debug_port, *layer, settings) as editor:
            stops = [editor.stopped_at()]
            editor.break_at(*function)
            editor.go_on()
            stops.append(editor.stopped_at())
            editor.go_on()
            assert [each["id"] for each in answer.result(120).json()] == [1]

    assert stops == [(str(file), line) for file, line in (layer, function)]
