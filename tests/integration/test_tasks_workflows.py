"""Chains, groups and chords, in each world alike."""

from uuid import UUID, uuid4

import pytest

from decant.errors import TaskFailed, TaskNotFound, TaskRevoked
from decant.tasks import GroupResult, State, chain, chord, group
from decant.tasks.admin import redrive
from tests import work
from tests.worlds import World


async def test_chain_hands_results_on(world: World) -> None:
    """Each part gets the result of the one before as its first argument."""
    job = await chain(work.add.s(1, 2), work.add.s(10), work.echo.s()).delay()
    await world.run()

    assert await job.get(timeout=60) == 13


async def test_bar_makes_a_chain(world: World) -> None:
    """`a | b` reads as in Celery."""
    job = await (work.add.s(1, 2) | work.add.s(10)).delay()
    await world.run()

    assert await job.get(timeout=60) == 13


async def test_immutable_part_gets_no_result(world: World) -> None:
    """`si` keeps its own arguments, and waits all the same."""
    job = await chain(work.add.s(1, 2), work.add.si(5, 5)).delay()
    await world.run()

    assert await job.get(timeout=60) == 10


async def test_group_gathers_results_in_order(world: World) -> None:
    """Members run side by side; their results are a list in the order they were given."""
    job = await group(work.add.s(n, n) for n in range(20)).delay()
    await world.run()

    assert isinstance(job, GroupResult)
    assert await job.get(timeout=60) == [2 * n for n in range(20)]
    assert await job.completed_count() == 20


async def test_chord_runs_its_body_once_with_all_results(world: World) -> None:
    """The body gets the list, after the last member."""
    job = await chord([work.add.s(n, n) for n in range(20)], work.total.s()).delay()
    await world.run()

    assert await job.get(timeout=60) == 380


async def test_empty_group_has_no_results(world: World) -> None:
    """Nothing is waited for."""
    job = await group().delay()
    await world.run()

    assert await job.get(timeout=60) == []


async def test_chord_of_nothing_runs_its_body(world: World) -> None:
    """The body gets the empty list."""
    job = await chord([], work.total.s()).delay()
    await world.run()

    assert await job.get(timeout=60) == 0


async def test_empty_group_in_a_chain_waits_for_what_is_before_it(world: World) -> None:
    """The empty list is passed on, once a task exists that takes it."""
    job = await chain(work.fail.s(), group(), work.echo.s()).delay()
    await world.run()

    with pytest.raises(TaskFailed, match="ParentFailed"):
        await job.get(timeout=60)


async def test_empty_groups_are_empty_lists_wherever_they_stand(world: World) -> None:
    """At the beginning of a chain, and as a member."""
    first = await chain(group(), work.echo.s()).delay()
    member = await group(work.add.s(1, 1), group(), chain(work.add.s(2, 2), group())).delay()
    await world.run()

    assert (await first.get(timeout=60), await member.get(timeout=60)) == ([], [2, [], []])


async def test_chords_nest(world: World) -> None:
    """In a chain, in a chord's header, and as its body."""
    inner = chord([work.add.s(1, 1), work.add.s(2, 2)], work.total.s())
    in_chain = await chain(
        work.add.s(1, 1), chord([work.add.s(1), work.add.s(2)], work.total.s()), work.add.s(3)
    ).delay()
    in_header = await chord([inner, work.add.s(5, 5)], work.total.s()).delay()
    as_body = await chord(
        [work.add.s(1, 1), work.add.s(2, 2)], chord([work.total.s(), work.echo.s()], work.echo.s())
    ).delay()
    await world.run()

    assert await in_chain.get(timeout=60) == 10
    assert await in_header.get(timeout=60) == 16
    assert await as_body.get(timeout=60) == [6, [2, 4]]


async def test_group_tells_of_its_members_together(world: World) -> None:
    """Ready when all have ended, failed when one has."""
    job = await group(work.add.s(1, 1), work.fail.s()).delay()
    assert isinstance(job, GroupResult)
    before = await job.ready()
    await world.run()

    assert (before, await job.ready(), await job.successful(), await job.failed()) == (False, True, False, True)
    assert [result.id for result in job] == [str(status.id) for status in await job.statuses()]
    assert (len(job), await job.get(timeout=60, propagate=False)) == (2, [2, None])


async def test_revoking_a_group_revokes_every_member(world: World) -> None:
    """None of them is run."""
    job = await group(work.add.s(n, n) for n in range(3)).delay()
    await job.revoke()
    await world.run()

    assert isinstance(job, GroupResult)
    assert {status.state for status in await job.statuses()} == {State.REVOKED}


async def test_results_nest_as_the_workflow_does(world: World) -> None:
    """A member that ends in a group gives a list, one value like any other."""
    inner = chain(work.add.s(2, 2), group(work.add.s(1), work.add.s(2)))
    job = await group(work.add.s(1, 1), inner).delay()
    await world.run()

    assert await job.get(timeout=60) == [2, [5, 6]]


async def test_group_after_a_group_gets_the_whole_list(world: World) -> None:
    """Each member of the second gets all results of the first."""
    job = await chain(group(work.add.s(1, 1), work.add.s(2, 2)), group(work.total.s(), work.echo.s())).delay()
    await world.run()

    assert await job.get(timeout=60) == [6, [2, 4]]


async def test_countdown_in_a_chain_counts_from_the_part_before(world: World) -> None:
    """A part's countdown begins when it is released."""
    job = await chain(work.add.s(1, 2), work.add.s(10).set(countdown=100)).delay()
    await world.advance(200)
    await world.run()
    before = await job.ready()
    await world.advance(101)
    await world.run()

    assert (before, await job.get(timeout=60)) == (False, 13)


