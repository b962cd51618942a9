"""Common mistakes produce one clear message where the mistake was made."""

import asyncio
import logging
import time
from collections.abc import Iterator

import pytest

from decant import loop, runtime
from decant.celery import Celery
from decant.celery.exceptions import EncodeError, NotRegistered
from decant.celery.serialization import LARGEST_BYTES
from decant.errors import ConfigError
from decant.runtime import Runtime
from decant.testing import Broker, memory


@pytest.fixture
def app(new_celery_apps: None) -> Celery:
    """An app whose tasks are removed after the test."""
    del new_celery_apps
    return Celery("mistakes")


@pytest.fixture
def broker() -> Iterator[Broker]:
    """Rows in memory."""
    with memory() as broker:
        yield broker


def test_call_without_await_is_committed(app: Celery, broker: Broker) -> None:
    """`delay()` without `await` in a coroutine has enqueued the task."""
    task = app.task(name="mistakes.one")(lambda: "done")

    async def view() -> tuple[str, str]:
        return task.delay().id, (await task.delay()).id

    assert len(set(loop.run(view()))) == len(broker.store.rows) == 2


def test_forgotten_delay_runs_the_function(app: Celery, broker: Broker) -> None:
    """A direct call runs in the caller, as in Celery."""
    task = app.task(name="mistakes.direct")(lambda: "here")

    assert (task(), len(broker.store.rows)) == ("here", 0)


def test_wrong_arguments_name_the_signature(app: Celery, broker: Broker) -> None:
    """The error has the task's name and parameters."""
    del broker

    @app.task(name="mistakes.add")  # type: ignore[untyped-decorator]  # as in Celery
    def add(x: int, y: int = 1) -> int:
        return x + y

    with pytest.raises(TypeError, match=r"mistakes.add\(x: int, y: int = 1\) -> int: too many positional arguments"):
        add.delay(1, 2, 3)


def test_unregistered_name_has_a_hint(app: Celery, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """With TASK_MODULES, a name that no module defines raises an error with the closest name."""
    del broker
    monkeypatch.setenv("TASK_MODULES", "decant.celery")
    runtime.current().reload()
    app.task(name="mistakes.send_mail")(lambda: None)

    with pytest.raises(NotRegistered, match=r"'mistakes.send_mial'. Did you mean 'mistakes.send_mail'\?"):
        app.send_task("mistakes.send_mial")


def test_missing_settings_are_named(app: Celery) -> None:
    """Without DATABASE_URL, the first call names the variable."""
    task = app.task(name="mistakes.unset")(lambda: None)

    with Runtime({}).active() as own:
        with pytest.raises(ConfigError, match="DATABASE_URL: is not set"):
            task.delay()
        own.shut_down()


@pytest.mark.parametrize("value", [object(), {1}, float("nan"), lambda: None])
def test_argument_that_is_not_json(app: Celery, broker: Broker, value: object) -> None:
    """The caller gets the task's name, the reason, and what to pass."""
    del broker
    task = app.task(name="mistakes.json")(lambda value: value)

    with pytest.raises(EncodeError, match=r"Arguments of mistakes.json: .*Pass JSON"):
        task.delay(value)


def test_result_that_is_not_json_fails_the_task(app: Celery, broker: Broker) -> None:
    """The task ends in FAILURE with the reason."""
    result = app.task(name="mistakes.result")(object).delay()

    loop.run(broker.run())

    assert result.state == "FAILURE"
    assert "Result of mistakes.result: Object of type object is not JSON serializable" in str(result.result)


def test_payload_that_is_too_large(app: Celery, broker: Broker) -> None:
    """The caller gets the size, and the advice to pass a key."""
    del broker
    task = app.task(name="mistakes.large")(lambda value: value)

    with pytest.raises(EncodeError, match=r"bytes of JSON are more than .*pass its key"):
        task.delay("x" * LARGEST_BYTES)


def test_blocking_code_in_an_asynchronous_task(
    app: Celery, broker: Broker, caplog: pytest.LogCaptureFixture, kept_logs: None
) -> None:
    """A warning names the task, the file and the line."""
    del kept_logs

    @app.task(name="mistakes.blocks")  # type: ignore[untyped-decorator]  # as in Celery
    async def blocks() -> None:
        time.sleep(1.1)  # noqa: ASYNC251  # the mistake
        await asyncio.sleep(0)

    blocks.delay()

    with caplog.at_level(logging.WARNING, "decant.celery"):
        loop.run(broker.run())

    (record,) = [record for record in caplog.records if "blocked the event loop" in record.message]
    assert vars(record)["task"] == "mistakes.blocks"
    assert vars(record)["file"] == __file__
    assert "before line" in vars(record)["place"]


def test_queue_that_nothing_serves(app: Celery, broker: Broker) -> None:
    """In a Lambda function, a queue that has no address raises an error with those that have."""
    del broker
    task = app.task(name="mistakes.queue")(lambda: None)
    variables = {"AWS_LAMBDA_FUNCTION_NAME": "f", "TASK_QUEUE_URLS": "default=http://localhost/1"}

    with Runtime(variables).active() as own:
        with pytest.raises(ConfigError, match="names no queue 'mail', only default"):
            task.apply_async(queue="mail")
        own.shut_down()


def test_waiting_in_a_coroutine_is_refused(app: Celery, broker: Broker) -> None:
    """The error names the call to await."""
    del broker
    task = app.task(name="mistakes.waits")(lambda: None)

    async def view() -> None:
        task.delay().get()

    with pytest.raises(RuntimeError, match=r"await decant.tasks.AsyncResult\(result.id\).get\(\)"):
        loop.run(view())
