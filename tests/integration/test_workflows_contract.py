"""Behaviour of workflows that all environments share."""

import asyncio

import pytest

from decant.errors import Conflict, StepFailed, TaskFailed, TaskRevoked
from decant.tasks import AsyncResult, State
from decant.tasks.admin import redrive
from decant.workflows import WorkflowRun, sleep, step
from tests import flows
from tests.worlds import World, pass_time

pytestmark = pytest.mark.usefixtures("calls")


async def test_run_continues_after_a_sleep_of_days(world: World, calls: list[str]) -> None:
    """Steps before a sleep are not repeated after it."""
    run = await flows.two_steps.start()
    await world.run()
    during = (await run.status()).state, list(calls)
    await pass_time(world, 3 * 86_400)

    assert during == (State.PENDING, ["a"])
    assert await run.result(timeout=60) == ["a", "b"]
    assert calls == ["a", "b"]
    assert (await run.status()).retries == 0


async def test_run_does_not_end_a_sleep_early(world: World, calls: list[str]) -> None:
    """A day before its end, the run still sleeps."""
    run = await flows.two_steps.start()
    await world.run()
    await pass_time(world, 2 * 86_400)

    assert (calls, (await run.status()).state) == (["a"], State.PENDING)


async def test_steps_are_listed_in_the_order_of_their_calls(world: World) -> None:
    """Their kinds, results and claims are shown."""
    run = await flows.two_steps.start()
    await world.run()
    await pass_time(world, 3 * 86_400)

    steps = await run.steps()
    assert [(step.name, step.kind, step.result, step.attempt) for step in steps] == [
        ("note", "step", "a", 1),
        ("sleep", "sleep", None, 1),
        ("note_in_thread", "step", "b", 2),
    ]


async def test_results_have_the_annotated_type_in_every_claim(world: World) -> None:
    """A recorded time is a datetime again."""
    run = await flows.typed.start()
    await world.run()
    await pass_time(world, 60)

    assert await run.result(timeout=60) == "datetime"


async def test_error_of_a_step_is_raised_again_with_its_class_and_attributes(world: World, calls: list[str]) -> None:
    """A resumed run handles the same error, and the step is not repeated."""
    run = await flows.handles_error.start()
    await world.run()
    await pass_time(world, 60)

    assert await run.result(timeout=60) == 7
    assert calls == ["decline"]


@pytest.mark.usefixtures("new_tasks")
async def test_retries_of_a_step_wait_and_end(world: World, calls: list[str]) -> None:
    """A step with two retries is called three times; long pauses suspend the run."""

    async def retried() -> None:
        await step(flows.decline, 3, retries=2)

    run = await flows.deploy(retried, max_retries=0).start()
    for _ in range(3):
        await world.run()
        await world.advance(10)

    with pytest.raises(TaskFailed, match="Declined"):
        await run.result(timeout=0)
    assert calls == ["decline"] * 3


@pytest.mark.usefixtures("new_tasks")
async def test_timeout_of_a_step_cancels_it(world: World) -> None:
    """The step fails with TimeLimitExceeded, which the workflow can handle."""

    async def slow() -> None:
        await step(asyncio.sleep, 60, timeout=0.05)

    run = await flows.deploy(slow, max_retries=0).start()
    await world.run()

    with pytest.raises(TaskFailed, match="TimeLimitExceeded"):
        await run.result(timeout=0)


@pytest.mark.usefixtures("new_tasks")
async def test_error_whose_class_cannot_be_imported_is_step_failed(world: World) -> None:
    """A resumed run gets the class and the message of the error as attributes; the claim of the step, the error."""

    class Local(Exception):
        pass

    async def fail() -> None:
        raise Local("no")

    async def failing() -> list[str]:
        caught: Exception | None = None
        try:
            await step(fail, name="fail")
        except (Local, StepFailed) as error:
            caught = error
        await sleep(60)
        return [type(caught).__name__, str(getattr(caught, "type", "")), str(caught)]

    run = await flows.deploy(failing).start()
    await world.run()
    await pass_time(world, 60)

    name, original, message = await run.result(timeout=0)
    assert (name, original.endswith("Local"), "no" in message) == ("StepFailed", True, True)


async def test_error_of_a_step_fails_the_run(world: World) -> None:
    """An error that the workflow does not handle is that of the run."""
    run = await flows.fails.start()
    await world.run()

    with pytest.raises(TaskFailed) as caught:
        await run.result(timeout=60)
    assert (caught.value.type, caught.value.message) == ("Declined", "no")


