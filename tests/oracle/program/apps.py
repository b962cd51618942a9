"""Apps: settings, names, routes, control, schedules, eager mode."""

import os
import sys
import time
import types
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from celery import Celery, Task, current_app, current_task, shared_task
from celery.exceptions import NotRegistered
from celery.schedules import crontab, schedule
from celery.utils.log import get_task_logger

from tests.oracle.program.app import WAIT_S, app, error_of, finished, key, note, outcome, wait_for_notes

logger = get_task_logger(__name__)


@app.task
def add(x: int, y: int) -> int:
    return x + y


@app.task
def wait_for(name: str, count: int) -> int:
    note(name, "started")
    return len(wait_for_notes(name, count))


@app.task
def who() -> Any:
    logger.info("a line")
    return [current_task.name, current_app.main]


@app.task(bind=True)
def itself(self: Any) -> Any:
    return [self.name, self.request.hostname is not None, self.app.main, self.request.delivery_info is not None]


def small(**settings: Any) -> Celery:
    """An app whose tasks run in this process."""
    made = Celery("small", set_as_current=False, broker="memory://", backend="cache+memory://")
    made.conf.update(task_always_eager=True, **settings)
    return made


def case_conf_attributes() -> Any:
    made = Celery("conf", set_as_current=False)
    made.conf.task_always_eager = True
    made.conf["task_default_queue"] = "mail"
    made.conf.update(task_track_started=True)
    return [
        made.conf.task_always_eager,
        made.conf["task_always_eager"],
        made.conf.task_default_queue,
        made.conf.task_track_started,
        made.conf.get("task_routes"),
        made.conf.task_serializer,
    ]


def case_conf_from_object() -> Any:
    class Config:
        task_default_queue = "from-object"
        task_ignore_result = True

    made = Celery("conf", set_as_current=False)
    made.config_from_object(Config)
    return [made.conf.task_default_queue, made.conf.task_ignore_result]


def case_conf_from_module() -> Any:
    module = types.ModuleType("oracle_settings")
    module.task_default_queue = "from-module"
    sys.modules["oracle_settings"] = module
    made = Celery("conf", set_as_current=False)
    made.config_from_object("oracle_settings")
    return made.conf.task_default_queue


def case_conf_namespace() -> Any:
    module = types.ModuleType("oracle_django")
    module.CELERY_TASK_DEFAULT_QUEUE = "django"
    module.OTHER = 1
    sys.modules["oracle_django"] = module
    made = Celery("conf", set_as_current=False)
    made.config_from_object("oracle_django", namespace="CELERY")
    return made.conf.task_default_queue


def case_conf_from_envvar() -> Any:
    module = types.ModuleType("oracle_variable")
    module.task_default_queue = "from-variable"
    sys.modules["oracle_variable"] = module
    os.environ["ORACLE_SETTINGS"] = "oracle_variable"
    made = Celery("conf", set_as_current=False)
    made.config_from_envvar("ORACLE_SETTINGS")
    return made.conf.task_default_queue


def case_autodiscover_tasks() -> Any:
    made = Celery("discovering", set_as_current=False)
    for name in ("oracle_blog", "oracle_blog.tasks", "oracle_without_tasks"):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = []
    made.autodiscover_tasks(["oracle_blog", "oracle_without_tasks"], force=True)
    return True


def case_register_task() -> Any:
    class Registered(Task):
        name = "oracle.registered"

        def run(self, x: int) -> int:
            return x + 1

    made = small()
    task = made.register_task(Registered())
    return [task.delay(1).get(), "oracle.registered" in made.tasks]


def case_conf_of_constructor() -> Any:
    made = Celery("conf", set_as_current=False, broker="redis://somewhere/1", backend="redis://somewhere/2")
    return [made.conf.broker_url, made.conf.result_backend, made.main]


def case_conf_unknown_attribute() -> Any:
    made = Celery("conf", set_as_current=False)
    return [hasattr(made.conf, "no_such_setting"), made.conf.get("no_such_setting", 5)]


def case_task_names() -> Any:
    made = Celery("names", set_as_current=False)

    @made.task
    def plain() -> None: ...

    @made.task(name="chosen")
    def other() -> None: ...

    return [plain.name == f"{__name__}.plain", other.name, "chosen" in made.tasks]


