"""Queries and actions of the console, on PostgreSQL."""

import asyncio
import io
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from decant import runtime
from decant.console import actions, queries
from decant.console.commands import main
from decant.console.formatting import application_frames, formatted
from decant.console.histogram import percentiles
from decant.console.records import TaskConditions
from decant.console.shared import SharedResults
from decant.console.ticks import next_tick
from decant.errors import NotFound, TaskNotFound
from decant.tasks import State, every, group, task
from decant.tasks.sql.statistics import BOUNDS_S
from tests import work
from tests.worlds import PostgresWorld, execute, sweep_once

pytestmark = pytest.mark.usefixtures("database_url")


async def ids_of(**conditions: object) -> list[str]:
    """Ids of the tasks that meet conditions, newest first."""
    page = await queries.list_tasks(TaskConditions(**conditions))  # type: ignore[arg-type]
    assert page.before is None
    return [str(each.id) for each in page.tasks]


async def test_tasks_are_filtered_by_every_condition() -> None:
    """State, name, queue, error, correlation id and time select tasks."""
    failed = await work.fail.delay("disk 50% full")
    await PostgresWorld().run()
    waiting = await work.add.apply_async((1,), queue="mail")
    await execute("UPDATE decant.task SET correlation_id = 'c1' WHERE id = :id", id=UUID(waiting.id))
    hour = timedelta(hours=1)

    assert await ids_of(state="FAILURE") == await ids_of(state="dead") == [failed.id]
    assert await ids_of(state="PENDING") == await ids_of(state="open") == [waiting.id]
    assert await ids_of(name="tests.work.fail") == [failed.id]
    assert await ids_of(queue="mail") == [waiting.id]
    assert await ids_of(error="DISK 50%") == await ids_of(error="flaky") == [failed.id]
    assert await ids_of(correlation_id="c1") == [waiting.id]
    assert await ids_of(since=datetime.now(UTC) - hour, until=datetime.now(UTC) + hour) == [waiting.id, failed.id]
    assert await ids_of(since=datetime.now(UTC) + hour) == await ids_of(until=datetime.now(UTC) - hour) == []


async def test_pages_and_counts_continue() -> None:
    """`before` leads to the next page, and the parts of a count add up to SQL's count."""
    jobs = await work.add.delay_many([(n,) for n in range(10_050)])
    page = await queries.list_tasks(TaskConditions(), None, 50)
    listed = page.tasks + (await queries.list_tasks(TaskConditions(), page.before, 50)).tasks

    first = await queries.count_tasks(TaskConditions(state="open"))
    rest = await queries.count_tasks(TaskConditions(state="open"), first.before)

    assert [str(each.id) for each in listed] == sorted((job.id for job in jobs), reverse=True)[: len(listed)]
    assert (first.count, rest.count, rest.before) == (10_000, 50, None)


async def test_retry_now_lets_waiting_tasks_be_due() -> None:
    """A task that waits for its next attempt runs at once, and its details show the attempt before."""
    job = await work.flaky.delay(1)
    await PostgresWorld().run()

    result = await actions.act("retry", [UUID(job.id), uuid4()])
    await PostgresWorld().run()

    details = await queries.task_details(UUID(job.id))
    assert (result.changed, details.state) == (1, State.SUCCESS)
    assert [(each.attempt, each.error_type, each.error) for each in details.attempts] == [(1, "Flaky", "run 0")]


async def test_cancel_and_redrive_change_the_tasks_that_match() -> None:
    """Actions on conditions leave other tasks as they are, and continue over several parts."""
    waiting = await work.add.apply_async((1,), countdown=60, queue="mail")
    jobs = await work.add.delay_many([(n,) for n in range(250)])
    conditions = TaskConditions(name="tests.work.add", queue="default")

    first = await actions.act_on_matching("cancel", conditions, None)
    rest = await actions.act_on_matching("cancel", conditions, first.before)
    redriven = await actions.act("redrive", [UUID(job.id) for job in jobs[:2]])

    assert (first.changed, rest.changed, rest.before, redriven.changed) == (200, 50, None, 2)
    assert await ids_of(state="open", queue="mail") == [waiting.id]
    assert len(await ids_of(state="open", queue="default")) == 2


