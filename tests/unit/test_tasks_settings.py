"""Settings of task queues and workers."""

import pytest

from decant.config import read
from decant.errors import ConfigError
from decant.runtime import Runtime
from decant.tasks.options import TaskSettings, is_published


def test_queue_urls_are_read_by_name() -> None:
    """Several queues are separated by commas."""
    settings = read(TaskSettings, {"TASK_QUEUE_URLS": "default=https://example.com/a, mail=https://example.com/b"})

    assert settings.queue_urls == {"default": "https://example.com/a", "mail": "https://example.com/b"}


def test_queue_url_without_a_name_is_rejected() -> None:
    """The error gives the variable."""
    with pytest.raises(ConfigError, match="TASK_QUEUE_URLS: must be name=url pairs"):
        read(TaskSettings, {"TASK_QUEUE_URLS": "https://example.com/queue"})


def test_old_name_of_a_setting_is_an_error_with_the_new_name() -> None:
    """A renamed setting cannot be ignored without notice."""
    with pytest.raises(ConfigError, match="TASK_PATIENCE_S: is called TASK_REPUBLISH_AFTER_S now"):
        read(TaskSettings, {"TASK_PATIENCE_S": "60"})


def test_queue_without_an_address_is_an_error_in_lambda() -> None:
    """No function would run the task; the error names the queues that have an address."""
    variables = {"AWS_LAMBDA_FUNCTION_NAME": "f", "TASK_QUEUE_URLS": "default=https://example.com/a"}

    with Runtime(variables).active(), pytest.raises(ConfigError, match="names no queue 'mail', only default"):
        is_published("mail")


def test_tasks_of_a_function_without_queues_are_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    """The tasks are stored; a worker that polls may run them."""
    with Runtime({"AWS_LAMBDA_FUNCTION_NAME": "f"}).active():
        published = [is_published("default") for _ in range(3)]

    assert published == [False, False, False]
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["TASK_QUEUE_URLS is not set"]


def test_process_that_is_no_lambda_function_serves_any_queue(caplog: pytest.LogCaptureFixture) -> None:
    """A worker in the process polls the table."""
    with Runtime({"TASK_QUEUE_URLS": "default=https://example.com/a"}).active():
        assert not is_published("mail")

    assert caplog.records == []
