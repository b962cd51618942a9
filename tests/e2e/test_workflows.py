"""Workflows in functions of the local cloud: runs that outlast an invocation, and environments that are killed."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from decant import loop
from decant.runtime import Runtime
from decant.workflows import WorkflowRun
from tests.e2e.running import Create, RunningCloud
from tests.flow_kills import SUBJECT, violations
from tests.loading import ROOT

MORTAL = (
    (ROOT / "tests/mortal_flow.py").read_text()
    + """

from contextlib import ExitStack

from decant.tasks.store import using
from decant.worker import lambda_handler
from decant.workflows.store import using as using_steps

STORES = ExitStack()
STORES.enter_context(using(MortalStore()))
STORES.enter_context(using_steps(MortalSteps()))
work = lambda_handler()
runs = set()


def handler(event, context):
    if event["run"] not in runs:
        runs.add(event["run"])
        POINTS.reached.clear()
    POINTS.fatal = event["fatal"]
    return work(event, context) | {"reached": POINTS.reached}
"""
)

LONG = """
import asyncio

from sqlalchemy import text

from decant.worker import lambda_handler
from decant.workflows import sleep, step, workflow


async def effect(name, *, session):
    await session.execute(text("INSERT INTO effect (name) VALUES (:name)"), {"name": name})


@workflow(name="long_flow", queue="flows", max_retries=0)
async def long_flow(rounds):
    for number in range(rounds):
        await step(asyncio.sleep, 2, name="work")
        await step(effect, f"e{number}", name="effect")
        await sleep(1)
    await sleep(6)
    return rounds


handler = lambda_handler()
"""


class Database:
    """The database of the local cloud, with a table of effects.

    Args:
        url: Its SQLAlchemy address.
    """

    def __init__(self, url: str) -> None:
        self._address = url.replace("+asyncpg", "")

    def execute(self, statement: str, *given: Any) -> list[Any]:
        """Run a statement; returns its rows."""
        with psycopg.connect(self._address) as connection:
            cursor = connection.execute(statement, given)
            return cursor.fetchall() if cursor.description else []

    def start(self, name: str, queue: str, args: list[Any], max_retries: int) -> str:
        """Write a run as `start` does; returns its id."""
        run = str(uuid4())
        self.execute(
            "INSERT INTO decant.task (id, name, queue, args, kwargs, max_retries) VALUES (%s, %s, %s, %s, '{}', %s)",
            run, name, queue, json.dumps(args), max_retries,
        )  # fmt: skip
        return run

    def status(self, run: str) -> dict[str, Any]:
        """State, result, counted retries and claims of a run."""
        columns = ("state", "result", "retries", "losses", "attempt")
        [row] = self.execute(f"SELECT {', '.join(columns)} FROM decant.task WHERE id = %s", run)  # noqa: S608  # ours
        return dict(zip(columns, row, strict=True))


@pytest.fixture
def database(local_cloud: RunningCloud) -> Iterator[Database]:
    """The database, with an empty table of effects."""
    database = Database(local_cloud.postgres_url)
    database.execute("CREATE TABLE effect (name text NOT NULL)")
    yield database
    database.execute("DROP TABLE effect")
    database.execute("DELETE FROM decant.task WHERE queue IN ('flows', 'mortal')")


def create_worker(cloud: RunningCloud, create: Create, source: str, timeout_s: int, **variables: str) -> str:
    """A worker as the bundle's own is deployed, but for its tasks and its time; returns its name."""
    worker = cloud.client("lambda").get_function_configuration(FunctionName=cloud.function_name("TaskWorker"))
    given = worker["Environment"]["Variables"] | variables
    layers = [layer["Arn"] for layer in worker["Layers"]]
    return create(source, Layers=layers, Environment={"Variables": given}, MemorySize=256, Timeout=timeout_s)


