"""Changed code of open runs: `WorkflowChanged`, `patched`, the check before a deployment, fork and rewind."""

from pathlib import Path
from uuid import uuid4

import pytest

from decant import loop
from decant.cli import main
from decant.errors import Conflict, NotFound
from decant.tasks import State
from decant.workflows import patched, sleep, step, wait_for
from decant.workflows.check import check, sample
from tests import flows
from tests.flows import deploy
from tests.worlds import PostgresWorld, World

pytestmark = pytest.mark.usefixtures("new_tasks", "calls")


async def test_changed_code_suspends_the_run_until_it_matches(world: World, calls: list[str]) -> None:
    """A run whose recorded step is not requested any more waits with the reason, and continues with matching code."""

    async def before() -> str:
        await step(flows.note, "a", name="first")
        await sleep(60)
        return "done"

    async def after() -> str:
        return "changed"

    run = await deploy(before).start()
    await world.run()
    deploy(after)
    await world.advance(61)
    await world.run()
    status = await run.status()
    deploy(before)
    await world.advance(301)
    await world.run()

    assert status.state is State.PENDING
    assert status.failure is not None
    assert (status.failure.type, "first" in status.failure.message) == ("WorkflowChanged", True)
    assert await run.result(timeout=0) == "done"
    assert calls == ["a"]


async def test_patched_code_keeps_the_branch_of_runs_that_have_passed_it(world: World, calls: list[str]) -> None:
    """Old runs take the old branch, new runs the new branch, in every claim."""

    async def before() -> None:
        await step(flows.note, "a")
        await step(flows.note, "b")
        await sleep(60)

    async def after() -> None:
        await step(flows.note, "a")
        if patched("c"):
            await step(flows.note, "c", name="c")
        else:
            await step(flows.note, "b")
        await sleep(60)
        await sleep(60)

    old = await deploy(before).start()
    await world.run()
    new = await deploy(after).start()
    for _ in range(3):
        await world.run()
        await world.advance(61)

    assert [(await run.status()).state for run in (old, new)] == [State.SUCCESS, State.SUCCESS]
    assert calls == ["a", "b", "a", "c"]


async def test_check_finds_runs_that_the_code_does_not_continue(world: World) -> None:
    """Steps that are missing, of another kind or of another type are reported; nothing is executed or written."""

    async def before() -> None:
        await step(flows.note, "a", name="first")
        await wait_for("go")

    async def same() -> None:
        await step(flows.note, "a", name="first")
        await step(flows.note, "b", name="second")

    async def missing() -> None:
        return None

    async def other_kind() -> None:
        await sleep(60, name="first")

    async def other_type() -> None:
        await step(number, name="first")

    await deploy(before).start()
    await world.run()
    samples = await sample()
    reasons = []
    for code in (before, same, missing, other_kind, other_type):
        deploy(code)
        reasons.append([violation.reason for violation in await check(samples)])

    assert reasons[:2] == [[], []]
    assert ["without the recorded step first" in reason for reason in reasons[2]] == [True]
    assert ["recorded as a step, and is now a sleep" in reason for reason in reasons[3]] == [True]
    assert ["does not fit its type" in reason for reason in reasons[4]] == [True]
    assert flows.CALLS == ["a"]


async def number() -> int:
    """A number."""
    return 1


@pytest.mark.usefixtures("database_url")
def test_command_checks_a_sample_of_another_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`check --sample` reads what `sample` has printed, names the runs that do not match, and fails."""

    async def before() -> None:
        await step(flows.note, "a", name="first")
        await wait_for("go")

    async def after() -> None:
        return None

    async def begin() -> str:
        run = await deploy(before).start()
        await PostgresWorld().run()
        return run.id

    run_id = loop.run(begin())
    main(["workflows", "sample", "--name", "changing"])
    runs = tmp_path / "runs.json"
    runs.write_text(capsys.readouterr().out)
    matching = main(["workflows", "check", "--sample", str(runs)])
    deploy(after)
    changed = main(["workflows", "check", "--sample", str(runs)])

    assert (matching, changed) == (0, 1)
    assert f"changing {run_id}: " in capsys.readouterr().out


async def test_fork_continues_with_the_results_before_a_step(world: World, calls: list[str]) -> None:
    """Steps before the named one are copied, with other arguments for the rest."""
    run = await flows.onboard.start(user_id := uuid4(), plan="pro")
    await world.run()
    fork = await run.fork(before="plan", args={"plan": "free"})
    await world.run()

    assert (await run.result(timeout=60), await fork.result(timeout=60)) == ("pro", "free")
    assert calls == [str(user_id), "patched", "pro", "free"]


async def test_fork_before_an_unknown_step_is_an_error(world: World) -> None:
    """Nothing is started."""
    run = await flows.onboard.start(uuid4())
    await world.run()

    with pytest.raises(NotFound):
        await run.fork(before="no such step")


async def test_rewind_repeats_a_failed_run_from_a_step(world: World, calls: list[str]) -> None:
    """In place, from the named step on."""
    run = await flows.fails.start()
    await world.run()
    await run.rewind(before="note")
    await world.run()

    assert calls == ["a", "decline", "a", "decline"]


async def test_rewind_of_a_run_that_has_not_failed_is_a_conflict(world: World) -> None:
    """An open run is forked instead."""
    run = await flows.two_steps.start()
    await world.run()

    with pytest.raises(Conflict):
        await run.rewind()
