"""Runs of workflows on PostgreSQL: time limits, interruptions, lost leases, changed code, commands."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from decant import db
from decant.cli import main
from decant.errors import TaskFailed
from decant.tasks import State, task
from decant.tasks.records import Runnable
from decant.tasks.registry import registry
from decant.tasks.sql import sweep
from decant.tasks.store import store
from decant.testing import memory
from decant.worker.execution import Deadline
from decant.worker.runner import Runner
from decant.workflows import StepInterrupted, WorkflowRun, step
from tests import flows, work
from tests.flows import deploy
from tests.worlds import PostgresWorld, execute, sweep_once

pytestmark = pytest.mark.usefixtures("database_url", "new_tasks", "calls")

WORLD = PostgresWorld()


async def invoke(seconds: float) -> None:
    """Run due tasks in an invocation of this duration."""
    async with Runner(Deadline(seconds)) as runner:
        await runner.run(await store().claim_due(Runnable(list(registry)), runner.lease_s, 10))


async def test_run_continues_in_the_next_invocation_without_a_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    """No step starts without time; a run of many steps takes several invocations, and no step is repeated."""
    monkeypatch.setenv("TASK_MARGIN_S", "0.6")

    async def long() -> int:
        for number in range(12):
            await step(flows.note, str(number))
            await step(asyncio.sleep, 0.1)
        return len(flows.CALLS)

    run = await deploy(long, max_retries=0).start()
    invocations = 0
    while not (await run.status()).date_done:
        await invoke(1.5)
        invocations += 1

    status = await run.status()
    assert (status.state, status.result, status.retries) == (State.SUCCESS, 12, 0)
    assert invocations > 1


async def test_step_that_fills_an_invocation_fails_after_its_interruptions(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is interrupted four times, and the error contains the remedy; the run itself counts no retry."""
    monkeypatch.setenv("TASK_MARGIN_S", "0.2")

    async def too_long() -> None:
        await step(asyncio.sleep, 60, name="too long")

    run = await deploy(too_long, max_retries=0).start()
    for _ in range(5):
        await invoke(1)

    with pytest.raises(TaskFailed, match="queue="):
        await run.result(timeout=0)


async def test_step_with_once_is_not_repeated(calls: list[str]) -> None:
    """A step that was interrupted raises StepInterrupted in place of a second call."""

    async def interrupted() -> str:
        try:
            return await step(flows.note, "a", once=True)
        except StepInterrupted:
            return "interrupted"

    run = await deploy(interrupted).start()
    await execute("UPDATE decant.task SET attempt = 1")
    await execute(
        "INSERT INTO decant.step (task_id, name, n, seq, attempt, kind, date_done) "
        "SELECT id, 'note', 0, 0, 1, 'begun', now() FROM decant.task"
    )
    await WORLD.run()

    assert (await run.result(timeout=0), calls) == ("interrupted", [])


async def test_result_recorded_by_an_earlier_claim_takes_precedence() -> None:
    """A conflict on the key of a step is not a lost lease."""

    async def recorded_meanwhile() -> str:
        await execute(
            "INSERT INTO decant.step (task_id, name, n, seq, attempt, kind, result, date_done) "
            "SELECT id, 'slow', 0, 0, 0, 'step', '\"first\"', now() FROM decant.task"
        )
        return "second"

    async def conflicting() -> str:
        return await step(recorded_meanwhile, name="slow")

    run = await deploy(conflicting).start()
    await WORLD.run()

    assert await run.result(timeout=0) == "first"


async def test_worker_lost_after_a_step_counts_no_retry() -> None:
    """A run that has made progress since its claim is not poison."""
    run = await flows.two_steps.start()
    await WORLD.run()
    await execute("UPDATE decant.task SET state = 'STARTED', wake_at = NULL, lease_expires_at = now() - interval '1 s'")
    await sweep_once()

    [row] = await execute("SELECT state, retries, losses FROM decant.task")
    assert (row["state"], row["retries"], row["losses"]) == ("PENDING", 0, 0)
    await run.revoke()


