"""Enqueuing: the row is committed before its message is sent."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import URL, make_url

from decant import db
from decant.asgi import await_
from decant.observability import correlate
from decant.tasks import AsyncResult, State, Task, task
from decant.tasks.records import Runnable
from decant.tasks.registry import registry
from decant.tasks.store.postgres import PostgresStore
from tests import work
from tests.queues import SqsQueue
from tests.worlds import PostgresWorld, execute


@pytest.mark.usefixtures("database_url")
async def test_message_carries_the_id_and_no_arguments(queue: SqsQueue) -> None:
    """The message holds the task id only."""
    job = await work.echo.delay("secret")

    (record,) = queue.receive()

    assert record["body"] == f'{{"id":"{job.id}"}}'


@pytest.mark.usefixtures("database_url")
async def test_group_key_is_the_message_group(queue: SqsQueue) -> None:
    """The key becomes the message group of a fair queue."""
    await work.add.apply_async((1,), group_key="tenant-7")

    (record,) = queue.receive()

    assert record["attributes"]["MessageGroupId"] == "tenant-7"


@pytest.mark.usefixtures("database_url")
@pytest.mark.parametrize("key", ["Zürich", "a b", "k" * 129])
async def test_group_key_that_sqs_rejects_is_sent_as_digest(queue: SqsQueue, key: str) -> None:
    """Other messages of the call would be rejected with it; the run receives the key as it is."""
    job = await work.add.apply_async((1,), group_key=key)

    (record,) = queue.receive()

    assert record["body"] == f'{{"id":"{job.id}"}}'
    assert record["attributes"]["MessageGroupId"].startswith("sha256:")


@pytest.mark.usefixtures("database_url")
async def test_countdown_within_the_queues_reach_delays_the_message(queue: SqsQueue) -> None:
    """The message is delayed."""
    await work.add.apply_async((1,), countdown=900)

    assert queue.waiting() == {"now": 0, "later": 1}


@pytest.mark.usefixtures("database_url")
async def test_countdown_beyond_the_queues_reach_sends_no_message(queue: SqsQueue) -> None:
    """The sweeper publishes the task when it is due."""
    await work.add.apply_async((1,), countdown=901)

    assert queue.waiting() == {"now": 0, "later": 0}


@pytest.mark.usefixtures("database_url")
async def test_many_tasks_are_ten_to_a_call(queue: SqsQueue) -> None:
    """Every task has a message."""
    jobs = await work.add.delay_many([(n,) for n in range(25)])

    assert len(queue.receive()) == len({job.id for job in jobs}) == 25


@pytest.mark.usefixtures("database_url")
async def test_nothing_is_announced_before_the_callers_transaction_commits(queue: SqsQueue) -> None:
    """The message is sent after the commit, when workers can see the row."""
    async with db.session() as session:
        await work.add.apply_async((1,), session=session)
        before = queue.waiting()

    assert (before["now"], queue.waiting()["now"]) == (0, 1)


@pytest.mark.usefixtures("database_url")
async def test_task_goes_with_the_callers_transaction(queue: SqsQueue) -> None:
    """A rollback removes the task, and nothing is sent."""
    with suppress(LookupError):
        async with db.session() as session:
            await work.add.apply_async((1,), session=session)
            raise LookupError

    assert queue.waiting()["now"] == 0
    assert await execute("SELECT id FROM decant.task") == []


@pytest.mark.usefixtures("database_url")
async def test_task_goes_with_the_callers_savepoint(queue: SqsQueue) -> None:
    """A savepoint that is rolled back takes its tasks with it."""
    async with db.session() as session:
        kept = await work.add.apply_async((1,), session=session)
        with suppress(LookupError):
            async with session.begin_nested():
                await work.add.apply_async((2,), session=session)
                raise LookupError
        async with session.begin_nested():
            kept_too = await work.add.apply_async((3,), session=session)

    bodies = {record["body"] for record in queue.receive()}
    assert bodies == {f'{{"id":"{job.id}"}}' for job in (kept, kept_too)}


@pytest.mark.usefixtures("database_url")
async def test_task_of_a_released_savepoint_goes_with_the_outer_savepoint(queue: SqsQueue) -> None:
    """An outer savepoint that is rolled back takes the tasks of the savepoints inside it with it."""
    async with db.session() as session:
        kept = await work.add.apply_async((1,), session=session)
        with suppress(LookupError):
            async with session.begin_nested():
                async with session.begin_nested():
                    await work.add.apply_async((2,), session=session)
                raise LookupError

    assert [record["body"] for record in queue.receive()] == [f'{{"id":"{kept.id}"}}']
    assert len(await execute("SELECT id FROM decant.task")) == 1


@pytest.mark.usefixtures("database_url", "queue")
async def test_unreachable_queue_fails_no_caller(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The task is marked unpublished, with a warning in the log."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    job = await work.add.delay(1)

    (row,) = await execute("SELECT wake_at <= now() AS due FROM decant.task")
    assert (await job.state, row["due"]) == (State.PENDING, True)
    assert [record.levelname for record in caplog.records if record.name == "decant.tasks"] == ["WARNING"]


@pytest.mark.usefixtures("database_url", "queue")
async def test_unreachable_queue_needs_no_second_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller's connection is released before the task is marked unpublished."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("DATABASE_POOL_SIZE", "1")

    async with db.session() as session:
        await work.add.apply_async((1,), session=session)

    assert [row["due"] for row in await execute("SELECT wake_at <= now() AS due FROM decant.task")] == [True]


@pytest.mark.usefixtures("database_url", "queue")
async def test_missing_credentials_fail_no_caller(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """An error between the insert and the message does not reach the caller."""
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(variable)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))

    job = await work.add.delay(1)

    assert await job.state is State.PENDING


@pytest.mark.usefixtures("database_url")
async def test_correlation_id_is_kept_in_the_row() -> None:
    """The correlation id is stored with the task."""
    with correlate("request-1"):
        await work.add.delay(1)

    (row,) = await execute("SELECT correlation_id FROM decant.task")
    assert row["correlation_id"] == "request-1"


@pytest.mark.usefixtures("database_url")
async def test_ids_ascend() -> None:
    """A later task has a greater id, so that new rows are adjacent."""
    jobs = [await work.add.delay(1) for _ in range(5)]
    numbers = [UUID(job.id).int >> 80 for job in jobs]

    assert numbers == sorted(numbers)
    assert {UUID(job.id).version for job in jobs} == {7}


@pytest.mark.usefixtures("database_url")
async def test_wrong_arguments_write_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The caller receives the error, and nothing is inserted."""
    caplog.set_level(logging.CRITICAL)

    with pytest.raises(TypeError, match=r"add\(\): Expected `int`, got `str`"):
        await work.add.delay("one")

    assert await execute("SELECT id FROM decant.task") == []


