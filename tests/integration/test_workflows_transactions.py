"""Steps in the transaction of their effects, with either driver of PostgreSQL."""

import json
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from decant import runtime
from decant.workflows import WorkflowRun, step
from tests import flows
from tests.flows import deploy
from tests.worlds import PostgresWorld, execute

WORLD = PostgresWorld()
LONG = "x" * 20_000
RESULTS = ['it\'s \\ 100 % of {all} "texts" :name é\n', LONG]


pytestmark = pytest.mark.usefixtures("new_tasks", "calls", "driver")


@pytest.fixture(params=["asyncpg", "psycopg"])
def driver(request: pytest.FixtureRequest, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each driver in turn."""
    monkeypatch.setenv("DATABASE_URL", database_url.replace("asyncpg", request.param))
    runtime.current().reload()


async def start(function: Callable[[], Awaitable[str]], constraint: str = "") -> WorkflowRun:
    """Start a run beside a table for its effects."""
    await execute(f"CREATE TABLE effect (name text NOT NULL {constraint})")
    return await deploy(function).start()


async def count_effects() -> int:
    """Number of effects that were committed."""
    found: int = (await execute("SELECT count(*) AS count FROM effect"))[0]["count"]
    return found


async def insert(name: str, *, session: AsyncSession) -> str:
    """Write an effect."""
    await session.execute(text("INSERT INTO effect (name) VALUES (:name)"), {"name": name})
    return name


@pytest.mark.parametrize("result", RESULTS, ids=["special characters", "long"])
async def test_result_is_recorded_with_its_effect(result: str) -> None:
    """Any text is recorded as it is, also in the name of the step."""
    name = result[:50]

    async def writing() -> str:
        return await step(insert, result, name=name)

    run = await start(writing)
    await WORLD.run()

    assert await run.result(timeout=0) == result
    recorded = await execute("SELECT name, CAST(result AS text) AS result FROM decant.step")
    assert [(row["name"], json.loads(row["result"])) for row in recorded] == [(name, result)]
    assert await count_effects() == 1


@pytest.mark.parametrize("result", ["short", LONG], ids=["short", "long"])
async def test_effect_of_a_claim_that_lost_its_lease_is_rolled_back(result: str) -> None:
    """A transactional step commits only while the run holds its lease."""

    async def lose_lease(*, session: AsyncSession) -> str:
        await insert(result, session=session)
        if not flows.CALLS:
            flows.CALLS.append("lost")
            await execute("UPDATE decant.task SET attempt = attempt + 1")
        return result

    async def losing() -> str:
        return await step(lose_lease)

    run = await start(losing)
    await WORLD.run()
    during = await count_effects()
    await WORLD.advance(100)
    await WORLD.run()

    assert during == 0
    assert await run.result(timeout=0) == result
    assert await count_effects() == 1


@pytest.mark.parametrize("result", ["short", LONG], ids=["short", "long"])
async def test_effect_of_a_step_that_was_recorded_before_is_rolled_back(result: str) -> None:
    """The earlier result takes precedence."""

    async def record_meanwhile(*, session: AsyncSession) -> str:
        await insert(result, session=session)
        await execute(
            "INSERT INTO decant.step (task_id, name, n, seq, attempt, kind, result, date_done) "
            "SELECT id, 'slow', 0, 0, 0, 'step', '\"first\"', now() FROM decant.task"
        )
        return result

    async def conflicting() -> str:
        return await step(record_meanwhile, name="slow")

    run = await start(conflicting)
    await WORLD.run()

    assert await run.result(timeout=0) == "first"
    assert await count_effects() == 0


async def test_transaction_that_ends_in_a_deadlock_is_repeated() -> None:
    """PostgreSQL has rolled it back; this counts no retry of the step."""

    async def deadlock(*, session: AsyncSession) -> str:
        await insert("effect", session=session)
        flows.CALLS.append("tried")
        if len(flows.CALLS) == 1:
            await session.execute(text("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40P01'; END $$"))
        return "done"

    async def meeting() -> str:
        return await step(deadlock)

    run = await start(meeting)
    await WORLD.run()

    assert await run.result(timeout=0) == "done"
    assert len(flows.CALLS) == 2
    assert await count_effects() == 1


async def test_error_of_the_commit_is_that_of_the_step() -> None:
    """A deferred constraint fails at the commit; nothing is kept, and the step records the error."""

    async def violate(*, session: AsyncSession) -> None:
        await insert("same", session=session)
        await insert("same", session=session)

    async def violating() -> str:
        try:
            await step(violate)
        except Exception as error:  # noqa: BLE001  # its class is that of the driver
            return type(error).__name__
        return "no error"

    run = await start(violating, "UNIQUE DEFERRABLE INITIALLY DEFERRED")
    await WORLD.run()

    assert await run.result(timeout=0) == "IntegrityError"
    assert await count_effects() == 0