def case_gen_task_name() -> Any:
    made = Celery("main-name", set_as_current=False)
    return [made.gen_task_name("task", "package.module"), made.gen_task_name("task", "__main__")]


def case_task_options() -> Any:
    made = Celery("options", set_as_current=False)

    @made.task(max_retries=7, default_retry_delay=9, time_limit=5, ignore_result=True, custom="value")
    def optioned() -> None:
        """Its documentation."""

    return [
        optioned.max_retries,
        optioned.default_retry_delay,
        optioned.time_limit,
        optioned.ignore_result,
        optioned.custom,
        optioned.__doc__,
    ]


def case_eager() -> Any:
    made = small()

    @made.task
    def double(x: int) -> int:
        return x * 2

    result = double.delay(4)
    return [result.get(), result.state, type(result).__name__]


def case_eager_failure() -> Any:
    made = small()

    @made.task
    def broken() -> None:
        raise ValueError("eager")

    result = broken.delay()
    return [result.state, error_of(result.result)]


def case_eager_propagates() -> Any:
    made = small(task_eager_propagates=True)

    @made.task
    def broken_again() -> None:
        raise ValueError("eager")

    try:
        broken_again.delay()
    except ValueError as error:
        return error_of(error)


def case_eager_chain() -> Any:
    made = small()

    @made.task
    def increment(x: int) -> int:
        return x + 1

    return (increment.s(1) | increment.s() | increment.s()).apply_async().get()


def case_eager_request() -> Any:
    made = small()

    @made.task(bind=True)
    def eager_request(self: Any) -> Any:
        return [self.request.is_eager, self.request.called_directly, self.request.retries]

    return eager_request.delay().get()


def case_eager_shared_task() -> Any:
    made = small()

    @shared_task
    def shared_eager(x: int) -> int:
        return x + 1

    return [shared_eager(1), made.conf.task_always_eager]


def case_default_task_class() -> Any:
    class Base(Task):
        flavour = "vanilla"

    made = Celery("based", set_as_current=False, task_cls=Base)

    @made.task
    def based() -> None: ...

    return [based.flavour, isinstance(based, Base), isinstance(based, Task)]


def case_flask_task() -> Any:
    """The recipe of Flask's documentation, with an application context in place of Flask's."""
    entered: list[str] = []

    class FlaskTask(Task):
        def __call__(self, *args: object, **kwargs: object) -> object:
            entered.append("context")
            return self.run(*args, **kwargs)

    made = Celery("flask-app", task_cls=FlaskTask, set_as_current=False)
    made.config_from_object(
        {
            "broker_url": "memory://",
            "result_backend": "cache+memory://",
            "task_ignore_result": True,
            "task_always_eager": True,
        }
    )

    @made.task
    def in_context(a: int, b: int) -> int:
        return a + b

    return [in_context.delay(1, 2).get(), entered]


def case_current_task_and_app() -> Any:
    return [name.rpartition(".")[2] for name in who.delay().get(timeout=WAIT_S)]


def case_current_task_outside() -> Any:
    return bool(current_task)


def case_self() -> Any:
    name, *rest = itself.delay().get(timeout=WAIT_S)
    return [name.rpartition(".")[2], *rest]


def case_revoke_before_start() -> Any:
    result = add.apply_async((1, 1), countdown=1.5)
    app.control.revoke(result.id)
    return outcome(result)["state"]


def case_revoke_raises() -> Any:
    result = add.apply_async((1, 1), countdown=1.5)
    result.revoke()
    try:
        result.get(timeout=WAIT_S)
    except Exception as error:
        return error_of(error)


def case_revoke_terminate() -> Any:
    name = key()
    result = wait_for.delay(name, 1000)
    wait_for_notes(name, 1)
    result.revoke(terminate=True)
    return outcome(result)["state"]


def case_revoke_finished() -> Any:
    result = finished(add.delay(1, 1))
    result.revoke()
    return result.state


def inspected(method: str, found: Callable[[Any], Any]) -> Any:
    """What is found in the replies of workers, as soon as it is; Celery's workers reply and change state later."""
    end = time.monotonic() + WAIT_S
    while True:
        replies = getattr(app.control.inspect(), method)() or {}
        if (seen := [found(reply) for reply in replies.values()]) and all(seen) or time.monotonic() > end:
            return seen


