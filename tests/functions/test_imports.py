"""Imports of uploaded files, whose storage is a server of the test, on a real PostgreSQL."""

import http.server
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from decant import loop, runtime
from decant.tasks import AsyncResult
from decant.testing import Broker
from decant_cloud.invocation import Call, ReadEvent, load_function
from domain.imports import import_users, task_of
from tests.celery_worker import worker

ROWS = 5_000


def line(number: int) -> bytes:
    """A row; each thousandth is invalid."""
    return b"User %d,user-%d@example.com\n" % (number, number) if number % 1000 else b"User %d\n" % number


FILE = b"name,email\n" + b"".join(map(line, range(ROWS)))


class Storage(http.server.BaseHTTPRequestHandler):
    """S3's GetObject with a range; the first response breaks off in the middle of the file, or stops until released."""

    requested: list[str]
    breaks_off = True
    released = threading.Event()

    def do_GET(self) -> None:
        """Respond with the rest of the file."""
        given = self.headers["Range"]
        self.requested.append(given)
        rest = FILE[int(given.removeprefix("bytes=").rstrip("-")) :]
        self.send_response(206)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        half = len(rest) // 2 if len(self.requested) == 1 else len(rest)
        self.wfile.write(rest[:half])
        if not self.breaks_off:
            self.released.wait(60)
            with suppress(ConnectionError):  # the worker was killed
                self.wfile.write(rest[half:])
        self.close_connection = True

    def log_message(self, *_arguments: object) -> None:
        """Print nothing."""


@pytest.fixture
def requested(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The ranges that are requested from the storage."""
    assert database_url
    ranges: list[str] = []
    handler = type("Handler", (Storage,), {"requested": ranges})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        monkeypatch.setenv("UPLOADS_BUCKET", "uploads")
        runtime.current().reload()
        yield ranges
        server.shutdown()


def test_import_continues_after_a_failure_without_duplicates(
    requested: list[str], tasks: Broker, database_url: str
) -> None:
    """The second run reads from where the progress ends; invalid lines are in the result with their numbers."""

    async def run() -> Any:
        job = await import_users.delay("imports/1.csv")
        await tasks.run_all()
        return await job.result

    result = loop.run(run())

    with psycopg.connect(database_url.replace("+asyncpg", "")) as connection:
        [stored] = connection.execute("SELECT count(*) FROM users").fetchone() or (0,)
    assert len(requested) == 2
    assert requested[0] == "bytes=0-"
    assert requested[1] != "bytes=0-"
    assert stored == ROWS - 5
    assert (result["lines"], result["invalid"]) == (ROWS + 1, 5)
    assert [each["line"] for each in result["errors"]] == [2, 1002, 2002, 3002, 4002]


@pytest.mark.long
def test_import_continues_after_its_worker_was_killed(
    requested: list[str], database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every line is counted once: the users of a transaction and the progress are committed together."""
    monkeypatch.setattr(Storage, "breaks_off", False)
    variables = {name: os.environ[name] for name in os.environ if name.startswith(("AWS_", "UPLOADS_"))}
    variables |= {"DATABASE_URL": database_url, "TASK_MODULES": "domain.imports"}

    async def enqueue() -> AsyncResult:
        return await import_users.delay("imports/1.csv")

    with psycopg.connect(database_url.replace("+asyncpg", ""), autocommit=True) as connection:
        with worker(tmp_path, **variables) as killed:
            job = loop.run(enqueue())
            while not (connection.execute("SELECT progress FROM decant.task").fetchone() or (None,))[0]:
                assert killed.poll() is None
            killed.kill()
        Storage.released.set()
        connection.execute("UPDATE decant.task SET lease_expires_at = now() WHERE state = 'STARTED'")
        with worker(tmp_path, **variables):
            result: Any = loop.run(job.get(timeout=60))

    assert len(requested) == 2
    assert requested[1] != "bytes=0-"
    assert (result["lines"], result["created"], result["known"], result["invalid"]) == (ROWS + 1, ROWS - 5, 0, 5)


@pytest.mark.usefixtures("requested")
def test_form_is_for_the_file_of_its_task(call: Call, event: ReadEvent) -> None:
    """The client learns the task before it uploads the file."""
    response = call("uploads_create", event("uploads_create"))

    form = response.json()
    assert response.status == 200
    assert form["fields"]["key"] == f"imports/{form['task_id']}.csv"


@pytest.mark.usefixtures("requested")
def test_form_without_a_bucket(call: Call, event: ReadEvent, monkeypatch: pytest.MonkeyPatch) -> None:
    """The problem document names the setting."""
    monkeypatch.delenv("UPLOADS_BUCKET")
    runtime.current().reload()

    response = call("uploads_create", event("uploads_create"))

    assert (response.status, "UPLOADS_BUCKET" in response.json()["detail"]) == (503, True)


@pytest.mark.usefixtures("requested", "tasks")
def test_reported_file_is_imported_once(event: ReadEvent) -> None:
    """S3 may report a file several times: its task has the id in the name of the file."""
    handler = load_function("uploads_received").handler
    given = event("uploads_received")
    handler(given, None)
    handler(given, None)

    [record] = given["Records"]
    status = loop.run(AsyncResult(task_of(record["s3"]["object"]["key"])).status())
    assert (status.name, status.state) == ("domain.imports.import_users", "PENDING")
