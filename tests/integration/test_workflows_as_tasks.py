"""A workflow is a task: what applies to tasks applies to its runs."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from decant.tasks import AsyncResult, State, chain, chord, group, task
from decant.tasks.admin import list_tasks
from decant.tasks.records import Runnable
from decant.tasks.registry import registry, runnable
from decant.tasks.schedule import cron
from decant.tasks.store import store
from decant.worker.execution import Deadline
from decant.worker.runner import Runner
from decant.workflows import WorkflowRun, sleep, step, workflow
from tests import flows, work
from tests.worlds import World, pass_time

pytestmark = pytest.mark.usefixtures("new_tasks", "calls")

without_sqs = pytest.mark.parametrize("world", ["memory", "postgres"], indirect=True)
"""For tests that claim tasks themselves."""


async def doubled_later(number: int) -> int:
    """A step, a sleep, and a step."""
    await step(flows.note, f"begin {number}", name="begin")
    await sleep(60)
    received: int = await step(flows.echo, number)
    return 2 * received


async def serve(queue: str) -> None:
    """Run the due tasks of a queue, as its function does."""
    async with Runner(Deadline(60)) as runner:
        await runner.run(await store().claim_due(Runnable(list(registry), queues=[queue]), runner.lease_s, 10))


async def test_chain_waits_for_the_end_of_a_run(world: World) -> None:
    """A run receives the result of the task before it, and the task after it receives the result of the run."""
    double = workflow(name="double")(doubled_later)
    job = await chain(work.add.s(1, 2), double.s(), work.add.s(10)).delay()
    await world.run()
    during = await job.ready()
    await pass_time(world, 60)

    assert (during, await job.get(timeout=60)) == (False, 16)


async def test_chord_collects_the_results_of_runs(world: World, calls: list[str]) -> None:
    """The runs of a group sleep side by side."""
    double = workflow(name="double")(doubled_later)
    job = await chord([double.s(1), work.add.s(1, 1), double.s(3)], work.total.s()).delay()
    await world.run()
    begun = sorted(calls)
    await pass_time(world, 60)

    assert (begun, await job.get(timeout=60)) == (["begin 1", "begin 3"], 10)


async def test_group_of_runs_returns_their_results(world: World) -> None:
    """In the order of the group."""
    double = workflow(name="double")(doubled_later)
    jobs = await group(double.s(number) for number in range(3)).delay()
    await world.run()
    await pass_time(world, 60)

    assert await jobs.get(timeout=60) == [0, 2, 4]


async def test_error_of_a_run_fails_the_tasks_that_need_its_result(world: World) -> None:
    """As that of a task."""
    job = await chain(flows.fails.s(), work.echo.s()).delay()
    await world.run()

    assert isinstance(job, AsyncResult)
    status = await job.status()
    assert status.failure is not None
    assert (status.state, status.failure.type) == (State.FAILURE, "ParentFailed")


async def test_schedule_starts_a_run_at_its_tick(world: World, calls: list[str]) -> None:
    """The run sleeps and continues as any other."""
    in_half_an_hour = datetime.now(UTC) + timedelta(minutes=30)  # the only tick between now and the end of the test

    @workflow(name="periodic", schedule=cron(f"{in_half_an_hour.minute} * * * *"))
    async def periodic() -> None:
        await step(flows.note, "begin")
        await sleep(60)
        await step(flows.note, "end")

    await world.run()
    await pass_time(world, 3600)
    begun = list(calls)
    await pass_time(world, 60)

    assert (begun, calls) == (["begin"], ["begin", "end"])


async def test_unique_run_is_started_once_until_its_end(world: World) -> None:
    """A second start while it sleeps returns the same run."""
    double = workflow(name="double", unique=True)(doubled_later)
    first = await double.start(1)
    await world.run()
    second, other = await double.start(1), await double.start(2)
    await pass_time(world, 60)
    third = await double.start(1)

    assert first == second
    assert len({first, other, third}) == 3


@pytest.mark.usefixtures("world")
@without_sqs
async def test_runs_in_progress_count_for_a_concurrency_limit() -> None:
    """No more of them are claimed at once; a run that sleeps does not count."""
    double = workflow(name="double", concurrency=1)(doubled_later)
    for number in range(2):
        await double.start(number)

    claimed = []
    async with Runner(Deadline(60)) as runner:
        for _ in range(3):
            found = await store().claim_due(runnable(), runner.lease_s, 10)
            claimed.append(len(found))
            await runner.run(found)

    assert claimed == [1, 1, 0]


@without_sqs
async def test_rate_limit_spreads_the_claims_of_runs(world: World, calls: list[str]) -> None:
    """One start in half a minute."""
    double = workflow(name="double", rate_limit="2/m")(doubled_later)
    for number in range(2):
        await double.start(number)
    await world.run()
    first = list(calls)
    await pass_time(world, 30)

    assert (len(first), len(calls)) == (1, 2)


async def test_lists_contain_runs(world: World) -> None:
    """A run that sleeps is PENDING, and listed by its name."""
    run = await workflow(name="double")(doubled_later).start(1)
    await world.run()

    page = await list_tasks(name="double", state=State.PENDING)

    assert [str(found.id) for found in page.tasks] == [run.id]


async def test_running_run_that_is_revoked_starts_no_more_steps(world: World, calls: list[str]) -> None:
    """Its present step ends, and is not recorded again."""

    @workflow(name="revoked")
    async def revoked() -> None:
        await step(flows.note, "a")
        await WorkflowRun(run_id).revoke(terminate=False)
        await sleep(60)
        await step(flows.note, "b")

    run_id = (await revoked.start()).id
    await world.run()
    await pass_time(world, 60)

    assert (await WorkflowRun(run_id).status()).state is State.REVOKED
    assert calls == ["a"]


async def test_step_on_another_queue_is_a_child(world: World) -> None:
    """A worker of that queue runs it, and the run, which sleeps meanwhile, receives its result or its error."""

    @task(name="heavy", max_retries=0)
    async def heavy(number: int) -> int:
        return 1 // number

    @workflow(name="light")
    async def light() -> list[Any]:
        good = await step(heavy, 1, name="good", queue="slow", timeout=30)
        try:
            await step(heavy, 0, name="bad", queue="slow")
        except Exception as error:  # noqa: BLE001  # its class is returned
            return [good, type(error).__name__]
        return []

    run = await light.start()
    for _ in range(2):
        await world.run()
        await serve("slow")
    await world.run()

    queues = [found.queue for found in (await list_tasks(name="heavy")).tasks]
    assert queues == ["slow", "slow"]
    assert await run.result(timeout=60) == [1, "TaskFailed"]
    assert [found.kind for found in await run.steps()] == ["child", "step", "child", "step"]


async def test_step_on_another_queue_must_be_a_task(world: World) -> None:
    """A worker of that queue could not find a function; the error contains the remedy."""

    @workflow(name="light", max_retries=0)
    async def light() -> None:
        await step(flows.note, "a", queue="slow")

    run = await light.start()
    await world.run()

    failure = (await run.status()).failure
    assert failure is not None
    assert (failure.type, "decorate" in failure.message) == ("TypeError", True)


async def test_workflow_that_is_called_runs_its_steps(calls: list[str]) -> None:
    """Outside of a worker nothing is recorded, and a step with a queue calls its task."""

    @task(name="heavy")
    async def heavy(number: int) -> int:
        return number + 1

    @workflow(name="called")
    async def called() -> int:
        await step(flows.note, "a")
        return await step(heavy, 1, queue="slow")

    assert (await called(), calls) == (2, ["a"])


async def test_run_that_was_redriven_continues_after_its_last_step(world: World, calls: list[str]) -> None:
    """A handle of a task redrives it as well."""
    job = await flows.fails.delay()
    await world.run()
    await WorkflowRun(job.id).rewind()
    await world.run()

    assert (calls, await AsyncResult(job.id).state) == (["a", "decline", "decline"], State.FAILURE)
