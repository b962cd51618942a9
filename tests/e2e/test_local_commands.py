"""The everyday commands on a local cloud that runs: what a person types, and what the screen then shows."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from decant_cloud.local.database_address import without_password
from decant_cloud.local.state import Claim
from tests.e2e.running import RunningCloud
from tests.loading import ROOT

Local = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def local(local_cloud: RunningCloud, tmp_path: Path) -> Iterator[Local]:
    """Runs a command to its end, in a state folder that names the session's cloud."""
    (tmp_path / "engine").symlink_to(local_cloud.folder)
    (tmp_path / "tokens.pem").symlink_to(local_cloud.folder.parent / "tokens.pem")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "decant_cloud", *arguments, "--state", str(tmp_path)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)

    with Claim(tmp_path, "up") as claim:
        claim.announce(local_cloud.url, local_cloud.postgres_url, "decant")
        yield run


def test_status_tells_what_runs_and_where(local: Local, local_cloud: RunningCloud) -> None:
    """Addresses of all parts, and every route."""
    status = local("status")

    assert status.returncode == 0
    assert status.stdout.startswith("`up` runs since ")
    for address in (
        local_cloud.api_url,
        local_cloud.url,
        without_password(local_cloud.postgres_url),
        "/users/{user_id}",
    ):
        assert address in status.stdout


def test_invoke_prints_the_answer_alone(local: Local) -> None:
    """The folder's name is enough: the event is that of `events/`, and the output is JSON for other programs."""
    invoked = local("invoke", "users_create")

    assert (invoked.returncode, invoked.stderr) == (0, "")
    assert json.loads(invoked.stdout)["statusCode"] == 201


def test_invoke_of_an_admin_route_brings_a_token(local: Local) -> None:
    """The event of `events/` has only a place for one."""
    invoked = local("invoke", "queues_list")

    assert json.loads(invoked.stdout)["statusCode"] == 200


def test_invoke_takes_an_event(local: Local, tmp_path: Path) -> None:
    """In a file, or as it is; a function that fails makes it fail, and the error stands in one line."""
    file = tmp_path / "event.json"
    file.write_text("{}")

    from_file, from_text = local("invoke", "AsyncResponse", "-e", str(file)), local("invoke", "async_response", "-e{}")

    assert (from_file.returncode, from_text.returncode) == (1, 1)
    assert json.loads(from_file.stdout)["errorType"] == "TypeError"
    assert from_file.stderr == from_text.stderr
    assert from_file.stderr.startswith("error: AsyncResponse failed: TypeError: ")


def test_sent_message_arrives_and_is_logged(local: Local) -> None:
    """A message for a task that is unknown is dropped by the worker, which logs it."""
    identifier = "0193a5b0-6c1e-7c3a-9f5d-2f1f0c7a4e12"

    sent = local("send", json.dumps({"id": identifier}))

    assert sent.stdout.startswith("Sent to DefaultQueue: message ")
    shown = ""
    while identifier not in shown:  # the test's own timeout ends it
        shown = local("logs", "task_worker", "--since", "1m", "--no-follow").stdout
    assert "TaskWorker " in shown


def test_workflows_signal_publishes_the_run(local: Local, local_cloud: RunningCloud) -> None:
    """The run continues through SQS: the sweeper, which counts its messages, sends none."""
    order = httpx.post(f"{local_cloud.api_url}/orders", json={"item": "book", "amount": 900}).json()
    with psycopg.connect(local_cloud.postgres_url.replace("+asyncpg", ""), autocommit=True) as database:
        waiting = "SELECT id::text FROM decant.task WHERE idempotency_key = %s AND suspended"
        while (run := database.execute(waiting, [f"order-{order['id']}"]).fetchone()) is None:
            time.sleep(0.05)  # the test's own timeout ends it

        signalled = local("workflows", "signal", run[0], "approval", '{"by": "ada"}')

        assert (signalled.returncode, signalled.stderr) == (0, "")
        finished = "SELECT wakeups FROM decant.task WHERE id = %s AND state = 'SUCCESS'"
        while (published_by_sweeper := database.execute(finished, run).fetchone()) is None:
            time.sleep(0.05)
        assert published_by_sweeper == (0,)


def test_psql_runs_sql(local: Local) -> None:
    """On the database that the functions use."""
    answered = local("psql", "--sql", "SELECT count(*) >= 0 AS fine FROM users")

    assert answered.returncode == 0
    assert answered.stdout.split()[2] == "t"


def test_flask_runs_a_command_of_the_application(local: Local) -> None:
    """A command of Flask's CLI, on the application of a function."""
    listed = local("flask", "users_get", "routes", "--sort", "rule")

    assert (listed.returncode, listed.stderr) == (0, "")
    assert re.search(r"GET +/users/<uuid:user_id>", listed.stdout)


def test_flask_names_a_function_that_does_not_exist(local: Local) -> None:
    """The error says where the names are."""
    failed = local("flask", "nothing", "routes")

    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr == "error: There is no function nothing; the folders of functions/ are their names.\n"


def test_smoke_tests_routes_queue_worker_and_the_bundles_own_tests(local: Local) -> None:
    """A task of the library passes through queue and worker, and `tests/smoke/` passes."""
    tested = local("smoke")

    assert (tested.returncode, tested.stderr) == (0, "")
    assert re.match(r"GET routes respond \(\d\), queue and worker run tasks\n", tested.stdout)
    assert re.search(r"\d passed", tested.stdout)


def test_unknown_route_is_explained_in_the_logs(local: Local, local_cloud: RunningCloud) -> None:
    """API Gateway responds with 403 and a message about a token, which does not name the reason."""
    response = httpx.get(f"{local_cloud.api_url}/no-such-route")

    logged = local("logs", "--no-follow").stdout
    assert response.status_code == 403
    assert "template.yaml has no route 'GET " in logged.replace("\n", "")
    assert "/no-such-route" in logged