@pytest.mark.usefixtures("database_url")
async def test_same_key_at_once_makes_one_task() -> None:
    """Two callers in two transactions get the same task."""
    async with db.session() as first, db.session() as second:
        one = await work.add.apply_async((1,), idempotency_key="k", session=first)
        await first.commit()
        two = await work.add.apply_async((1,), idempotency_key="k", session=second)

    assert one == two


@pytest.mark.usefixtures("database_url")
async def test_unique_call_stands_for_its_equals_while_it_runs() -> None:
    """A unique task blocks equal calls until it is finished."""
    first = await work.alone.delay(1)
    await PostgresStore().claim([UUID(first.id)], Runnable(list(registry)), 60, alone=False)

    assert await first.state is State.STARTED
    assert await work.alone.delay(1) == first


@pytest.mark.usefixtures("database_url")
async def test_many_tasks_go_with_the_callers_transaction(queue: SqsQueue) -> None:
    """A rollback removes all tasks of the workflow."""
    with suppress(LookupError):
        async with db.session() as session:
            await work.add.delay_many([(n,) for n in range(20)], session=session)
            raise LookupError

    assert queue.waiting()["now"] == 0
    assert await execute("SELECT id FROM decant.task") == []


@asynccontextmanager
async def _losing_a_response(address: URL) -> AsyncIterator[tuple[URL, list[bytes]]]:
    """A relay to the server that closes the connection in place of the response to the first INSERT of tasks.

    Yields:
        Its address, and a list that contains the response when it was lost.
    """
    inserts, lost = asyncio.Event(), list[bytes]()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, from_client: bool) -> None:
        while data := await reader.read(1 << 16):
            if from_client and b"INSERT INTO decant.task" in data:
                inserts.set()
            if not from_client and inserts.is_set() and not lost and b"SELECT 1\0" in data:  # it is committed
                lost.append(data)
                break
            writer.write(data)
            await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        responses, server = await asyncio.open_connection(address.host, address.port)
        await asyncio.gather(relay(reader, server, from_client=True), relay(responses, writer, from_client=False))

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        yield address.set(port=listening.sockets[0].getsockname()[1]), lost
        await db.dispose()


@pytest.mark.parametrize("given", [work.add, work.alone], ids=["new", "unique"])
async def test_calls_whose_response_was_lost_are_inserted_once(
    database_url: str, monkeypatch: pytest.MonkeyPatch, given: Task[[int], Any]
) -> None:
    """The INSERT is repeated on another connection, and finds the rows."""
    async with _losing_a_response(make_url(database_url)) as (address, lost):
        monkeypatch.setenv("DATABASE_URL", address.render_as_string(hide_password=False))
        jobs = await given.delay_many([(n,) for n in range(3)])
        rows = await execute("SELECT id FROM decant.task ORDER BY id")

    assert lost
    assert sorted(str(row["id"]) for row in rows) == sorted(job.id for job in jobs)


@pytest.mark.usefixtures("database_url", "new_tasks")
async def test_synchronous_task_uses_the_database_and_enqueues() -> None:
    """A plain function awaits on the loop from its thread, and its task is published."""

    @task
    def outer() -> str:
        (row,) = await_(execute("SELECT 20 + 1 AS number"))
        return work.add.delay(row["number"], 21).id

    job = await outer.delay()
    await PostgresWorld().run()

    assert await AsyncResult(await job.result).result == 42