def case_inspect_active() -> Any:
    name = key()
    result = wait_for.delay(name, 2)
    wait_for_notes(name, 1)
    found = inspected("active", lambda tasks: [task["name"] for task in tasks if task["id"] == result.id])
    note(name, "go on")
    result.get(timeout=WAIT_S)
    return [name.rpartition(".")[2] for names in found for name in names]


def case_inspect_registered() -> Any:
    return inspected("registered", lambda names: add.name in " ".join(names))


def case_inspect_scheduled() -> Any:
    result = add.apply_async((1, 1), countdown=60)
    found = inspected(
        "scheduled", lambda tasks: [task["request"]["name"] for task in tasks if task["request"]["id"] == result.id]
    )
    result.revoke()
    return [name.rpartition(".")[2] for names in found for name in names]


def case_crontab_fields() -> Any:
    every_quarter = crontab(minute="*/15", hour="8-10", day_of_week="mon,fri", day_of_month="1-7", month_of_year="jan")
    return [
        sorted(every_quarter.minute),
        sorted(every_quarter.hour),
        sorted(every_quarter.day_of_week),
        sorted(every_quarter.day_of_month),
        sorted(every_quarter.month_of_year),
    ]


def case_crontab_defaults() -> Any:
    always = crontab()
    return [
        len(always.minute),
        len(always.hour),
        len(always.day_of_week),
        len(always.day_of_month),
        len(always.month_of_year),
    ]


def case_crontab_numbers() -> Any:
    made = crontab(minute=0, hour={3, 4}, day_of_week=0)
    return [sorted(made.minute), sorted(made.hour), sorted(made.day_of_week)]


def case_crontab_lists_and_steps() -> Any:
    made = crontab(minute="0-30/10,45", hour="*/6", month_of_year="*/3", day_of_week="thu-sat")
    return [sorted(made.minute), sorted(made.hour), sorted(made.month_of_year), sorted(made.day_of_week)]


def case_crontab_wraps() -> Any:
    return [sorted(crontab(day_of_week="fri-mon").day_of_week), sorted(crontab(day_of_week="sunday").day_of_week)]


def case_crontab_is_malformed() -> Any:
    failed = []
    for field in ("61", "x", "-1"):
        try:
            crontab(minute=field)
        except Exception:
            failed.append(field)
    return failed


def case_crontab_equality() -> Any:
    return [crontab(minute=5) == crontab(minute="5"), crontab(minute=5) == crontab(minute=6)]


def case_schedule() -> Any:
    return schedule(timedelta(seconds=30)).run_every.total_seconds()


def case_beat_schedule_is_kept() -> Any:
    made = Celery("beat", set_as_current=False)
    made.conf.beat_schedule = {"every": {"task": "tasks.add", "schedule": 30.0, "args": (1, 2)}}
    return made.conf.beat_schedule["every"]["args"] == (1, 2)


def case_inspect_ping() -> Any:
    return inspected("ping", lambda reply: list(reply) == ["ok"])


def case_inspect_revoked() -> Any:
    result = add.apply_async((1, 1), countdown=1.5)
    result.revoke()
    outcome(result)
    return inspected("revoked", lambda ids: result.id in ids)


def case_inspect_reserved() -> Any:
    return inspected("reserved", lambda tasks: isinstance(tasks, list))


def case_unregistered() -> Any:
    try:
        app.tasks["no.such.task"]
    except NotRegistered as error:
        return type(error).__name__
    except KeyError as error:
        return type(error).__name__


def case_signature_type_unregistered() -> Any:
    try:
        app.signature("no.such.task").type
    except KeyError as error:
        return type(error).__name__


def case_logger() -> Any:
    return [logger.name == __name__, callable(logger.info)]


def case_with_app() -> Any:
    with Celery("context", set_as_current=False) as made:
        return made.main


def case_tasks_of_two_apps() -> Any:
    one, two = small(), small()

    @one.task(name="oracle.one")
    def first() -> str:
        return "first"

    @two.task(name="oracle.two")
    def second() -> str:
        return "second"

    return [first.delay().get(), second.delay().get()]


def case_task_id_of_eager() -> Any:
    made = small()

    @made.task
    def eager_id() -> None: ...

    return eager_id.apply_async(task_id="chosen").id


def case_repr() -> Any:
    return [repr(app).startswith("<Celery oracle"), repr(add).startswith("<@task: ")]
