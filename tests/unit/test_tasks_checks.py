"""Values of options are checked where they are passed, and the error names the option."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from decant.tasks import checks, task
from decant.testing import memory
from tests import work


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"countdown": 1e13}, ValueError),
        ({"countdown": float("nan")}, ValueError),
        ({"countdown": timedelta(minutes=5)}, TypeError),
        ({"eta": "tomorrow"}, TypeError),
        ({"eta": datetime(2030, 1, 1)}, ValueError),  # noqa: DTZ001  # the mistake
        ({"expires": -1}, ValueError),
        ({"priority": 2**15}, ValueError),
        ({"priority": 1.5}, TypeError),
        ({"queue": "a\x00b"}, ValueError),
        ({"group_key": 7}, TypeError),
        ({"idempotency_key": "\ud800"}, ValueError),
        ({"idempotency_key": object()}, TypeError),
        ({"time_limit": "1 minute"}, TypeError),
    ],
)
async def test_call_option_is_rejected(options: dict[str, Any], error: type[Exception]) -> None:
    """Nothing is inserted, and the message begins with the option's name."""
    (name,) = options

    with memory() as broker, pytest.raises(error, match=name):
        await work.add.apply_async((1,), **options)

    assert broker.store.rows == {}


@pytest.mark.parametrize(
    "options",
    [
        {"default_retry_delay": 1e13},
        {"retry_backoff": float("inf")},
        {"retry_backoff_max": -1},
        {"max_retries": 2**40},
        {"time_limit": -1},
        {"expires": float("nan")},
        {"queue": ""},
        {"name": ""},
        {"name": "a\x00b"},
    ],
)
def test_task_option_is_rejected(options: dict[str, Any]) -> None:
    """The error is raised when the module is imported."""
    (name,) = options

    with pytest.raises(ValueError, match=name):
        task(**options)


async def test_none_means_the_default() -> None:
    """Options that are None count as not given, as in Celery."""
    options: dict[str, Any] = dict.fromkeys(("countdown", "eta", "expires", "priority", "queue", "idempotency_key"))

    with memory() as broker:
        job = await work.add.apply_async((1,), **options)
        await broker.run()

        assert await job.result == 2


def test_keys_of_different_types_differ() -> None:
    """Short text is kept; other values and long text are digests."""
    keys = [checks.key("key", value) for value in ("7", 7, ["7"], "x" * 5000)]

    assert keys[0] == "7"
    assert len(set(keys)) == 4
    assert all(len(key) == len("sha256:") + 64 for key in keys[1:])
