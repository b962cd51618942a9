"""Concurrent batches lock rows in the same order, so that they cannot deadlock."""

import asyncio
from collections.abc import Mapping
from uuid import UUID

import pytest
from sqlalchemy import text

from decant import db
from decant.tasks import State, chord
from decant.tasks.records import Completed, Outcome, Runnable
from decant.tasks.registry import registry
from decant.tasks.store.postgres import PostgresStore
from tests import work
from tests.worlds import execute

pytestmark = pytest.mark.usefixtures("database_url")


async def start_chord() -> tuple[UUID, UUID, UUID]:
    """A chord with two running members, and its body."""
    body = await chord([work.add.s(1), work.add.s(2)], work.total.s()).delay()
    rows = await execute("SELECT id FROM decant.task WHERE children = ARRAY[CAST(:id AS uuid)] ORDER BY id", id=body.id)
    first, second = [row["id"] for row in rows]
    assert len(await PostgresStore().claim([first, second], Runnable(list(registry)), 60, alone=False)) == 2
    return first, second, UUID(body.id)


async def complete(ends: Mapping[UUID, State]) -> Completed:
    """Complete first runs in a batch."""
    outcomes = [Outcome(id=task_id, attempt=1, state=state, result="1") for task_id, state in ends.items()]
    return await PostgresStore().complete(outcomes, None)