async def test_signal_sent_while_the_run_is_being_suspended_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal between the check and the suspension makes the run due at once."""
    run = await flows.several_signals.start(1)
    complete = type(store()).complete

    async def send_before(self: Any, *args: Any) -> Any:
        await run.send("number", 7, id="once")
        return await complete(self, *args)

    monkeypatch.setattr(type(store()), "complete", send_before)
    await invoke(30)
    waiting = await execute("SELECT state, suspended, eta <= statement_timestamp() AS due FROM decant.task")
    monkeypatch.undo()
    await invoke(30)

    assert [(row["state"], row["suspended"], row["due"]) for row in waiting] == [("PENDING", False, True)]
    assert await run.result(timeout=0) == [7]


async def test_rejected_step_does_not_affect_others() -> None:
    """A step whose record PostgreSQL rejects fails by itself; steps of the same statement are recorded."""

    async def two() -> list[str]:
        good = step(flows.note, "a", name="good")
        bad = step(flows.note, "b", name="bad\x00")
        found = await asyncio.gather(good, bad, return_exceptions=True)
        return [type(result).__name__ for result in found]

    run = await deploy(two).start()
    await WORLD.run()

    assert await run.result(timeout=0) == ["str", "ValueError"]


async def test_result_that_is_too_long_is_an_error() -> None:
    """The error names where to store it, and the step is not repeated."""

    async def long() -> str:
        return "x" * 300_000

    async def too_long() -> None:
        await step(long, retries=0)

    run = await deploy(too_long, max_retries=0).start()
    await WORLD.run()

    with pytest.raises(TaskFailed, match="store it elsewhere"):
        await run.result(timeout=0)


def test_commands_show_signal_and_fork_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m decant workflows` lists, shows, signals, forks, and checks."""
    from decant import loop

    async def begin() -> WorkflowRun:
        run = await flows.approved.start()
        await WORLD.run()
        return run

    run = loop.run(begin())
    statuses = [
        main(["workflows", *arguments])
        for arguments in (
            ["list"],
            ["show", run.id],
            ["check"],
            ["signal", run.id, "approved", '{"by": "ada"}', "--key", "one"],
            ["fork", run.id, "--before", "note"],
            ["fork", run.id, "--before", "no such step"],
        )
    ]

    output = capsys.readouterr()
    assert statuses == [0, 0, 0, 0, 0, 1]
    assert f"{run.id} tests.flows.approved PENDING 1 steps, waits for a signal" in output.out
    assert 'step   note: "a"' in output.out
    assert "error: Run" in output.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fork", "id", "--args", "7"], "argument --args: Expected `object`, got `int`"),
        (["signal", "id", "topic", "ada"], "argument payload: JSON is malformed"),
        (["check", "--sample", "no-such-file"], "argument --sample: no-such-file: No such file or directory"),
        (["check", "--sample", "README.md"], "argument --sample: JSON is malformed"),
        (["list", "--count", "-1"], "argument --count: -1 is less than 1"),
    ],
)
def test_command_with_an_invalid_argument_names_it(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit status is that of other invalid command lines."""
    with pytest.raises(SystemExit, match="2"):
        main(["workflows", *arguments])

    assert message in capsys.readouterr().err


async def _runs_with_rows() -> list[set[str]]:
    """Runs that have steps, and runs that have signals."""
    tables = ("SELECT task_id FROM decant.step", "SELECT task_id FROM decant.signal")
    return [{str(row["task_id"]) for row in await execute(statement)} for statement in tables]


async def test_steps_and_signals_are_deleted_with_their_run() -> None:
    """By the sweeper, by `forget`, and by a statement of the user; those of other runs are kept."""
    with_signal = [await flows.approved.start() for _ in range(3)]
    with_steps = await flows.keys.start()
    for run in with_signal:
        await run.send("approved", {"by": "ada"})
    await WORLD.run()

    await execute("DELETE FROM decant.task WHERE id = CAST(:id AS uuid)", id=with_signal[0].id)
    await store().forget(UUID(with_signal[1].id))
    left = await _runs_with_rows()
    await WORLD.advance(8 * 86_400)
    await sweep_once()

    assert left == [{with_signal[2].id, with_steps.id}, {with_signal[2].id}]
    assert await _runs_with_rows() == [set(), set()]
    await db.dispose()


async def test_signals_of_a_task_without_steps_are_deleted_with_it() -> None:
    """The row of an ordinary task that has succeeded says that it has no steps."""
    run = WorkflowRun((await work.echo.delay("a")).id)
    await run.send("approved", {"by": "ada"})
    await WORLD.run()
    stored = await execute("SELECT has_steps, signalled FROM decant.task")

    await store().forget(UUID(run.id))

    assert stored == [{"has_steps": False, "signalled": 1}]
    assert await _runs_with_rows() == [set(), set()]
    await db.dispose()


async def test_deletion_ends_before_the_run_with_too_many_steps() -> None:
    """A batch has a limit of steps, which one run may exceed; tasks are deleted in the order of their ends."""

    @task
    async def plain() -> None: ...

    async def two_steps() -> None:
        await step(flows.note, "a")
        await step(flows.note, "b")

    run = deploy(two_steps)
    for _ in range(2):
        await run.start()
        await WORLD.run()
        await plain.delay()
        await WORLD.run()

    rows = [await execute(sweep.DELETE, age_s=0, count=10, step_count=1) for _ in range(3)]

    assert [deleted["rows"] for (deleted,) in rows] == [4, 4, 0]
    assert await _runs_with_rows() == [set(), set()]
    await db.dispose()


async def test_run_has_a_limit_of_steps(kept_logs: None, caplog: pytest.LogCaptureFixture) -> None:
    """A warning is logged at 80 % of it, and the error names the remedy."""
    del kept_logs

    async def endless() -> None:
        while True:
            await step(flows.echo, None)

    with memory() as broker:
        run = await deploy(endless, max_retries=0).start()
        await broker.run()
        status = await run.status()

    assert status.failure is not None
    assert "continue_as_new" in status.failure.message
    assert [record.message for record in caplog.records].count(
        "A run has recorded 80 % of the steps that it may have"
    ) == 1