class Mortal:
    """A function whose environments kill themselves at a point of the workflow.

    Args:
        cloud: The local cloud.
        database: Its database.
        function: Name of the function.
    """

    def __init__(self, cloud: RunningCloud, database: Database, function: str) -> None:
        self._cloud = cloud
        self._database = database
        self._function = function

    def invoke(self, run: str, fatal: int) -> dict[str, Any]:
        """Give the message of a run to the function, whose environment dies at the point of this number."""
        records = [{"messageId": run, "body": json.dumps({"id": run}), "attributes": {}}]
        answer = self._cloud.client("lambda").invoke(
            FunctionName=self._function, Payload=json.dumps({"Records": records, "run": run, "fatal": fatal}).encode()
        )
        report: dict[str, Any] = json.loads(answer["Payload"].read())
        return report

    def begin(self) -> str:
        """Start a run; returns its id."""
        self._database.execute("TRUNCATE effect")
        return self._database.start("mortal", "mortal", [], 1)

    def finish(self, run: str, fatal: int = 0) -> dict[str, Any]:
        """Invoke until the run has ended or the environment has died; returns the last report."""
        while True:
            report = self.invoke(run, fatal)
            if "errorType" in report or self._database.status(run)["state"] in {"SUCCESS", "FAILURE"}:
                return report
            self._go_on(run)

    def recover(self, run: str) -> dict[str, Any]:
        """Let the sweeper find the lost run, and finish it; returns its result and its effects."""
        lost = "UPDATE decant.task SET lease_expires_at = now() WHERE id = %s AND state = 'STARTED'"
        self._database.execute(lost, run)
        self._cloud.invoke("TaskSweeper", {})
        self._go_on(run)
        self.finish(run)
        effects = Counter(row[0] for row in self._database.execute("SELECT name FROM effect"))
        return self._database.status(run) | {"effects": effects}

    def _go_on(self, run: str) -> None:
        """Let the sleep of a suspended run end, and send its signal once."""
        execute = self._database.execute
        execute("UPDATE decant.step SET due_at = now() WHERE task_id = %s", run)
        execute("UPDATE decant.task SET eta = now(), wake_at = now() WHERE id = %s AND wake_at IS NOT NULL", run)
        if execute("SELECT name FROM decant.step WHERE task_id = %s AND name = 'sleep'", run):
            with Runtime({"DATABASE_URL": self._cloud.postgres_url}).active() as own:
                loop.run(WorkflowRun(run).send("go", "signal", id="once"))
                own.shut_down()


@pytest.fixture
def function(local_cloud: RunningCloud, database: Database, create: Create) -> Mortal:
    """The function."""
    return Mortal(local_cloud, database, create_worker(local_cloud, create, MORTAL, 30))


def kill_environments(function: Mortal, first: int, stride: int) -> tuple[int, list[str]]:
    """Kill an environment at the points from the first on; returns the number of kills and the violations."""
    points = function.finish(function.begin())["reached"]
    fatal = range(first, len(points) + 1, stride)
    wrong = list[str]()
    for number in fatal:
        run = function.begin()
        report = function.finish(run, number)
        if report.get("errorType") != "Runtime.ExitError":
            wrong.append(f"{points[number - 1]}: the environment was not killed: {report}")
        wrong += violations(SUBJECT, points[number - 1], function.recover(run))
    return len(fatal), wrong


@pytest.mark.timeout(300)
def test_run_survives_kills_of_its_environment(function: Mortal) -> None:
    """The result is right, effects in transactions happen once, and other effects twice only when interrupted."""
    kills, wrong = kill_environments(function, 5, 20)

    assert kills >= 3
    assert wrong == []


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_run_survives_a_kill_of_its_environment_at_every_point(function: Mortal) -> None:
    """As above, at every point."""
    _, wrong = kill_environments(function, 1, 1)

    assert wrong == []


@pytest.fixture
def queue(local_cloud: RunningCloud) -> Iterator[str]:
    """Address of a queue."""
    sqs = local_cloud.client("sqs")
    url = sqs.create_queue(QueueName=f"flows-{uuid4()}", Attributes={"VisibilityTimeout": "60"})["QueueUrl"]
    yield url
    sqs.delete_queue(QueueUrl=url)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_run_of_a_minute_on_a_function_of_ten_seconds_counts_no_retry(
    local_cloud: RunningCloud, database: Database, create: Create, queue: str
) -> None:
    """It takes several invocations, which SQS starts; its steps are not repeated. `pytest -rP` shows its time."""
    sqs, client = local_cloud.client("sqs"), local_cloud.client("lambda")
    name = create_worker(local_cloud, create, LONG, 10, TASK_QUEUE_URLS=f"flows={queue}", TASK_MARGIN_S="2.5")
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    mapping = client.create_event_source_mapping(
        EventSourceArn=arn, FunctionName=name, BatchSize=1, FunctionResponseTypes=["ReportBatchItemFailures"]
    )["UUID"]
    run = database.start("long_flow", "flows", [18], 0)
    sqs.send_message(QueueUrl=queue, MessageBody=json.dumps({"id": run}))

    while database.status(run)["state"] not in {"SUCCESS", "FAILURE"}:
        time.sleep(0.2)

    client.delete_event_source_mapping(UUID=mapping)
    status = database.status(run)
    steps = database.execute("SELECT name FROM effect")
    took = "SELECT extract(epoch FROM date_done - date_created) FROM decant.task WHERE id = %s"
    [(seconds,)] = database.execute(took, run)
    print(f"60 s of steps and sleeps took {seconds:.1f} s in {status['attempt']} invocations")  # noqa: T201  # a figure
    assert (status["state"], status["result"], status["retries"], status["losses"]) == ("SUCCESS", 18, 0, 0)
    assert status["attempt"] > 6
    assert sorted(steps) == sorted((f"e{number}",) for number in range(18))
