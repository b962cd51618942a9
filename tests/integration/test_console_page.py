"""The console's page in Chromium, on a server in this process: accessibility, and views that need code of their own."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from subprocess import DEVNULL
from typing import Any
from uuid import UUID

import axe_core_python
import httpx
import pytest
from flask import Flask
from sqlalchemy import text

from decant import db, runtime
from decant.asgi import FlaskToAsgi
from decant.console.app import console_app
from decant.tasks import chord, cron, task
from decant.tasks.admin import pause_queue, paused_queues
from decant.workflows import step, workflow
from decant_cloud.bundle import bundle
from decant_cloud.local import tokens
from decant_cloud.local.collector import Collector
from tests import work
from tests.bridging import client, serve_in_thread
from tests.e2e.browser import Page, click, confirm, open_page, open_view, shows
from tests.loading import PYTHONPATH, ROOT
from tests.otlp import collect
from tests.worlds import PostgresWorld, execute, sweep_once

pytestmark = [pytest.mark.chromium, pytest.mark.usefixtures("new_tasks")]


@pytest.fixture
def url(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:  # set before
    """Address of the console with a token for all actions; its traces are stored."""
    monkeypatch.setenv("JWT_ISSUER", tokens.ISSUER)
    monkeypatch.setenv("JWT_AUDIENCE", bundle().name)
    monkeypatch.setenv("JWT_PUBLIC_PEM", tokens.public_key(tmp_path))
    with (
        Collector(database_url) as collector,
        serve_in_thread(console_app(read="tasks:read", admin="tasks:admin")) as address,
    ):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        runtime.current().reload()
        yield f"{address}/console#token={tokens.mint(tmp_path, 'tasks:admin')}"


AXE = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text()
"""The checks of axe-core."""


def serious(page: Page) -> list[str]:
    """Serious and critical findings of axe-core on the page as it is."""
    page.evaluate(f"if (!window.axe) {{ {AXE} }}; 0")
    found = page.evaluate(
        "axe.run(document, {resultTypes: ['violations']}).then(({violations}) => JSON.stringify(violations))"
    )
    return [
        f"{each['id']}: {each['nodes'][0]['target']} {each['nodes'][0]['failureSummary']}"
        for each in json.loads(found)
        if each["impact"] in {"serious", "critical"}
    ]


async def fill() -> tuple[str, str, str]:
    """Tasks in every state, a workflow, a run, a schedule and a trace; ids of a failed task, of a chord and a trace."""

    @task(schedule=cron("0 3 29 2 *"))  # no tick during the test
    async def nightly() -> str:
        return "done"

    @workflow
    async def order() -> int:
        return await step(charge)

    async def charge() -> int:
        return 1

    async def place(number: int) -> str:
        async with db.session() as session:
            await session.execute(text("SELECT 1"))
        await work.flaky.delay(1)
        return str(number)

    app = Flask("shop")
    app.add_url_rule("/orders/<int:number>", "place", place)
    async with client(FlaskToAsgi(app, view_threads=0)) as http:
        await http.get("/orders/7", headers={"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"})
    failed = await work.fail.delay("disk full")
    await chord([work.add.s(n) for n in range(3)], work.total.s()).delay()
    await order.start()
    await PostgresWorld().run()
    await work.add.apply_async((1,), countdown=3600)
    await sweep_once()
    await collect()
    (root,) = await execute("SELECT root_id FROM decant.task WHERE root_id IS NOT NULL LIMIT 1")
    return failed.id, str(root["root_id"]), "4bf92f35-77b3-4da6-a3ce-929d0e0e4736"


NAMES = ("overview", "tasks", "workflows", "schedules", "queues", "dead", "traces")
"""Views without parameters."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_no_page_has_a_serious_finding(url: str, tmp_path: Path, scheme: str) -> None:
    """axe-core finds nothing serious in any view, in a dialog and in the form for the token."""
    failed, root, trace = await fill()
    await pause_queue("mail")
    views: dict[str, dict[str, str]] = {
        **{name: {} for name in NAMES},
        "task": {"id": failed},
        "workflow": {"id": root},
        "trace": {"id": trace},
    }
    findings: dict[str, list[str]] = {}

    with open_page(url, tmp_path / "browser") as page:
        page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        shows(page, "Needs attention")
        for view, parameters in views.items():
            open_view(page, view, **parameters)
            page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
            findings[view] = serious(page)
        open_view(page, "tasks", state="FAILURE")
        click(page, "Redrive")
        page.wait_for("!!document.querySelector('dialog[open]')")
        findings["dialog"] = serious(page)
        page.evaluate("sessionStorage.clear()")
        page.call("Page.reload")
        shows(page, "Bearer token")
        findings["token"] = serious(page)
        errors = list(page.errors)

    assert {view: found for view, found in findings.items() if found} == {}
    assert errors == []


