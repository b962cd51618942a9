"""Transactions of tasks that take a session: the worker commits them together with the result."""

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from decant.tasks import AsyncResult, State, task
from decant.tasks.status import Status
from tests.worlds import PostgresWorld, execute

pytestmark = pytest.mark.usefixtures("database_url", "new_tasks")

INSERT = text(
    "INSERT INTO users (id, name, email) SELECT gen_random_uuid(), 'Ada', gen_random_uuid() || '@example.com'"
)


async def run(job: AsyncResult) -> Status:
    """Run due tasks; returns the status of the job."""
    await PostgresWorld().run()
    return await job.status()


async def count() -> int:
    """Number of rows that were committed."""
    (row,) = await execute("SELECT count(*) AS users FROM users")
    users: int = row["users"]
    return users


@pytest.mark.parametrize("method", ["commit", "rollback"])
async def test_task_that_ends_its_transaction_fails(method: str) -> None:
    """Nothing is committed, and the message names the method and the alternatives."""

    @task(name="ends", max_retries=0)
    async def ends(*, session: AsyncSession) -> None:
        await session.execute(INSERT)
        await getattr(session, method)()
        await session.execute(INSERT)

    status = await run(await ends.delay())

    assert (status.state, status.retries, await count()) == (State.FAILURE, 0, 0)
    assert status.failure is not None
    assert status.failure.type == "TaskStopped"
    assert status.failure.message.startswith(f"It called {method}() on its session")
    assert "begin_nested()" in status.failure.message


async def test_task_that_catches_the_refusal_of_its_commit_is_recorded() -> None:
    """The transaction goes on after the error."""

    @task(name="catches", max_retries=0)
    async def catches(*, session: AsyncSession) -> None:
        await session.execute(INSERT)
        try:
            await session.commit()
        except Exception as error:
            raise ValueError("caught") from error

    status = await run(await catches.delay())

    assert (status.state, await count()) == (State.FAILURE, 0)
    assert status.failure is not None
    assert (status.failure.type, status.failure.message) == ("ValueError", "caught")


async def test_task_may_use_savepoints() -> None:
    """A savepoint can be rolled back and another released; the result is recorded."""

    @task(name="nests", max_retries=0)
    async def nests(*, session: AsyncSession) -> str:
        undone = await session.begin_nested()
        await session.execute(INSERT)
        await undone.rollback()
        async with session.begin_nested():
            await session.execute(INSERT)
        return "done"

    status = await run(await nests.delay())

    assert (status.state, status.result, await count()) == (State.SUCCESS, "done", 1)