async def test_redrive_repeats_the_step_that_failed(world: World, calls: list[str]) -> None:
    """Steps that succeeded are kept."""
    run = await flows.fails.start()
    await world.run()
    await redrive([run.id])
    await world.run()

    assert calls == ["a", "decline", "decline"]


async def test_branches_run_while_others_sleep(world: World, calls: list[str]) -> None:
    """A branch that sleeps does not interrupt a branch with steps in progress."""
    run = await flows.fan_out.start(4)
    await world.run()
    during = set(calls)
    for _ in range(3):
        await pass_time(world, 60)

    assert during == {"a0", "b0", "a1", "a2", "a3"}
    assert await run.result(timeout=60) == ["b0", "b1", "b2", "b3"]
    assert sorted(calls) == ["a0", "a1", "a2", "a3", "b0", "b1", "b2", "b3"]


async def test_branches_of_an_anyio_task_group_are_suspended_and_resumed(world: World, calls: list[str]) -> None:
    """As those of asyncio; a step that a cancel scope has cancelled leaves no record, and the others go on."""
    run = await flows.anyio_branches.start(4)
    await world.run()
    during = sorted(calls)
    for _ in range(3):
        await pass_time(world, 60)

    assert during == ["a", "a", "a"]
    assert await run.result(timeout=60) == ["cancelled", "b1", "b2", "b3"]
    assert sorted(calls) == ["a", "a", "a", "b1", "b2", "b3"]


async def test_run_that_continues_as_new_keeps_its_id_and_its_signals(world: World, calls: list[str]) -> None:
    """Recorded steps are deleted, signals that were not received are kept, and the arguments are the new ones."""
    run = await flows.counter.start(0, last=3)
    for number in (1, 2, 3):
        await run.send("number", number)
    await world.run()

    assert await run.result(timeout=60) == 3
    assert calls == ["step 0", "step 1", "step 2"]
    assert [step.result for step in await run.steps()] == ["step 2", 3]
    assert (await run.status()).retries == 0


async def test_child_is_started_once_and_wakes_its_parent(world: World) -> None:
    """The parent waits for the results of children that sleep."""
    run = await flows.parent.start(3)
    await world.run()
    await pass_time(world, 60)
    await world.run()

    assert await run.result(timeout=60) == [0, 1, 2]


async def test_error_of_a_child_is_raised(world: World) -> None:
    """A child that fails raises TaskFailed in its parent."""
    run = await flows.parent_of_failure.start()
    await world.run()
    await world.run()

    assert await run.result(timeout=60) == "TaskFailed"


async def test_values_are_recorded(world: World) -> None:
    """The time, ids and random numbers are the same in every claim."""
    run = await flows.values.start()
    await world.run()
    await pass_time(world, 60)

    assert await run.result(timeout=60) == [True]


async def test_keys_of_steps_differ(world: World) -> None:
    """The key contains the run, the name and the number of the step."""
    run = await flows.keys.start()
    await world.run()

    assert await run.result(timeout=60) == [f"{run.id}:own_key:0", f"{run.id}:own_key:1"]


async def test_task_can_have_steps(world: World, calls: list[str]) -> None:
    """A task that is no workflow is suspended and resumed too."""
    job = await flows.task_with_steps.delay()
    await world.run()
    await pass_time(world, 60)

    assert (await job.get(timeout=60), calls) == ("b", ["a", "b"])


async def test_workflow_is_a_task(world: World) -> None:
    """It can be enqueued, and its handles refer to the same run."""
    job = await flows.approved.delay()
    await WorkflowRun(job.id).send("approved", {"by": "ada"})
    await world.run()

    assert await AsyncResult(job.id).get(timeout=60) == "ada"


async def test_run_of_a_key_is_started_once(world: World) -> None:
    """The second call returns the first run, and the run is found by its key."""
    first = await flows.approved.start(id="order-7")
    second = await flows.approved.start(id="order-7")
    await first.send("approved", {"by": "ada"})
    await world.run()

    assert first == second == await flows.approved.find("order-7")


async def test_revoked_run_ends(world: World) -> None:
    """A suspended run is closed at once, and receives no signals."""
    run = await flows.approved.start()
    await world.run()
    await run.revoke()

    with pytest.raises(TaskRevoked, match="while it was not running"):
        await run.result(timeout=60)
    with pytest.raises(Conflict):
        await run.send("approved", {"by": "ada"})


async def test_suspended_run_does_not_expire(world: World) -> None:
    """`expires` bounds the start of a run, not its end."""
    job = await flows.two_steps.apply_async(expires=3600)
    await world.run()
    await pass_time(world, 3 * 86_400)

    assert await job.get(timeout=60) == ["a", "b"]