async def test_failure_closes_what_waits_for_it(world: World) -> None:
    """Nothing that can never run is left waiting, however far down."""
    job = await chain(work.fail.s(), work.echo.s(), group(work.echo.s(), work.echo.s()), work.echo.s()).delay()
    await world.run()

    with pytest.raises(TaskFailed) as caught:
        await job.get(timeout=60)
    assert caught.value.type == "ParentFailed"
    assert "tests.work.fail" in caught.value.message


async def test_failing_member_fails_the_chord(world: World) -> None:
    """The body is closed; the other members run to their end."""
    members = group(work.add.s(1, 1), work.fail.s(), work.add.s(2, 2))
    job = await chord(members, work.total.s()).delay()
    await world.run()

    with pytest.raises(TaskFailed):
        await job.get(timeout=60)


async def test_errback_is_started_once_with_the_id_of_what_failed(world: World) -> None:
    """However many members fail, and although the body fails along with them."""
    received: list[str] = []
    with work.listening(received):
        job = await chord([work.fail.s(), work.fail.s()], work.total.s()).link_error(work.notify.s()).delay()
        await world.run()

    assert len(received) == 1
    assert received[0] != job.id


async def test_errback_of_one_call_is_started(world: World) -> None:
    """A single call can have one too."""
    received: list[str] = []
    with work.listening(received):
        job = await work.fail.s().link_error(work.notify.s()).delay()
        await world.run()

    assert received == [job.id]


async def test_error_callback_of_an_expired_member_is_enqueued_once(world: World) -> None:
    """A member that expires fails the workflow, although no caller revoked it."""
    failed: list[str] = []
    members = [work.add.s(1, 1).set(expires=10), work.add.s(2, 2).set(expires=10), work.add.s(3, 3)]
    with work.listening(failed):
        job = await chord(members, work.total.s()).link_error(work.notify.s()).delay()
        await world.advance(20)
        await world.run()

    assert len(failed) == 1
    with pytest.raises(TaskRevoked, match="has expired"):
        await job.get(timeout=60)


async def test_error_callback_is_not_enqueued_for_a_revoked_workflow(world: World) -> None:
    """The caller revokes the workflow itself."""
    failed: list[str] = []
    with work.listening(failed):
        job = await chord([work.add.s(1, 1)], work.total.s()).link_error(work.notify.s()).delay()
        await job.revoke()
        await world.run()

    assert failed == []


async def test_error_callback_is_not_enqueued_again_after_a_redrive(world: World) -> None:
    """The workflow fails twice, with one call of its error callback and one of that of an inner part."""
    failed: list[str] = []
    header = group(work.fail.s(), work.fail.s()).link_error(work.notify.s())
    with work.listening(failed):
        await chord(header, work.total.s()).link_error(work.notify.s()).delay()
        await world.run()
        redriven = await redrive(name="tests.work.fail")
        await world.run()

    assert (len(redriven), len(failed)) == (3, 2)


async def test_group_reports_tasks_that_do_not_exist(world: World) -> None:
    """A group whose tasks were deleted, or are not committed yet, is neither ready nor successful."""
    job = await group(work.add.s(1, 1)).delay()
    await world.run()
    assert isinstance(job, GroupResult)
    partly_deleted = GroupResult(UUID(job.root_id), [UUID(job.results[0].id), uuid4()])

    for read in (partly_deleted.ready, partly_deleted.successful, partly_deleted.completed_count, partly_deleted.get):
        with pytest.raises(TaskNotFound):
            await read()


async def test_errback_is_not_started_after_success(world: World) -> None:
    """Nothing happens when all goes well."""
    received: list[str] = []
    with work.listening(received):
        await chain(work.add.s(1, 1), work.add.s(1)).link_error(work.notify.s()).delay()
        await world.run()

    assert received == []


async def test_retry_of_a_part_holds_up_what_waits_for_it(world: World) -> None:
    """A part that fails and then succeeds hands its result on."""
    job = await chain(work.flaky.s(1), work.add.s(10)).delay()
    await world.run()
    await world.advance(11)
    await world.run()

    assert await job.get(timeout=60) == 11


async def test_revoking_a_workflow_revokes_every_part(world: World) -> None:
    """Neither the first part nor the last is run."""
    job = await chain(work.add.s(1, 2), group(work.add.s(1), work.add.s(2)), work.total.s()).delay()
    await job.revoke()
    await world.run()

    with pytest.raises(TaskRevoked):
        await job.get(timeout=60)


async def test_workflow_that_is_put_back_runs_to_its_end(world: World) -> None:
    """What was closed along with a failure waits for it again."""
    job = await chain(work.add.s(1, 2), work.fails_at_first.s(), work.add.s(10)).delay()
    await world.run()
    failed = await job.failed()
    await redrive(error="Flaky")
    await world.run()

    assert (failed, await job.get(timeout=60)) == (True, 13)


@pytest.mark.usefixtures("world")
async def test_part_of_a_workflow_cannot_have_a_key() -> None:
    """Another call could stand for it, and the workflow would break."""
    with pytest.raises(ValueError, match="idempotency_key"):
        await chain(work.add.s(1, 2), work.add.s(1).set(idempotency_key="x")).delay()


@pytest.mark.usefixtures("world")
async def test_part_with_wrong_arguments_is_refused_at_the_caller() -> None:
    """The arguments that are given are checked, although one is still to come."""
    with pytest.raises(TypeError, match="add"):
        await chain(work.add.s(1, 2), work.add.s("two")).delay()


async def test_workflow_state_is_pending_until_it_is_released(world: World) -> None:
    """A part that waits for others has a row like any task."""
    job = await chain(work.add.s(1, 2), work.add.s(1)).delay()

    assert await job.state is State.PENDING  # type: ignore[union-attr]  # a chain's end is a single task
    await world.run()
