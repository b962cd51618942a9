"""A bench for the Lambda executor, and the database of the sample application in place of that of the bundle.

The bench runs functions written by a test in real execution environments.
"""

import json
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from decant.runtime import Runtime
from decant_cloud.lambda_runtime.environment import Environment, Host, Invocation, Outcome
from decant_cloud.lambda_runtime.function import Function
from decant_cloud.lambda_runtime.log_file import Journal
from decant_cloud.local.postgres import Postgres
from decant_cloud.local.warden import Warden
from decant_cloud.pytest_plugin import EmptiedDatabase, administer
from tests import flows
from tests.loading import ROOT
from tests.sample.database import migrate


@dataclass(frozen=True)
class Answer:
    """What came of one invocation, as a test looks at it."""

    outcome: Outcome
    request_id: str

    @property
    def value(self) -> Any:
        """The parsed answer or error."""
        return json.loads(self.outcome.payload)

    @property
    def lines(self) -> list[str]:
        """The log, in lines."""
        return self.outcome.logs.splitlines()


@dataclass
class Bench:
    """One function and the environments that a test starts of it; the code goes into `app.py`."""

    folder: Path
    warden: Warden
    started: list[Environment] = field(default_factory=list)

    @property
    def task(self) -> Path:
        """Folder of the function's code."""
        return self.folder / "task"

    @property
    def scratch(self) -> Path:
        """Folder of the environments' temporary files."""
        return self.folder / "scratch"

    def write(self, source: str, path: str = "task/app.py") -> Path:
        """Write a source file below the bench's folder."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(source))
        return file

    def start(self, source: str | None = None, **overrides: Any) -> Environment:
        """Start an environment of the function, with its source if that is given."""
        if source is not None:
            self.write(source)
        function = Function(
            **{
                "name": "bench",
                "version": "$LATEST",
                "handler": "app.handler",
                "timeout_s": 5,
                "memory_mb": 256,
                "task": self.task,
                "layers": [],
                "watched": [self.task],
                "variables": {"AWS_REGION": "us-east-1"},
                **overrides,
            }
        )
        host = Host(
            image=ROOT / ".decant/lambda-image",
            scratch=self.scratch,
            journal=Journal(self.folder / "journal.jsonl"),
            warden=self.warden,
        )
        environment = Environment(uuid4().hex, function, host)
        self.started.append(environment)
        environment.start()
        return environment

    @staticmethod
    def invoke(environment: Environment, event: Any = None, **more: Any) -> Answer:
        """Invoke an environment with an event and wait for what comes of it."""
        invocation = Invocation(
            request_id=str(uuid4()),
            event=json.dumps(event).encode(),
            function_arn="arn:aws:lambda:us-east-1:000000000000:function:bench",
            trace_id="Root=1-6741f2a0-0123456789abcdef01234567;Parent=0123456789abcdef;Sampled=1",
            **more,
        )
        return Answer(environment.invoke(invocation), invocation.request_id)


@pytest.fixture
def calls() -> Iterator[list[str]]:
    """Names of the steps of `tests.flows` that were called."""
    flows.CALLS.clear()
    yield flows.CALLS
    flows.CALLS.clear()


@pytest.fixture
def warden() -> Iterator[Warden]:
    """What ends the test's environments, should the tests be killed."""
    warden = Warden()
    yield warden
    warden.close()


@pytest.fixture
def bench(tmp_path: Path, warden: Warden) -> Iterator[Bench]:
    """A bench in a folder of this test's own; its environments are stopped at the end, and their log is printed."""
    it = Bench(tmp_path, warden)
    yield it
    for environment in it.started:
        environment.stop(drain_s=0)
    if (log := tmp_path / "journal.jsonl").exists():
        sys.stdout.write(log.read_text())  # pytest shows it after a failure


@pytest.fixture(scope="session")
def migrated(postgres: Postgres) -> Postgres:
    """The server with a database to which the sample application's migrations were applied, as template of others."""
    administer(postgres, "CREATE DATABASE sample")
    with Runtime({"DATABASE_URL": postgres.url("sample")}).active() as own:
        migrate()
        own.shut_down()
    return postgres


@pytest.fixture(scope="session")
def emptied_database(migrated: Postgres) -> EmptiedDatabase:
    """The migrated database that the tests of the session use one after another."""
    return EmptiedDatabase(migrated, "sample")