async def until_blocked(count: int) -> None:
    """Wait until the given number of statements wait for a lock."""
    blocked = (
        "SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    while (await execute(blocked))[0]["n"] < count:  # noqa: ASYNC110  # the server sends no event
        await asyncio.sleep(0.01)


async def test_batches_of_successes_and_failures_take_turns() -> None:
    """A batch fails the later workflow and continues the earlier; another batch continues both."""
    one, two, early_body = await start_chord()
    three, four, late_body = await start_chord()
    async with db.session() as first_in_line:
        await first_in_line.execute(text("SELECT FROM decant.task WHERE id = :id FOR UPDATE"), {"id": early_body})
        successes = asyncio.create_task(complete({two: State.SUCCESS, four: State.SUCCESS}))
        await until_blocked(1)
        mixed = asyncio.create_task(complete({one: State.SUCCESS, three: State.FAILURE}))
        await until_blocked(2)

    await asyncio.gather(successes, mixed)

    rows = await execute("SELECT id, state, waits_for FROM decant.task WHERE id IN (:a, :b)", a=early_body, b=late_body)
    assert {row["id"]: (row["state"], row["waits_for"]) for row in rows} == {
        early_body: ("PENDING", 0),
        late_body: ("FAILURE", 1),
    }


async def start_families(*, parents_first: bool) -> list[UUID]:
    """Two running runs, and for each a running child; the order of their ids is that of the parents or the reverse."""
    ids = sorted(UUID(job.id) for job in await work.add.delay_many([(1, 2)] * 4))
    parents, children = (ids[:2], ids[2:]) if parents_first else (ids[2:], ids[:2])
    for parent, child in zip(parents, children, strict=True):
        await execute("UPDATE decant.task SET awaited_by = :parent WHERE id = :child", parent=parent, child=child)
    assert len(await PostgresStore().claim(ids, Runnable(list(registry)), 60, alone=False)) == 4
    return parents + children


@pytest.mark.parametrize("parents_first", [True, False])
async def test_batches_that_finish_parents_and_children_of_each_other_take_turns(*, parents_first: bool) -> None:
    """A batch finishes a run and the child of another; another batch finishes that one and the child of the first."""
    first, second, of_first, of_second = await start_families(parents_first=parents_first)
    async with db.session() as first_in_line:
        await first_in_line.execute(text("SELECT FROM decant.task WHERE id = :id FOR UPDATE"), {"id": first})
        one = asyncio.create_task(complete({first: State.SUCCESS, of_second: State.SUCCESS}))
        await until_blocked(1)
        other = asyncio.create_task(complete({second: State.SUCCESS, of_first: State.SUCCESS}))
        await until_blocked(2)

    completed = await asyncio.gather(one, other)

    assert [len(each.states) for each in completed] == [2, 2]


async def test_revoking_a_child_takes_turns_with_the_end_of_its_parent() -> None:
    """The batch finishes the parent and a child of the child."""
    parent, _, child, grandchild = await start_families(parents_first=False)
    await execute("UPDATE decant.task SET awaited_by = :child WHERE id = :id", child=child, id=grandchild)
    await execute(
        "UPDATE decant.task SET state = 'PENDING', wake_at = now(), lease_expires_at = NULL WHERE id = :id", id=child
    )
    async with db.session() as first_in_line:
        await first_in_line.execute(text("SELECT FROM decant.task WHERE id = :id FOR UPDATE"), {"id": parent})
        ended = asyncio.create_task(complete({parent: State.SUCCESS, grandchild: State.SUCCESS}))
        await until_blocked(1)
        revoked = asyncio.create_task(PostgresStore().revoke([child], terminate=False))
        await until_blocked(2)

    await asyncio.gather(ended, revoked)

    rows = await execute("SELECT state FROM decant.task WHERE id = :id", id=child)
    assert rows[0]["state"] == "REVOKED"


async def test_batches_that_fail_a_child_take_turns_with_the_end_of_its_parent() -> None:
    """The child waits for two tasks; one of them fails in the batch that finishes the parent."""
    parent = UUID((await work.add.delay(1, 2)).id)
    first, second, child = await start_chord()
    await execute("UPDATE decant.task SET awaited_by = :parent WHERE id = :child", parent=parent, child=child)
    assert len(await PostgresStore().claim([parent], Runnable(list(registry)), 60, alone=False)) == 1
    async with db.session() as first_in_line:
        await first_in_line.execute(text("SELECT FROM decant.task WHERE id = :id FOR UPDATE"), {"id": child})
        one = asyncio.create_task(complete({first: State.FAILURE}))
        await until_blocked(1)
        other = asyncio.create_task(complete({parent: State.SUCCESS, second: State.FAILURE}))
        await until_blocked(2)

    await asyncio.gather(one, other)

    rows = await execute("SELECT id, state FROM decant.task WHERE id IN (:a, :b)", a=parent, b=child)
    assert {row["id"]: row["state"] for row in rows} == {parent: "SUCCESS", child: "FAILURE"}


@pytest.mark.parametrize("locked", ["child", "parent"])
async def test_sweep_waits_for_no_row_of_a_batch(locked: str) -> None:
    """A lost task fails a child for which a run waits; a batch finishes the run and fails another task of the child."""
    parent = UUID((await work.add.delay(1, 2)).id)
    first, second, child = await start_chord()
    await execute("UPDATE decant.task SET awaited_by = :parent WHERE id = :child", parent=parent, child=child)
    assert len(await PostgresStore().claim([parent], Runnable(list(registry)), 60, alone=False)) == 1
    await execute("UPDATE decant.task SET lease_expires_at = now(), max_retries = 0 WHERE id = :id", id=first)
    async with db.session() as first_in_line:
        row = {"id": child if locked == "child" else parent}
        await first_in_line.execute(text("SELECT FROM decant.task WHERE id = :id FOR UPDATE"), row)
        batch = asyncio.create_task(complete({parent: State.SUCCESS, second: State.FAILURE}))
        await until_blocked(1)

        swept = await PostgresStore().expire_leases(10)

    await batch
    swept_later = await PostgresStore().expire_leases(10)

    assert swept.states == {}
    assert swept_later.states == {first: State.FAILURE}
    rows = await execute("SELECT id, state FROM decant.task WHERE id IN (:a, :b)", a=parent, b=child)
    assert {row["id"]: row["state"] for row in rows} == {parent: "SUCCESS", child: "FAILURE"}


async def test_task_of_a_lost_worker_is_retried_after_its_run_was_deleted() -> None:
    """There is no run to lock."""
    task_id = UUID((await work.add.delay(1, 2)).id)
    assert len(await PostgresStore().claim([task_id], Runnable(list(registry)), 60, alone=False)) == 1
    await execute("UPDATE decant.task SET lease_expires_at = now(), max_retries = 0 WHERE id = :id", id=task_id)
    await execute("UPDATE decant.task SET awaited_by = gen_random_uuid() WHERE id = :id", id=task_id)

    swept = await PostgresStore().expire_leases(10)

    assert swept.states == {task_id: State.FAILURE}


async def test_batches_with_the_same_unique_keys_take_turns() -> None:
    """Callers that name the same keys in different orders get the same tasks."""
    calls = [(n,) for n in range(300)]

    batches = await asyncio.gather(*(work.alone.delay_many(each) for each in [calls, calls[::-1]] * 3))

    assert {job.id for batch in batches for job in batch} == {job.id for job in batches[0]}
    assert len({job.id for job in batches[0]}) == 300