async def test_details_of_an_unknown_task_raise() -> None:
    """An id without a row is not found."""
    with pytest.raises(TaskNotFound):
        await queries.task_details(uuid4())


async def test_workflow_lists_its_tasks_with_their_states() -> None:
    """The list counts the states; the graph has the parents of each task."""
    await (group(work.add.s(1), work.add.s(2)) | work.total.s()).delay()
    await PostgresWorld().run()

    (listed,) = await queries.workflows()
    assert listed.root_id is not None
    graph = await queries.workflow(listed.root_id)

    assert (listed.name, listed.tasks) == ("tests.work.total", {"SUCCESS": 3})
    last = graph.nodes[-1]
    assert sorted(last.parents) == sorted(node.id for node in graph.nodes[:2])
    assert await queries.workflows(before=listed.id) == []


@pytest.mark.usefixtures("new_tasks")
async def test_schedules_are_paused_resumed_and_run() -> None:
    """A paused schedule has no ticks; after it is resumed, those of the pause are left out."""

    @task(name="console.tick", schedule=every(1))
    async def tick() -> None: ...

    async def ticks() -> int:
        await execute("UPDATE decant.schedule SET ticked_at = now() - interval '1 hour'")
        await sweep_once()
        return (await queries.count_tasks(TaskConditions(name="console.tick"))).count

    await sweep_once()
    before = await ticks()
    await actions.pause_schedule("console.tick every(1)", paused=True)
    paused = await ticks()
    (status,) = [each for each in await queries.schedules() if each.name == "console.tick"]
    await actions.run_schedule(status.key)
    await actions.pause_schedule(status.key, paused=False)

    assert paused == before
    assert (status.paused, status.next, status.definition) == (True, None, "every(1)")
    assert (await queries.count_tasks(TaskConditions(name="console.tick"))).count == before + 1
    with pytest.raises(NotFound):
        await actions.pause_schedule("other", paused=True)
    with pytest.raises(NotFound):
        await actions.run_schedule("other")


async def test_statistics_count_each_finished_task_once() -> None:
    """Tasks are counted before and after the sweeper has added them, at every span, with and without a key."""
    await work.add.delay(1)
    await work.add.apply_async((1,), idempotency_key="k")
    await work.fail.delay()
    await PostgresWorld().run()
    live = (await queries.statistics("15m")).total
    await PostgresWorld().advance(120)

    await sweep_once()
    await sweep_once()

    spans = [await queries.statistics(window) for window in ("15m", "24h", "7d")]
    assert (live.succeeded, live.failed) == (1, 1)
    assert [(each.total.succeeded, each.total.failed) for each in spans] == [(2, 1)] * 3
    assert all(each.total.run is not None and each.total.wait is not None for each in spans)
    assert list(spans[0].queues) == ["default"]


async def test_statistics_continue_after_hours_without_tasks() -> None:
    """Tasks that finished long before a sweep are counted once, although their minutes are not kept."""
    await work.add.delay(1)
    await PostgresWorld().run()
    await PostgresWorld().advance(5 * 3600)
    for _ in range(3):
        await sweep_once()
    await work.add.delay(1)
    await PostgresWorld().run()
    await PostgresWorld().advance(3 * 3600)

    for _ in range(3):
        await sweep_once()

    assert (await queries.statistics("24h")).total.succeeded == 2


async def test_overview_reports_what_does_not_proceed() -> None:
    """A sweeper that never ran, an old queue, lost workers, unknown tasks and failures are reported, in this order."""
    await work.fail.delay()
    await PostgresWorld().run()
    lost, old = await work.add.delay(1), await work.add.delay(2)
    await execute("DELETE FROM decant.sweeper")
    await execute(
        "UPDATE decant.task SET state = 'STARTED', wake_at = NULL, lease_expires_at = now() - interval '1 s' "
        "WHERE id = :id",
        id=UUID(lost.id),
    )
    await execute(
        "UPDATE decant.task SET eta = now() - interval '1 hour', error_type = 'UnknownTask' WHERE id = :id",
        id=UUID(old.id),
    )

    found = await queries.overview()

    assert [each.kind for each in found.problems] == ["sweeper", "queue", "worker", "unknown", "failing"]
    assert [each.name for each in found.failing] == ["tests.work.fail"]
    assert [each.overdue for each in found.running] == [True]


