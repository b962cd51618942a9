"""`make up` as a person uses it: what it prints works as printed, and it leaves nothing behind."""

import json
import re
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import psutil
import psycopg
import pytest

from decant_cloud.local.endpoints import endpoints
from decant_cloud.local.engine_server import chosen
from decant_cloud.local.postgres import free_port
from decant_cloud.local.state import running
from decant_cloud.template.model import Template
from tests.e2e.browser import wait_until
from tests.e2e.clones import Clone
from tests.e2e.commands import STARTED_WITHIN_S, Command, command, left_of
from tests.loading import ROOT


def postgres(started: Command) -> psutil.Process:
    """The main process of a command's database."""
    return next(each for each in started.children() if each.name() == "postgres" and each.ppid() == started.process.pid)


def running_in(folder: Path) -> list[psutil.Process]:
    """Every process that has a path below a folder on its command line."""
    return [each for each in psutil.process_iter() if any(str(folder) in part for part in _arguments(each))]


def _arguments(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def curl_lines(printed: str) -> dict[str, str]:
    """The printed curl line of each route, by method and path."""
    return dict(re.findall(r"^([A-Z]+ /\S*) \w+\n(curl .*)$", printed, re.MULTILINE))


def run(line: str) -> str:
    """Run a line as a person does who copies it into a shell."""
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=120, check=True).stdout


