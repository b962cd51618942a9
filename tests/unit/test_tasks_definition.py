"""The decorator `@task`, and the functions that it rejects."""

from datetime import datetime
from typing import Any

import pytest

from decant.tasks import Retry, Run, task
from decant.tasks.registry import registry
from decant.tasks.schedule import every
from decant.testing import memory
from tests import work


@pytest.fixture(autouse=True)
def forget_new_tasks() -> Any:
    """Remove the tasks that the test defines."""
    before = dict(registry)
    yield
    registry.clear()
    registry.update(before)


async def test_task_stays_callable() -> None:
    """A direct call runs the function."""
    assert await work.add(1, b=2) == 3
    assert work.add_in_thread(1, 2) == 3


async def test_bound_task_called_directly_gets_a_run() -> None:
    """A directly called function receives a run without an id."""
    with pytest.raises(Retry) as asked:
        await work.retries_itself(countdown=5)  # type: ignore[call-arg]  # binding supplies the first

    assert asked.value.countdown == 5


def test_name_is_the_functions_place() -> None:
    """The default name is the function's."""

    @task(name="own.name")
    async def named() -> None:
        """Nothing."""

    assert (work.add.name, named.name) == ("tests.work.add", "own.name")


def test_task_keeps_name_and_docstring() -> None:
    """The task has the function's name and docstring."""
    assert (work.add.__doc__, work.add.__name__) == ("Return the sum.", "add")  # type: ignore[attr-defined]  # as a function


def test_second_task_of_a_name_is_refused() -> None:
    """A worker could not distinguish the two."""

    def make(place: int) -> None:
        async def twin() -> None:
            """Nothing."""

        twin.__qualname__ = f"twin{place}"
        task(name="twins")(twin)

    make(1)
    with pytest.raises(ValueError, match="two functions"):
        make(2)


def test_session_in_a_thread_is_refused() -> None:
    """The error is raised by the decorator."""

    def sync(session: object) -> None:
        """Takes a session, and is no coroutine."""

    with pytest.raises(TypeError, match="only an async function"):
        task(sync)


def test_schedule_of_a_task_with_arguments_is_refused() -> None:
    """A schedule passes no arguments."""

    async def needs(a: int) -> None:
        """Needs an argument."""

    with pytest.raises(TypeError, match="argument"):
        task(schedule=every(60))(needs)


def test_unknown_option_is_refused() -> None:
    """An unknown option is an error."""
    with pytest.raises(TypeError, match="max_retrys"):
        task(max_retrys=3)(work.add.function)  # type: ignore[call-overload]  # that is the case


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"countdown": -1}, ValueError),
        ({"countdown": float("inf")}, ValueError),
        ({"eta": datetime(2026, 1, 1)}, ValueError),  # noqa: DTZ001  # that is the case
        ({"expires": -5}, ValueError),
        ({"task_id": "42"}, ValueError),
        ({"count_down": 5}, TypeError),
    ],
)
async def test_option_that_makes_no_sense_is_refused(options: dict[str, Any], error: type[Exception]) -> None:
    """The error is raised at the caller, before the insert."""
    with pytest.raises(error):
        await work.add.apply_async((1,), **options)


async def test_progress_outside_of_a_row_goes_nowhere() -> None:
    """A directly called task may report progress, which is not stored."""
    with memory() as broker:
        await work.add.delay(1)

        await Run("x", 3).update_progress({"done": 1})

    assert [row.progress for row in broker.store.rows.values()] == [None]