def test_next_tick_reads_the_definition() -> None:
    """The definitions of `every` and `cron` are evaluated, and others are not."""
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)

    assert next_tick("every(30)", noon) == noon + timedelta(seconds=30)
    assert next_tick("cron('0 3 * * *', 'Europe/Berlin')", noon) == datetime(2026, 3, 2, 2, tzinfo=UTC)
    assert next_tick("crontab(minute='1')", noon) is None
    assert next_tick("every(", noon) is None


def test_values_are_redacted_and_truncated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values of names that contain a part of CONSOLE_REDACT are replaced, at any depth."""
    monkeypatch.setenv("CONSOLE_REDACT", "pin,Card")
    runtime.current().reload()

    shown = formatted('[{"pin": 1, "cards": ["x"], "password": "y", "a": {"PIN_2": 3}}]')

    assert "x" not in shown.text
    assert (shown.text.count("[redacted]"), '"y"' in shown.text, shown.truncated) == (3, True, False)
    assert formatted(f'"{"x" * 30_000}"').truncated


def test_application_frames_are_those_outside_of_libraries() -> None:
    """Frames of installed packages, of Decant and of Python are not the application's."""
    lines = [
        "Traceback (most recent call last):",
        '  File "/opt/python/decant/worker/execution.py", line 1, in run',
        "    call()",
        '  File "/opt/python/domain/tasks.py", line 7, in mail',
        "    send()",
        "    ^^^^^^",
        '  File "/var/lang/lib/python3.13/site-packages/x.py", line 2, in send',
        "    raise",
        "ValueError: no",
    ]

    assert application_frames("\n".join(lines)) == [3, 4, 5]


def test_percentiles_are_within_a_bucket() -> None:
    """A percentile lies between the bounds of its bucket."""
    found = percentiles({5: 90, 20: 9, 30: 1})

    assert found is not None
    for value, bucket in zip(found, (5, 20, 20), strict=True):
        assert BOUNDS_S[bucket - 1] <= value <= BOUNDS_S[bucket]
    assert percentiles({}) is None


def test_commands_list_show_and_change_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    """Each command prints a table or JSON, and asks before it changes tasks by conditions."""
    job = work.add.apply_async((1,), countdown=60)

    def printed(*arguments: str) -> str:
        assert main(arguments) == 0
        return capsys.readouterr().out

    assert job.id in printed("list", "--state", "open", "--name", "tests.work.add")
    (listed,) = json.loads(printed("list", "--json"))
    assert json.loads(printed("show", job.id, "--json"))["id"] == listed["id"] == job.id
    assert "tests.work.add PENDING on queue default" in printed("show", job.id)
    assert printed("retry", job.id) == "1 tasks changed\n"
    assert json.loads(printed("cancel", "--queue", "default", "--yes", "--json")) == {"changed": 1}
    assert printed("redrive", "--state", "dead", "--yes") == "1 tasks changed\n"
    printed("pause", "default")
    assert "default (paused)" in printed("status")
    printed("resume", "default")
    assert "default (paused)" not in printed("status")
    assert printed("schedules", "--json") == "[]\n"


def test_commands_report_errors(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A command without conditions, an unknown task, and a question that is not confirmed end with status 1."""
    work.add.delay(1)
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))

    statuses = [main(["cancel"]), main(["show", str(uuid4())]), main(["cancel", "--state", "open"])]

    assert statuses == [1, 1, 1]
    assert "name tasks by their ids or by at least one condition" in (error := capsys.readouterr().err)
    assert "1 tasks match" in error


async def test_open_pages_share_a_result() -> None:
    """Requests at the same time compute the overview once, and an action lets it be computed anew."""
    computed = []

    async def compute() -> int:
        computed.append(1)
        await asyncio.sleep(0)
        return len(computed)

    results = SharedResults()
    shared = await asyncio.gather(*(results.get("overview", compute) for _ in range(20)))
    results.forget()

    assert (set(shared), await results.get("overview", compute)) == ({1}, 2)