@pytest.fixture
def state() -> Iterator[Path]:
    """A state folder of this test's own, which PostgreSQL's own user gets through when we are root."""
    with tempfile.TemporaryDirectory(prefix="decant-up-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def up(clone: Clone) -> Command:
    """`make up`, ready, for tests that look at its terminal and call its routes."""
    return clone.up


def test_every_route_is_printed(up: Command) -> None:
    """Each route of the template has a curl line, on one line however narrow the terminal; the console has its URL."""
    routes = {f"{each.method} {each.path}" for each in endpoints(Template(ROOT)) if each.function != "Console"}
    [(url, token)] = re.findall(r"^(http\S+/console)#token=(\S+)$", up.printed, re.MULTILINE)

    overview = httpx.get(f"{url}/api/overview", headers={"Authorization": f"Bearer {token}"}, timeout=30)

    assert set(curl_lines(up.printed)) == routes
    assert (httpx.get(url, timeout=30).status_code, overview.status_code) == (200, 200)


def test_printed_async_line_works(up: Command) -> None:
    """The line prints the response of the README."""
    assert run(curl_lines(up.printed)["GET /async"]) == "Async Response"


def test_printed_users_lines_work(up: Command) -> None:
    """A user is stored, and read back."""
    lines = curl_lines(up.printed)

    stored, read = json.loads(run(lines["POST /users"])), json.loads(run(lines["GET /users/{user_id}"]))

    assert stored["name"] == read["name"] == "Ada Lovelace"


def test_printed_task_lines_work(up: Command) -> None:
    """A task is started, and its state can be asked for."""
    lines = curl_lines(up.printed)

    started, state = json.loads(run(lines["POST /start-task"])), json.loads(run(lines["GET /tasks/{task_id}"]))

    assert set(started) == {"task_id"}
    assert state["state"] in {"PENDING", "STARTED", "SUCCESS"}


def test_logs_are_followed(up: Command) -> None:
    """What a function logs shows in the terminal."""
    started = json.loads(run(curl_lines(up.printed)["POST /start-task"]))
    line = f"Task succeeded task_id={started['task_id']}"

    up.wait_for(line)

    assert up.printed.count(line) == 1


def test_password_is_not_printed(up: Command) -> None:
    """The terminal shows the database's address without the password, which the functions have."""
    local = running(up.state / "local")
    assert local is not None
    password = urlsplit(local.database_url).password

    assert password is not None
    assert password not in up.printed
    assert "PostgreSQL at postgresql+asyncpg://postgres@127.0.0.1:" in up.printed


def test_spans_are_kept_with_an_empty_endpoint_url(up: Command) -> None:
    """An empty AWS_ENDPOINT_URL, which this cloud has, counts as not set."""
    local, trace_id = running(up.state / "local"), uuid4()
    assert local is not None
    address = "postgresql://" + local.database_url.partition("://")[2]

    run(f"{curl_lines(up.printed)['GET /async']} -H 'traceparent: 00-{trace_id.hex}-00f067aa0ba902b7-01'")

    with psycopg.connect(address, autocommit=True) as database:
        find = "SELECT FROM decant.span WHERE trace_id = %s"
        wait_until(lambda: database.execute(find, [trace_id]).fetchone() is not None)


def test_second_one_on_the_same_folder_is_refused(up: Command, tmp_path: Path) -> None:
    """The error names the process that runs, which continues."""
    (tmp_path / "local").symlink_to(up.state / "local")
    second = command(tmp_path, "up", "--port", str(free_port()))

    status = second.process.wait(120)

    assert status == 1
    assert second.printed.startswith(f"error: `up` (process {up.process.pid}) is using ")
    assert run(curl_lines(up.printed)["GET /async"]) == "Async Response"


def test_killed_database_is_restarted(up: Command) -> None:
    """The terminal shows a line about it, and the routes work again on the same data."""
    user = json.loads(run(curl_lines(up.printed)["POST /users"]))

    postgres(up).kill()
    up.wait_for("PostgreSQL ended by itself (signal 9) and was restarted")

    line = curl_lines(up.printed)["GET /users/{user_id}"]
    assert json.loads(run(re.sub(r"/users/.*", f"/users/{user['id']}", line)))["id"] == user["id"]


def test_serve_uses_the_database_that_runs(up: Command, tmp_path: Path) -> None:
    """`make serve` beside it answers with the same data."""
    user = json.loads(run(curl_lines(up.printed)["POST /users"]))
    (tmp_path / "local").symlink_to(up.state / "local")
    port = free_port()
    serve = command(tmp_path, "serve", "--port", str(port))
    serve.wait_for("Running on")

    answer = httpx.get(f"http://127.0.0.1:{port}/users/{user['id']}", timeout=60)

    assert serve.stop() == 0
    assert user.items() >= answer.json().items()


def test_busy_port_is_one_clear_line(state: Path) -> None:
    """What to do stands in it, and nothing is left running."""
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        refused = command(state, "up", "--port", str(port))

        status = refused.process.wait(120)

    message = f"error: Port {port} is busy; stop what listens there, or take another: PORT={port + 1} make up\n"
    assert status == 1
    assert refused.printed.endswith(message)
    assert running_in(state) == []


@pytest.mark.long
def test_interrupt_and_kill_leave_nothing(state: Path) -> None:
    """Ctrl-C while it starts, and SIGKILL, end the engine, its functions and the database."""
    (state / "other").mkdir()
    interrupted = command(state / "other", "up", "--port", str(free_port()))
    killed = command(state, "up", "--port", str(free_port()))
    interrupted.wait_for(f"{chosen().title} on")
    processes = interrupted.children()

    status = interrupted.stop()

    assert (status, left_of(processes)) == (0, [])
    killed.wait_for("Deployment of")
    processes = killed.children()

    killed.stop(signal.SIGKILL)

    assert left_of(processes) == []


@pytest.mark.long
def test_detached_one_stays_until_down_and_serve_goes_on_with_its_data(state: Path) -> None:
    """`down` leaves no process; without a local cloud, `make serve` runs a database, which it restarts, and tasks."""
    started = command(state, "up", "--detach", "--port", str(free_port()))
    assert started.process.wait(STARTED_WITHIN_S) == 0, started.printed
    user = json.loads(run(curl_lines(started.printed)["POST /users"]))
    detached = running(state / "local")
    assert detached is not None
    processes = [psutil.Process(detached.pid), *psutil.Process(detached.pid).children(recursive=True)]

    status = command(state, "down").process.wait(120)

    assert (status, left_of(processes)) == (0, [])
    port = free_port()
    serve = command(state, "serve", "--port", str(port))
    serve.wait_for("Running on")
    before = serve.children()

    kept = httpx.get(f"http://127.0.0.1:{port}/users/{user['id']}", timeout=60).json()
    postgres(serve).kill()
    serve.wait_for("PostgreSQL ended by itself (signal 9) and was restarted")
    task = json.loads(run(curl_lines(serve.printed)["POST /start-task"]))
    serve.wait_for(f"Task succeeded task_id={task['task_id']}")
    after = serve.children()

    assert user.items() >= kept.items()
    assert serve.stop(signal.SIGTERM) == 0
    assert left_of([*before, *after]) == []
