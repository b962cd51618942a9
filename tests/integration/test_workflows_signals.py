"""Signals and the waits for them, in all environments."""

from contextlib import suppress
from uuid import uuid4

import pytest

from decant.errors import Conflict, TaskFailed, TaskNotFound
from decant.tasks import State
from decant.workflows import WorkflowRun
from tests import flows
from tests.worlds import World, pass_time

pytestmark = pytest.mark.usefixtures("calls")


async def test_signal_is_received(world: World) -> None:
    """A suspended run is due when a signal is sent, and its payload has the given type."""
    run = await flows.approved.start()
    await world.run()
    before = (await run.status()).state
    await run.send("approved", flows.Approval(by="ada"))
    await world.run()

    assert (before, await run.result(timeout=60)) == (State.PENDING, "ada")


async def test_signal_sent_before_the_run_starts_is_kept(world: World) -> None:
    """Signals are stored until the run waits for them."""
    run = await flows.approved.start()
    await run.send("approved", {"by": "ada"})
    await world.run()

    assert await run.result(timeout=60) == "ada"


async def test_signals_are_received_in_their_order_and_once(world: World) -> None:
    """First in, first out; a repeated signal with the same key is left out."""
    run = await flows.several_signals.start(3)
    await world.run()
    for number in (1, 2, 3):
        await run.send("number", number, id=f"n{number}")
        await run.send("number", number, id=f"n{number}")
    await world.run()

    assert await run.result(timeout=60) == [1, 2, 3]


async def test_signal_of_another_topic_is_not_received(world: World) -> None:
    """The run goes on waiting."""
    run = await flows.approved.start()
    await world.run()
    await run.send("other")
    await world.run()

    assert (await run.status()).state is State.PENDING


async def test_signal_is_sent_in_the_callers_transaction(world: World) -> None:
    """A signal that is rolled back is not received."""
    run = await flows.several_signals.start(1)
    await world.run()
    with suppress(ZeroDivisionError):
        async with world.session() as session:
            await run.send("number", 1, session=session)
            raise ZeroDivisionError
    async with world.session() as session:
        await run.send("number", 2, session=session)
    await world.run()

    assert await run.result(timeout=60) == [2]


async def test_run_and_signal_are_written_in_one_transaction(world: World) -> None:
    """A run can receive a signal before it is committed."""
    async with world.session() as session:
        run = await flows.approved.start(session=session)
        await run.send("approved", {"by": "ada"}, session=session)
    await world.run()

    assert await run.result(timeout=60) == "ada"


async def test_wait_ends_with_its_timeout(world: World) -> None:
    """The timeout counts from the first claim, and fails the run when it is not handled."""
    run = await flows.approved.start(3600)
    await world.run()
    await pass_time(world, 1800)
    during = (await run.status()).state
    await pass_time(world, 1800)

    assert during is State.PENDING
    with pytest.raises(TaskFailed, match="WaitTimeout"):
        await run.result(timeout=60)


async def test_signal_to_a_finished_run_is_a_conflict(world: World) -> None:
    """Nothing would receive it; to repeat a signal that was received is none."""
    run = await flows.approved.start()
    await run.send("approved", {"by": "ada"}, id="one")
    await world.run()

    await run.send("approved", {"by": "ada"}, id="one")
    with pytest.raises(Conflict):
        await run.send("approved", {"by": "bob"}, id="two")


@pytest.mark.usefixtures("world")
async def test_signal_to_an_unknown_run_is_an_error() -> None:
    """There is no such run."""
    with pytest.raises(TaskNotFound):
        await WorkflowRun(uuid4()).send("approved")
