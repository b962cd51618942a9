"""Features of Celery that do not exist raise or warn at their use, with a sentence that names the alternative."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from decant import celery
from decant.celery import Celery, canvas, schedules, signals
from decant.celery.exceptions import Unsupported, UnsupportedWarning
from decant.celery.result import AsyncResult
from decant.testing import memory

pytestmark = pytest.mark.usefixtures("new_celery_apps", "in_memory")


@pytest.fixture
def in_memory() -> Iterator[None]:
    """Keep rows in memory."""
    with memory():
        yield


def work(*_args: Any) -> None:
    """The function of tasks."""


REFUSED: dict[str, Callable[[Celery], Any]] = {
    "amqp": lambda _: Celery(amqp="own"),
    "events": lambda _: Celery(events="own"),
    "tasks": lambda _: Celery(tasks="own"),
    "control": lambda _: Celery(control="own"),
    "a custom backend": lambda _: Celery(backend=object),
    "pickled arguments of a task": lambda app: app.task(serializer="pickle")(work),
    "pickled arguments of a call": lambda app: app.task(work).apply_async(serializer="pickle"),
    "the setting task_serializer": lambda app: app.conf.update(task_serializer="pickle"),
    "the setting accept_content": lambda app: app.conf.update(accept_content=["pickle"]),
    "the setting broker_transport": lambda app: app.conf.update(broker_transport="own"),
    "pydantic": lambda app: app.task(pydantic=True)(work),
    "Strategy": lambda app: app.task(Strategy="own")(work),
    "add_to_chord": lambda app: app.task(work).add_to_chord(app.task(work).s()),
    "update_state of another task": lambda app: app.task(work).update_state(task_id="other", state="X"),
    "stamp": lambda app: app.task(work).s().stamp(header="x"),
    "StampingVisitor": lambda _: canvas.StampingVisitor,
    "then": lambda _: AsyncResult("x").then(print),
    "connection": lambda app: app.connection(),
    "backend": lambda app: app.backend,
    "broadcast": lambda app: app.control.broadcast("x"),
    "purge": lambda app: app.control.purge(),
    "rate_limit of a running worker": lambda app: app.control.rate_limit("x", "1/s"),
    "stats": lambda app: app.control.inspect().stats(),
    "solar": lambda _: schedules.solar("sunset", 0, 0),
    "nowfun": lambda _: schedules.crontab(nowfun=print),
    "an interval below a second": lambda _: schedules.schedule(0.5),
    "another schedule": lambda app: app.add_periodic_task(object(), app.task(work).s()),
    "beat_init": lambda _: signals.beat_init,
    "task_unknown": lambda _: signals.task_unknown,
}

WARNED: dict[str, Callable[[Celery], Any]] = {
    "acks_on_failure_or_timeout": lambda app: app.task(acks_on_failure_or_timeout=True)(work),
    "the setting task_default_rate_limit": lambda app: app.conf.update(task_default_rate_limit="1/s"),
    "the setting worker_pool": lambda app: app.conf.update(worker_pool="gevent"),
    "the setting worker_concurrency": lambda app: app.conf.update(worker_concurrency=4),
    "the setting task_acks_late": lambda app: app.conf.update(task_acks_late=True),
    "the setting result_expires": lambda app: app.conf.update(result_expires=60),
    "the setting task_queues": lambda app: app.conf.update(task_queues=["a"]),
    "the setting task_annotations": lambda app: app.conf.update(task_annotations={"*": {}}),
}


ADVICE = (
    "Remove",
    "Use ",
    "use ",
    "Set ",
    "Read ",
    "Revoke",
    "Link",
    "Pass",
    "Deploy",
    "Validate",
    "Replace",
    "are in",
)


@pytest.mark.parametrize("feature", REFUSED)
def test_feature_is_refused(feature: str) -> None:
    """The error ends with a sentence that names the alternative."""
    app = Celery("unsupported")

    with pytest.raises(Unsupported) as raised:
        REFUSED[feature](app)

    assert any(word in str(raised.value) for word in ADVICE)


@pytest.mark.parametrize("feature", WARNED)
def test_option_without_effect_warns(feature: str) -> None:
    """The warning names the option without effect, and the alternative."""
    app = Celery("unsupported")

    with pytest.warns(UnsupportedWarning, match="has no effect"):
        WARNED[feature](app)


def test_options_of_a_broker_are_accepted() -> None:
    """Options for a broker have no effect."""
    task = Celery("accepted").task(work)

    task.apply_async(retry=True, retry_policy={}, compression="zlib", exchange="", producer=None, connection=None)


def test_other_settings_are_accepted() -> None:
    """Settings of brokers, backends and pools of Celery are kept and have no effect."""
    app = Celery("accepted", broker_transport_options={"visibility_timeout": 5}, worker_prefetch_multiplier=1)

    assert app.conf.worker_prefetch_multiplier == 1


def test_exports_are_those_of_celery() -> None:
    """The names that Celery code imports most exist."""
    names = "Celery shared_task Task chain chord chunks group signature current_app current_task xmap xstarmap uuid"

    assert set(names.split()) <= set(celery.__all__)
