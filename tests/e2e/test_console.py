"""The console in Chromium, on the local cloud: every view, and every action with its effect in the database."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

from decant.tasks.ids import uuid7
from decant_cloud.local.tokens import mint
from tests.e2e.browser import click, confirm, key, open_page, open_view, shows, wait_until
from tests.e2e.running import RunningCloud
from tests.loading import ROOT
from tests.stages import prod

OPEN = ("NONE", False)
QUEUE = "console"  # without SQS, so that no worker runs the tasks

type Insert = Callable[..., UUID]


@pytest.fixture
def database(local_cloud: RunningCloud) -> Iterator[psycopg.Connection]:
    """A connection to the database of the cloud; the rows of the tests are deleted at the end."""
    with psycopg.connect(local_cloud.postgres_url.replace("+asyncpg", ""), autocommit=True) as connection:
        yield connection
        connection.execute("DELETE FROM decant.task WHERE name LIKE 'console.%%'", [])
        connection.execute("DELETE FROM decant.schedule WHERE name LIKE 'console.%%'", [])


@pytest.fixture
def insert(database: psycopg.Connection) -> Insert:
    """Insert a task in a state."""

    def insert_task(name: str, state: str, **columns: Any) -> UUID:
        now = datetime.now(UTC)
        row: dict[str, Any] = {
            "id": uuid7(),
            "name": f"console.{name}",
            "queue": QUEUE,
            "args": "[]",
            "kwargs": "{}",
            "state": state,
        }
        row |= {"wake_at": now if state in {"PENDING", "RETRY"} else None}
        if state in {"SUCCESS", "FAILURE", "REVOKED"}:
            row |= {"date_started": now, "date_done": now, "attempt": 1}
        row |= columns
        statement = psycopg.sql.SQL("INSERT INTO decant.task ({}) VALUES ({})").format(
            psycopg.sql.SQL(", ").join(map(psycopg.sql.Identifier, row)),
            psycopg.sql.SQL(", ").join(psycopg.sql.Placeholder() * len(row)),
        )
        database.execute(statement, list(row.values()))
        task_id: UUID = row["id"]
        return task_id

    return insert_task


@pytest.mark.chromium
def test_views_and_actions(  # noqa: PLR0915  # one browser for all views
    local_cloud: RunningCloud, database: psycopg.Connection, insert: Insert, tmp_path: Path
) -> None:
    """Tasks, workflows, schedules and queues are shown and changed, without errors and other hosts."""
    failed = [insert("fail", "FAILURE", error_type="Broken", error="disk full", traceback="") for _ in range(3)]
    later = datetime.now(UTC) + timedelta(hours=1)
    waiting = [insert("wait", "PENDING", eta=later, wake_at=later) for _ in range(2)]
    root, parent = uuid7(), uuid7()
    child = insert("child", "SUCCESS", root_id=root, parents=[parent], result="3")
    insert("parent", "SUCCESS", id=parent, root_id=root, children=[child], kwargs='{"password": "x", "n": 41}')
    database.execute("INSERT INTO decant.schedule (name) VALUES ('console.tick every(3600)')")
    token = mint(local_cloud.folder.parent, "tasks:read tasks:admin")

    def states(ids: list[UUID]) -> set[str]:
        rows = database.execute("SELECT state FROM decant.task WHERE id = ANY(%s)", [ids]).fetchall()
        return {row[0] for row in rows}

    with open_page(f"{local_cloud.api_url}/console#token={token}", tmp_path) as page:
        shows(page, "3 of 3 runs of console.fail failed within 15 minutes")
        shows(page, "Throughput and latency")
        assert page.evaluate("location.hash") == ""

        key(page, "2")
        shows(page, "Created since")
        page.evaluate("document.getElementById('filter-queue').value = 'console'")
        page.evaluate("document.getElementById('filter-state').value = 'FAILURE'")
        click(page, "Filter")
        page.wait_for("document.querySelectorAll('tbody tr').length === 3")
        assert "state=FAILURE" in page.evaluate("location.search")
        key(page, "j")
        key(page, "x")
        shows(page, "1 selected")
        click(page, "Redrive")
        confirm(page, "Redrive", "1 task")
        page.wait_for("document.querySelectorAll('tbody tr').length === 2")
        click(page, "Redrive")
        confirm(page, "Redrive", "2 tasks")
        shows(page, "No tasks match")
        assert states(failed) == {"PENDING"}

        open_view(page, "task", id=waiting[0])
        click(page, "Run now")
        confirm(page, "Run now", "1 task")
        shows(page, "Run now: 1 task changed")
        due = database.execute("SELECT eta <= now() FROM decant.task WHERE id = %s", [waiting[0]]).fetchone()
        assert due == (True,)
        open_view(page, "tasks", queue=QUEUE, state="open")
        page.wait_for("document.querySelectorAll('tbody tr').length === 5")
        click(page, "Cancel")
        confirm(page, "Cancel", "5 tasks")
        shows(page, "No tasks match")
        assert states(failed + waiting) == {"REVOKED"}

        open_view(page, "dead")
        click(page, "Redrive console.wait after TaskRevoked")
        confirm(page, "Redrive", "2 tasks")
        page.wait_for("!document.querySelector('main').innerText.includes('console.wait')")
        assert states(waiting) == {"PENDING"}

        open_view(page, "workflows")
        click(page, "console.child")
        page.wait_for(
            "document.querySelectorAll('.node').length === 2 && document.querySelectorAll('.edge').length === 1"
        )
        open_view(page, "task", id=parent)
        shows(page, "[redacted]")
        shows(page, "console.child")

        open_view(page, "schedules")
        click(page, "Pause console.tick every(3600)")
        shows(page, "paused")
        click(page, "Resume console.tick every(3600)")
        page.wait_for("!document.querySelector('main .badge.paused')")

        open_view(page, "queues")
        click(page, f"Pause {QUEUE}")
        click(page, "Pause", "dialog")
        page.wait_for("!!document.querySelector('main .badge.paused')")
        click(page, f"Resume {QUEUE}")
        page.wait_for("!document.querySelector('main .badge.paused')")

        requests, errors = list(page.requests), list(page.errors)
        page.evaluate("sessionStorage.clear()")
        page.call("Page.reload")
        shows(page, "Bearer token")

    assert errors == []
    assert [url for url in requests if not url.startswith((local_cloud.url, "data:"))] == []


ACCESS = {
    "jwt": {"AuthTokens": "Tokens", "AuthKeys": "", "JwtIssuer": "issuer", "JwtPublicPem": "-"},
    "keys": {},
    "public": {"AuthKeys": ""},
}


@pytest.mark.parametrize(("auth", "others"), [("jwt", ("CUSTOM", False)), ("keys", ("NONE", True)), ("public", OPEN)])
def test_api_opens_its_pages_with_every_auth(local_cloud: RunningCloud, auth: str, others: tuple[str, bool]) -> None:
    """API Gateway's import of the definition requires nothing for pages, and the same for all other methods."""
    api = local_cloud.client("apigateway")
    [definition] = prod(Auth=auth, **ACCESS[auth]).of_type("AWS::ApiGateway::RestApi").values()
    imported = api.import_rest_api(body=json.dumps(definition["Body"]).encode())["id"]
    try:
        found = {
            (method, resource["path"]): (settings["authorizationType"], settings["apiKeyRequired"])
            for resource in api.get_resources(restApiId=imported, limit=500, embed=["methods"])["items"]
            for method, settings in resource.get("resourceMethods", {}).items()
            if method != "OPTIONS"
        }
    finally:
        api.delete_rest_api(restApiId=imported)

    pages = {("GET", path) for path in ("/docs", "/docs/{name}", "/console", "/console/{name}")}
    assert {access for route, access in found.items() if route in pages} == {OPEN}
    assert {access for route, access in found.items() if route not in pages} == {others}


