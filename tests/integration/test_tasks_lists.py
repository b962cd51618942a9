"""Lists of tasks, and statistics of queues."""

from uuid import UUID

import pytest

from decant.tasks import State
from decant.tasks.admin import list_tasks, queue_statistics
from tests import work
from tests.worlds import PostgresWorld, execute

pytestmark = pytest.mark.usefixtures("database_url")


async def test_list_is_newest_first_and_page_by_page() -> None:
    """A page continues after the previous page."""
    jobs = [await work.add.delay(n) for n in range(5)]

    first = await list_tasks(count=3)
    second = await list_tasks(count=3, before=first.before)

    listed = [str(each.id) for page in (first, second) for each in page.tasks]
    assert listed == sorted((job.id for job in jobs), reverse=True)
    assert second.before is None


async def test_list_is_filtered_by_state_name_and_queue() -> None:
    """All filters apply at once."""
    failed, _ = await work.fail.delay(), await work.add.delay(1)
    await PostgresWorld().run()
    waiting = await work.add.apply_async((1,), queue="mail")

    assert [str(each.id) for each in (await list_tasks(state=State.FAILURE)).tasks] == [failed.id]
    assert [str(each.id) for each in (await list_tasks(state=State.PENDING)).tasks] == [waiting.id]
    assert [str(each.id) for each in (await list_tasks(name="tests.work.add", queue="mail")).tasks] == [waiting.id]
    assert (await list_tasks(name="tests.work.fail", state=State.SUCCESS)).tasks == []


async def test_page_without_a_match_leads_on() -> None:
    """A page reads a limited number of rows, and may be empty although matches follow."""
    wanted = await work.fail.delay()
    await work.add.delay_many([(n,) for n in range(2_500)])

    first = await list_tasks(name="tests.work.fail")
    second = await list_tasks(name="tests.work.fail", before=first.before)

    assert first.tasks == []
    assert [str(each.id) for each in second.tasks] == [wanted.id]
    assert second.before is None


async def test_statistics_tell_how_each_queue_stands() -> None:
    """Due, later, running and recently finished tasks are counted."""
    await work.add.delay(1)
    await work.fail.delay()
    await PostgresWorld().run()
    running = await work.add.delay(1)
    await execute(
        "UPDATE decant.task SET state = 'STARTED', wake_at = NULL, lease_expires_at = now() WHERE id = :id",
        id=UUID(running.id),
    )
    await work.add.delay(1)
    await work.add.apply_async((1,), countdown=60)
    await work.add.apply_async((1,), queue="mail")

    stands = {each.queue: each for each in await queue_statistics()}

    default = stands["default"]
    assert (default.due, default.later, default.running, default.succeeded, default.failed) == (1, 1, 1, 1, 1)
    assert default.oldest_s is not None
    assert stands["mail"].due == 1