async def test_views_that_need_code_and_traces(url: str, tmp_path: Path) -> None:
    """A schedule runs now, the plots change their span, runs are listed, and traces are shown as waterfalls."""
    _, _, trace = await fill()

    with open_page(url, tmp_path / "browser") as page:
        shows(page, "Throughput and latency")
        click(page, "7 d")
        page.wait_for("document.querySelector('.segments [aria-current]')?.textContent === '7 d'")

        open_view(page, "workflows")
        click(page, "Runs of workflow functions")
        click(page, next(row["name"] for row in await execute("SELECT name FROM decant.task WHERE name LIKE '%order'")))
        shows(page, "charge")
        names = "[...document.querySelectorAll('.spans .text')].map((each) => each.textContent)"
        page.wait_for(f"{names}.includes('step charge')")

        open_view(page, "schedules")
        (schedule,) = await execute("SELECT name FROM decant.schedule")
        click(page, f"Run {schedule['name']} now")
        click(page, "Run now", "dialog")
        page.wait_for("location.search.includes('view=task')")
        shows(page, "nightly")

        open_view(page, "traces")
        click(page, "GET /orders/<int:number>")
        page.wait_for("document.querySelectorAll('.spans details').length >= 7")
        shown = page.evaluate(names)
        page.evaluate("document.querySelector('.spans details').open = true")
        shows(page, "http.response.status_code")
        errors = list(page.errors)

    assert shown[:4] == ["GET /orders/<int:number>", "view place", "SELECT", "enqueue tests.work.flaky"]
    assert {"claim tests.work.flaky", "run tests.work.flaky"} <= set(shown)
    assert errors == []
    assert trace in {str(row["trace_id"]) for row in await execute("SELECT trace_id FROM decant.span")}
    assert [row["count"] for row in await execute("SELECT count(*) FROM decant.task WHERE name LIKE '%nightly'")] == [1]


async def test_tasks_are_paged_filtered_and_changed(url: str, tmp_path: Path) -> None:
    """Pages continue, filters select, and a task's page and the list act, unless the token permits reading alone."""
    failed = await work.fail.delay("disk full")
    await PostgresWorld().run()
    await work.add.delay_many([(n,) for n in range(60)])
    later = [await work.add.apply_async((1,), countdown=3600, queue="mail") for _ in range(2)]
    rows = "document.querySelectorAll('tbody tr').length"

    async def state() -> str:
        (row,) = await execute("SELECT state FROM decant.task WHERE id = :id", id=UUID(failed.id))
        return str(row["state"])

    with open_page(url, tmp_path / "browser") as page:
        shows(page, "Queues")
        open_view(page, "tasks")
        page.wait_for(f"{rows} === 50")
        click(page, "Older")
        page.wait_for(f"{rows} === 13")
        click(page, "Newest")
        page.wait_for(f"{rows} === 50")
        page.evaluate("document.getElementById('filter-error').value = 'DISK'")
        click(page, "Filter")
        page.wait_for(f"{rows} === 1 && location.search.includes('error=DISK')")
        click(page, "tests.work.fail")
        shows(page, "disk full")
        click(page, "Redrive")
        confirm(page, "Redrive", "1 task")
        click(page, "Cancel")
        redriven = await state()
        confirm(page, "Cancel", "1 task")
        page.wait_for("document.querySelector('h1 .badge')?.textContent === 'revoked'")
        open_view(page, "tasks", queue="mail", state="open")
        click(page, "Run now")
        confirm(page, "Run now", "2 tasks")
        shows(page, "Run now: 2 tasks changed")
        due = await execute("SELECT id FROM decant.task WHERE queue = 'mail' AND eta <= now()")
        page.evaluate(f"location.hash = 'token={tokens.mint(tmp_path, 'tasks:read')}'")
        page.wait_for(f"{rows} === 2 && !document.querySelector('main .bulk')")
        open_view(page, "queues")
        page.wait_for(f"{rows} > 0")
        buttons = page.evaluate("document.querySelectorAll('main button').length")

    assert (redriven, await state(), len(due), buttons) == ("PENDING", "REVOKED", len(later), 0)


