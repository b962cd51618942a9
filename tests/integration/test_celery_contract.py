"""Celery code behaves alike in memory, on PostgreSQL alone, and on PostgreSQL with SQS."""

from typing import Any

import pytest

from decant import loop
from decant.celery import Celery, chain, chord, loading
from decant.celery.exceptions import Ignore
from decant.errors import TaskFailed
from decant.workflows import start, workflow
from tests.worlds import World


@pytest.fixture
def app(new_celery_apps: None) -> Celery:
    """An app whose tasks are removed after the test."""
    del new_celery_apps
    return Celery("contract")


def defined(app: Celery) -> dict[str, Any]:
    """Tasks of the tests, by name."""

    def fail(text: str) -> None:
        raise ValueError(text)

    def retried(self: Any, number: int) -> int:
        if self.request.retries == 0:
            raise self.retry(args=(number + 1,), countdown=30)
        return number

    def replaced(self: Any, number: int) -> Any:
        return self.replace(chain(tasks["add"].s(number, 1), tasks["add"].s(10)))

    def ignoring(self: Any) -> None:
        self.update_state(state="SKIPPED", meta={"why": "test"})
        raise Ignore

    def doomed(self: Any) -> Any:
        return self.replace(chain(tasks["fail"].s("broken"), tasks["add"].s(1)))

    functions = {"add": lambda x, y: x + y, "total": sum, "fail": fail}
    bound = {"retried": retried, "replaced": replaced, "doomed": doomed, "ignoring": ignoring}
    tasks = {name: app.task(name=f"contract.{name}", typing=False)(function) for name, function in functions.items()}
    tasks |= {name: app.task(name=f"contract.{name}", bind=True)(function) for name, function in bound.items()}
    return tasks


def run(world: World) -> None:
    """Run due tasks until none is due."""
    loop.run(world.run())


def test_workflow(world: World, app: Celery) -> None:
    """A chord in a chain, with a callback and a child of a replaced task."""
    tasks = defined(app)
    result = chain(tasks["add"].s(1, 1), chord([tasks["add"].s(1), tasks["replaced"].s()], tasks["total"].s()))()

    run(world)

    assert (result.state, result.get(timeout=5)) == ("SUCCESS", (2 + 1) + (2 + 1 + 10))


@pytest.mark.usefixtures("new_tasks")
@pytest.mark.parametrize(("child", "arguments", "end"), [("replaced", [2], 13), ("doomed", [], "TaskFailed")])
def test_replaced_child_resumes_the_workflow_that_waits_for_it(
    world: World, app: Celery, child: str, arguments: list[int], end: object
) -> None:
    """The workflow receives the result or the error of the chain that has taken the place of its child."""
    tasks = defined(app)

    async def parent() -> Any:
        try:
            return await (await start(tasks[child], *arguments))
        except TaskFailed as error:
            return type(error).__name__

    job = loop.run(workflow(name="contract.parent")(parent).start())

    run(world)

    assert loop.run(job.result(timeout=0)) == end


def test_failure_has_its_class_and_closes_the_chain(world: World, app: Celery) -> None:
    """The error of the first task is that of the last."""
    tasks = defined(app)
    result = chain(tasks["fail"].s("broken"), tasks["add"].s(1), tasks["add"].s(1))()

    run(world)

    with pytest.raises(ValueError, match="broken"):
        result.get(timeout=5)
    assert (result.parent.state, result.parent.parent.state) == ("FAILURE", "FAILURE")


def test_retry_with_other_arguments(world: World, app: Celery) -> None:
    """The next run has the new arguments."""
    result = defined(app)["retried"].delay(1)

    run(world)
    waiting = result.state
    loop.run(world.advance(31))
    run(world)

    assert (waiting, result.state, result.get(timeout=5)) == ("RETRY", "SUCCESS", 2)


def test_ignored_task_keeps_its_state(world: World, app: Celery) -> None:
    """A state that the task reported before `Ignore` is shown."""
    result = defined(app)["ignoring"].delay()

    run(world)

    assert (result.state, result.info, result.ready()) == ("SKIPPED", {"why": "test"}, False)


def test_forget(world: World, app: Celery) -> None:
    """A finished task is deleted; a waiting one is not."""
    tasks = defined(app)
    done, waiting = tasks["add"].delay(1, 1), tasks["add"].apply_async((1, 1), countdown=60)

    run(world)
    done.get(timeout=5)
    done.forget()
    waiting.forget()
    loop.run(world.advance(61))
    run(world)

    assert (app.AsyncResult(done.id).state, waiting.get(timeout=5)) == ("PENDING", 2)


def test_revoked_task_is_not_started(world: World, app: Celery) -> None:
    """A revoked task ends in REVOKED, also one of any id."""
    result = defined(app)["add"].apply_async((1, 1), countdown=60, task_id="order-7")

    app.control.revoke("order-7")
    loop.run(world.advance(61))
    run(world)

    assert (result.id, result.state) == ("order-7", "REVOKED")


def test_settings_route_and_limit_calls(world: World, app: Celery) -> None:
    """`task_routes` and `task_default_queue` choose queues, and time limits of the settings apply to calls."""
    app.conf.update(task_routes={"contract.add": {"queue": "slow"}}, task_default_queue="celery")
    app.conf.update(task_time_limit=60, task_soft_time_limit=30)
    tasks = defined(app)

    limits = app.task(name="contract.limits", bind=True)(lambda self: list(self.request.timelimit))
    routed, chosen = tasks["add"].delay(1, 1), limits.apply_async(queue="slow")
    default = limits.delay()
    run(world)

    assert [routed.queue, chosen.queue, default.queue] == ["slow", "slow", "default"]
    assert default.get(timeout=5) == [60, 30]


@pytest.mark.parametrize("world", ["memory", "postgres"], indirect=True)
def test_rate_limit_of_a_task(world: World, app: Celery) -> None:
    """`rate_limit` counts over all workers; 0 is no limit."""
    limited = app.task(name="contract.limited", rate_limit="2/m")(lambda: None)
    unlimited = app.task(name="contract.unlimited", rate_limit=0)(lambda: None)
    results = [limited.delay() for _ in range(3)] + [unlimited.delay() for _ in range(3)]

    run(world)
    at_once = [result.ready() for result in results]
    loop.run(world.advance(30))
    run(world)

    assert (sum(at_once[:3]), sum(at_once[3:])) == (1, 3)
    assert sum(result.ready() for result in results) == 5


def test_results_have_no_arguments(world: World, app: Celery) -> None:
    """`args`, `kwargs` and `worker` are None, as in Celery without `result_extended`."""
    result = defined(app)["add"].delay(1, 1)

    run(world)

    assert (result.args, result.kwargs, result.worker) == (None, None, None)


def test_schedule_inserts_calls_with_arguments(world: World, app: Celery) -> None:
    """Entries of `beat_schedule` run with their arguments, at their times."""
    tasks, seen = defined(app), list[int]()
    app.task(name="contract.seen")(seen.append)
    app.conf.beat_schedule = {"entry": {"task": "contract.seen", "schedule": 60, "args": (7,)}}
    app.add_periodic_task(60.0, tasks["add"].s(1, 1), name="added")
    loading.load()

    run(world)
    loop.run(world.advance(120))
    run(world)

    assert set(seen) == {7}
