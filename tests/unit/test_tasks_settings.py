"""Settings of task queues and workers."""

import pytest

from decant.config import read
from decant.errors import ConfigError
from decant.tasks.options import TaskSettings


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