COUNTED = """
    SELECT count(*) FILTER (WHERE state = 'PENDING') AS due, count(*) FILTER (WHERE state = 'STARTED') AS running,
        count(*) FILTER (WHERE state = 'SUCCESS') AS succeeded, count(*) FILTER (WHERE state = 'FAILURE') AS failed,
        clock_timestamp() AS now
    FROM decant.task
"""
"""SQL's counts of all tasks, and the time of the counts."""


@contextmanager
def worker_process() -> Iterator[None]:
    """A worker of all queues in a process of its own, which runs 20 tasks at once."""
    command = [sys.executable, "-m", "decant", "worker", "-A", "tests.work", "-c", "20"]
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH}
    with subprocess.Popen(command, env=environment, cwd=ROOT, stdout=DEVNULL, stderr=DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


async def counts_on(page: Page) -> dict[str, Any]:
    """Wait until the overview's table of queues shows SQL's counts while no task runs; returns them."""
    cells = "[...document.querySelectorAll('[aria-label=Queues] tbody td')].map((each) => each.textContent)"
    while True:
        (counts,) = await execute(COUNTED)
        shown = page.evaluate(f"{cells}.filter((_, at) => [1, 4, 5, 6].includes(at))")
        if shown == [f"{counts[name]:,}" for name in ("due", "running", "succeeded", "failed")] and shown[1] == "0":
            return dict(counts)
        await asyncio.sleep(0.05)


def overview_since(url: str, time: datetime) -> dict[str, Any]:
    """Counts of the queue by the JSON route, computed at this time or later."""
    address, _, token = url.partition("#token=")
    while True:
        response = httpx.get(f"{address}/api/overview", headers={"Authorization": f"Bearer {token}"}).json()
        if datetime.fromisoformat(response["now"]) >= time:
            [queue] = response["queues"]
            return dict(queue)


@pytest.mark.parametrize("count", [1_000, pytest.param(10_000, marks=pytest.mark.long)])
async def test_counts_of_a_storm_are_those_of_sql(url: str, tmp_path: Path, count: int) -> None:
    """While a worker runs many tasks, pages stay readable and their counts are SQL's.

    A task in the middle pauses the queue: the page shows exactly SQL's counts then, and at the end. While tasks run,
    every count lies between SQL's before and after it.
    """
    await pause_queue("default")
    for last in (work.pause.s("default"), work.add.s(1)):
        await work.add.delay_many([(n,) for n in range(count * 47 // 100 - 1)])
        await work.fail.delay_many([("no",) for _ in range(count * 3 // 100)])
        await last.delay()

    with worker_process(), open_page(url, tmp_path / "browser") as page:
        page.wait_for("document.querySelector('[aria-label=Workers] .badge')?.textContent === 'active'")
        open_view(page, "queues")
        click(page, "Resume default")
        while not await paused_queues():  # noqa: ASYNC110  # a row of another process
            await asyncio.sleep(0.05)
        open_view(page, "overview")
        paused = await counts_on(page)
        open_view(page, "queues")
        click(page, "Resume default")
        is_running = True
        while is_running:
            (before,) = await execute(COUNTED)
            counted = overview_since(url, before["now"])
            (after,) = await execute(COUNTED)
            assert before["due"] >= counted["due"] >= after["due"]
            for done in ("succeeded", "failed"):
                assert before[done] <= counted[done] <= after[done]
            open_view(page, "tasks")
            page.wait_for("document.querySelectorAll('tbody tr').length === 50")
            open_view(page, "dead")
            shows(page, "Flaky")
            is_running = after["due"] + after["running"] > 0
        open_view(page, "overview")
        ended = await counts_on(page)
        errors = list(page.errors)

    assert 0 < paused["due"] < count
    failed = count * 6 // 100
    assert (ended["due"], ended["succeeded"], ended["failed"], errors) == (0, count - failed, failed, [])