def test_trace_leads_from_the_request_to_the_run_of_its_task(
    local_cloud: RunningCloud, database: psycopg.Connection
) -> None:
    """The spans of two functions, and of the message between them, arrive in one trace."""
    caller = f"00-{uuid4().hex}-00f067aa0ba902b7-01"
    headers = {"traceparent": caller, "Content-Type": "application/json"}

    response = httpx.post(f"{local_cloud.api_url}/start-task", json={"seconds": 0}, headers=headers)

    def spans() -> dict[str, str]:
        found = "SELECT name, service FROM decant.span WHERE trace_id = %s"
        return dict(database.execute(found, [UUID(caller.split("-")[1])]).fetchall())

    def has_run() -> bool:
        return any(name.startswith("run ") for name in spans())

    assert response.status_code == 202
    wait_until(has_run)
    kinds = {name.partition(" ")[0] for name in spans()}
    services = {service for name, service in spans().items() if name.startswith(("POST", "run"))}
    assert {"POST", "view", "enqueue", "INSERT", "publish", "claim", "run"} <= kinds
    assert len(services) == 2


def test_log_of_a_task_has_the_lines_of_its_correlation_id(local_cloud: RunningCloud) -> None:
    """Lines of the request and of the run are shown, and no others."""
    headers = {"Authorization": f"Bearer {mint(local_cloud.folder.parent, 'tasks:read')}"}
    sent = {"seconds": 0}
    other, job = (httpx.post(f"{local_cloud.api_url}/start-task", json=sent).json()["task_id"] for _ in range(2))

    def lines() -> list[dict[str, Any]]:
        found = httpx.get(f"{local_cloud.api_url}/console/api/tasks/{job}/logs", headers=headers).json()["lines"]
        return [json.loads(line) for line in found]

    wait_until(lambda: any(line["message"] == "Task succeeded" for line in lines()))
    assert len({line["correlation_id"] for line in lines()}) == 1
    assert {line["task_id"] for line in lines() if "task_id" in line} == {job}
    assert other != job


def test_commands_work_through_the_api_of_a_stage(local_cloud: RunningCloud, insert: Insert) -> None:
    """`decant tasks --url` lists, cancels and redrives tasks with a token."""
    task_id = insert("remote", "PENDING", queue="remote")
    token = mint(local_cloud.folder.parent, "tasks:admin")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "decant", "tasks", *arguments, "--url", local_cloud.api_url]
        environment = {**os.environ, "DECANT_TOKEN": token, "PYTHONPATH": str(ROOT / "shared")}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    listed = json.loads(run("list", "--queue", "remote", "--json").stdout)
    cancelled = run("cancel", str(task_id))
    shown = run("show", str(task_id))
    redriven = run("redrive", "--queue", "remote", "--yes")
    unknown = run("show", str(uuid7()))

    assert [each["id"] for each in listed] == [str(task_id)]
    assert (cancelled.stdout, redriven.stdout) == ("1 tasks changed\n", "1 tasks changed\n")
    assert "console.remote REVOKED" in shown.stdout
    assert (unknown.returncode, "404" in unknown.stderr) == (1, True)
