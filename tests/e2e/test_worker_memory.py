"""A task that takes more memory than its function has: the whole worker is killed, and no other task is lost by it."""

import json
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.e2e.running import Create, RunningCloud

WORKER = """
    import time
    from decant.tasks import task
    from decant.worker import lambda_handler

    @task(name="memory.takes_too_much")
    async def takes_too_much():
        held = b"x" * (400 << 20)
        time.sleep(30)
        return len(held)

    @task(name="memory.takes_little")
    async def takes_little():
        return "enough"

    handler = lambda_handler()
"""
QUEUE = "memory"  # has no address: no sweep publishes its rows to a worker without these tasks


class Batch:
    """Rows, and the function that their messages are given to."""

    def __init__(self, cloud: RunningCloud, function: str) -> None:
        self._cloud = cloud
        self._function = function
        self._database = cloud.postgres_url.replace("+asyncpg", "")
        self.ids: list[str] = []

    def add(self, name: str, *, priority: int = 0) -> str:
        """Write a row that may be run twice."""
        self.ids.append(str(uuid4()))
        self._execute(
            "INSERT INTO decant.task (id, name, queue, priority, args, kwargs, max_retries) "
            "VALUES (%s, %s, %s, %s, '[]', '{}', 1)",
            self.ids[-1], name, QUEUE, priority,
        )  # fmt: skip
        return self.ids[-1]

    def deliver(self) -> str | None:
        """Give all messages to the function, and let the leases of what it leaves run out; the error it died of."""
        records = [{"messageId": each, "body": json.dumps({"id": each}), "attributes": {}} for each in self.ids]
        answer = self._cloud.client("lambda").invoke(
            FunctionName=self._function, Payload=json.dumps({"Records": records}).encode()
        )
        report: dict[str, str] = json.loads(answer["Payload"].read())
        self._execute("UPDATE decant.task SET lease_expires_at = now() WHERE queue = %s AND state = 'STARTED'", QUEUE)
        self._cloud.invoke("TaskSweeper", {})
        return report.get("errorType")

    def ends(self) -> dict[str, tuple[str, str | None, int]]:
        """State, error and attempts of each row."""
        rows = self._execute("SELECT id, state, error_type, attempt FROM decant.task WHERE queue = %s", QUEUE)
        return {str(row[0]): row[1:] for row in rows}

    def _execute(self, statement: str, *given: Any) -> list[Any]:
        with psycopg.connect(self._database) as connection:
            cursor = connection.execute(statement, given)
            return cursor.fetchall() if cursor.description else []


@pytest.fixture
def batch(local_cloud: RunningCloud, create: Create) -> Batch:
    """A worker as the bundle's own is deployed, but for its tasks and its memory."""
    worker = local_cloud.client("lambda").get_function_configuration(
        FunctionName=local_cloud.function_name("TaskWorker")
    )
    function = create(
        WORKER,
        Layers=[layer["Arn"] for layer in worker["Layers"]],
        Environment=worker["Environment"],
        MemorySize=256,
        Timeout=20,
    )
    return Batch(local_cloud, function)


@pytest.mark.long
def test_task_beyond_the_memory_fails_and_its_neighbours_succeed(batch: Batch) -> None:
    """It is run as often as it may be and no more; the others, who died with it once, run to their end."""
    glutton = batch.add("memory.takes_too_much", priority=9)
    others = [batch.add("memory.takes_little") for _ in range(5)]

    errors = [batch.deliver() for _ in range(3)]

    ends = batch.ends()
    assert errors == ["Runtime.OutOfMemory", "Runtime.OutOfMemory", None]
    assert ends[glutton] == ("FAILURE", "WorkerLost", 2)
    assert [ends[each][:2] for each in others] == [("SUCCESS", None)] * 5
