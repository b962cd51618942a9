"""Calls: arguments, options, results."""

import threading
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from celery import current_app, shared_task, signature
from celery.exceptions import TimeoutError as CeleryTimeout
from celery.result import AsyncResult

from tests.oracle.program.app import WAIT_S, app, error_of, key, note, outcome, shown, wait_for_notes


@app.task
def add(x: Any, y: Any = 10) -> Any:
    return x + y


@shared_task
def shared_add(x: Any, y: Any) -> Any:
    return x + y


@app.task(name="oracle.custom-name")
def named() -> str:
    return "named"


@app.task
def echo(*args: Any, **kwargs: Any) -> Any:
    return [list(args), kwargs]


@app.task
def type_names(*values: Any) -> list[str]:
    return [type(value).__name__ for value in values]


@app.task
def give(what: str) -> Any:
    return {
        "datetime": datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
        "date": date(2030, 1, 2),
        "decimal": Decimal("1.50"),
        "uuid": UUID(int=7),
        "bytes": b"abc",
        "tuple": (1, 2),
        "nested": {"a": [1, {"b": None}]},
        "none": None,
        "set": {1},
        "object": object(),
    }[what]


@app.task(bind=True)
def request_of(self: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
    call = self.request
    return {
        "args": list(call.args),
        "kwargs": call.kwargs,
        "retries": call.retries,
        "eager": call.is_eager,
        "direct": call.called_directly,
        "id": call.id,
        "root": call.root_id,
        "parent": call.parent_id,
        "headers": call.headers,
        "task": call.task,
    }


@app.task
def enqueue_another(x: int) -> str:
    return add.delay(x, 1).id


@app.task(typing=False)
def untyped(x: Any) -> Any:
    return x


@app.task(ignore_result=True)
def ignored(name: str) -> str:
    note(name, "ran")
    return "never seen"


@app.task
def noted(name: str, value: Any = None) -> None:
    note(name, value)


def case_delay() -> Any:
    return add.delay(2, 3).get(timeout=WAIT_S)


def case_delay_keyword() -> Any:
    return add.delay(2, y=3).get(timeout=WAIT_S)


def case_delay_default() -> Any:
    return add.delay(2).get(timeout=WAIT_S)


def case_apply_async() -> Any:
    return add.apply_async((2,), {"y": 3}).get(timeout=WAIT_S)


def case_apply_async_without_arguments() -> Any:
    return named.apply_async().get(timeout=WAIT_S)


def case_shared_task() -> Any:
    return shared_add.delay(1, 2).get(timeout=WAIT_S)


def case_direct_call() -> Any:
    return [add(1, 2), add.run(1, 2), shared_add(3, 4)]


def case_names() -> Any:
    return [add.name, named.name, shared_add.name, request_of.name]


def case_send_task() -> Any:
    return app.send_task("oracle.custom-name").get(timeout=WAIT_S)


def case_send_task_arguments() -> Any:
    return app.send_task(add.name, (1,), {"y": 5}).get(timeout=WAIT_S)


def case_current_app_send_task() -> Any:
    return current_app.send_task(add.name, args=[1, 5]).get(timeout=WAIT_S)


def case_signature_by_name() -> Any:
    return signature("oracle.custom-name").delay().get(timeout=WAIT_S)


def case_signature_by_name_with_arguments() -> Any:
    return signature(add.name, args=(1, 2)).apply_async().get(timeout=WAIT_S)


def case_app_signature() -> Any:
    return app.signature(add.name, (3, 4)).delay().get(timeout=WAIT_S)


def case_many_arguments() -> Any:
    return echo.delay(1, "two", None, [3], five={"six": 6.5}).get(timeout=WAIT_S)


def case_unicode() -> Any:
    return echo.delay("ä€𝄞", **{"ключ": "значение"}).get(timeout=WAIT_S)


def case_too_many_arguments() -> Any:
    try:
        add.delay(1, 2, 3)
    except TypeError as error:
        return type(error).__name__


def case_missing_argument() -> Any:
    try:
        add.delay()
    except TypeError as error:
        return type(error).__name__


def case_unknown_keyword() -> Any:
    try:
        add.delay(1, z=3)
    except TypeError as error:
        return type(error).__name__


def case_untyped_fails_in_the_worker() -> Any:
    found = outcome(untyped.delay())
    return [found["state"], found["value"][0]]


def case_annotations_are_not_checked() -> Any:
    return add.delay("a", "b").get(timeout=WAIT_S)


def case_types_of_arguments() -> Any:
    return type_names.delay(datetime.now(UTC), date(2030, 1, 1), Decimal(1), UUID(int=1), b"x", (1,), 1.5, True).get(
        timeout=WAIT_S
    )


def case_argument_that_is_not_json() -> Any:
    try:
        echo.delay(object())
    except Exception as error:
        return type(error).__name__


def case_result_types() -> Any:
    kinds = ("datetime", "date", "decimal", "uuid", "bytes", "tuple", "nested", "none")
    return [repr(give.delay(kind).get(timeout=WAIT_S)) for kind in kinds]


def case_result_that_is_not_json() -> Any:
    found = outcome(give.delay("object"))
    return [found["state"], found["value"][0]]


def case_task_id() -> Any:
    chosen = "2f1bbb54-3d0f-4f79-9f9e-" + key()[:12]
    result = add.apply_async((1, 2), task_id=chosen)
    return [result.id == chosen, AsyncResult(chosen).get(timeout=WAIT_S)]


def case_task_id_of_any_text() -> Any:
    chosen = f"order-{key()}"
    result = request_of.apply_async(task_id=chosen)
    return [result.id == chosen, result.get(timeout=WAIT_S)["id"] == chosen, AsyncResult(chosen).state]


def case_request() -> Any:
    found = request_of.delay(1, b=2).get(timeout=WAIT_S)
    return {name: found[name] for name in ("args", "kwargs", "retries", "eager", "direct", "parent", "task")}


def case_request_id() -> Any:
    result = request_of.delay()
    found = result.get(timeout=WAIT_S)
    return [found["id"] == result.id, found["root"] == result.id]


def case_request_headers() -> Any:
    found = request_of.apply_async(headers={"tenant": "a"}).get(timeout=WAIT_S)
    return (found["headers"] or {}).get("tenant")


def case_request_of_direct_call() -> Any:
    return request_of.request.called_directly


def case_another_task_from_a_task() -> Any:
    return AsyncResult(enqueue_another.delay(4).get(timeout=WAIT_S)).get(timeout=WAIT_S)


def case_children() -> Any:
    result = enqueue_another.delay(4)
    called = result.get(timeout=WAIT_S)
    return [child.id == called for child in result.children]


def case_collect() -> Any:
    result = enqueue_another.delay(4)
    child = AsyncResult(result.get(timeout=WAIT_S))
    child.get(timeout=WAIT_S)
    return [value == child.id or value for _, value in result.collect()]


def case_countdown() -> Any:
    return add.apply_async((1, 1), countdown=0.2).get(timeout=WAIT_S)


def case_eta() -> Any:
    return add.apply_async((1, 1), eta=datetime.now(UTC) + timedelta(seconds=0.2)).get(timeout=WAIT_S)


def case_eta_naive_is_in_the_zone_of_the_app() -> Any:
    naive = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=0.2)
    return add.apply_async((1, 1), eta=naive).get(timeout=WAIT_S)


def case_expires_in_time() -> Any:
    return add.apply_async((1, 1), expires=60).get(timeout=WAIT_S)


def case_expired() -> Any:
    result = add.apply_async((1, 1), countdown=0.3, expires=datetime.now(UTC) - timedelta(seconds=5))
    return outcome(result)


def case_expired_raises() -> Any:
    result = add.apply_async((1, 1), expires=datetime.now(UTC) - timedelta(seconds=5))
    try:
        return result.get(timeout=WAIT_S)
    except Exception as error:
        return type(error).__name__


def case_unknown_id_is_pending() -> Any:
    result = AsyncResult("00000000-0000-4000-8000-000000000001", app=app)
    return [
        result.state,
        result.status,
        result.result,
        result.info,
        result.ready(),
        result.successful(),
        result.failed(),
        result.traceback,
    ]


def case_get_times_out() -> Any:
    try:
        AsyncResult("00000000-0000-4000-8000-000000000002", app=app).get(timeout=0.1)
    except CeleryTimeout as error:
        return error_of(error)


def case_result_attributes() -> Any:
    result = add.delay(1, 2)
    result.get(timeout=WAIT_S)
    return [
        result.state,
        result.status,
        result.result,
        result.info,
        result.ready(),
        result.successful(),
        result.failed(),
        result.parent,
        result.traceback,
        result.children,
        result.date_done is not None,
        str(result) == result.id,
    ]


def case_result_equality() -> Any:
    result = add.delay(1, 2)
    result.get(timeout=WAIT_S)
    other = AsyncResult(result.id, app=app)
    return [result == other, result == result.id, hash(result) == hash(other), result == AsyncResult("x", app=app)]


def case_forget() -> Any:
    result = add.delay(1, 2)
    result.get(timeout=WAIT_S)
    result.forget()
    return AsyncResult(result.id, app=app).state


def case_as_tuple() -> Any:
    result = add.delay(1, 2)
    (task_id, parent), children = result.as_tuple()
    return [task_id == result.id, parent, children, [each == result.id for each in result.as_list()]]


def case_get_with_callback() -> Any:
    found: list[Any] = []
    result = add.delay(1, 2)
    result.get(timeout=WAIT_S, callback=lambda task_id, value: found.append([task_id == result.id, value]))
    return found


def case_threads() -> Any:
    results: list[Any] = []
    threads = [
        threading.Thread(target=lambda number=number: results.append(add.delay(number, 1).id)) for number in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(AsyncResult(task_id, app=app).get(timeout=WAIT_S) for task_id in results)


def case_ignored_result() -> Any:
    name = key()
    result = ignored.delay(name)
    wait_for_notes(name, 1)
    return result.result


def case_ignored_result_of_a_call() -> Any:
    name = key()
    result = noted.apply_async((name, 1), ignore_result=True)
    return [wait_for_notes(name, 1), result.result]


def case_repr_of_a_task() -> Any:
    return [repr(add.s(1, y=2)).endswith("add(1, y=2)"), add.__name__]


def case_registry() -> Any:
    return [add.name in app.tasks, app.tasks[add.name].name == add.name, "nowhere" in app.tasks]


def case_link() -> Any:
    name = key()
    add.apply_async((1, 2), link=noted.si(name, "linked"))
    return wait_for_notes(name, 1)


@app.task
def note_value(value: Any, name: str) -> None:
    note(name, value)


def case_link_receives_the_result() -> Any:
    name = key()
    add.apply_async((1, 2), link=note_value.s(name))
    return wait_for_notes(name, 1)


def case_links() -> Any:
    name = key()
    add.apply_async((1, 2), link=[note_value.s(name), noted.si(name, "second")])
    return sorted(map(str, wait_for_notes(name, 2)))


def case_date_done() -> Any:
    result = add.delay(1, 1)
    result.get(timeout=WAIT_S)
    return isinstance(result.date_done, datetime)


def case_priority() -> Any:
    return add.apply_async((1, 1), priority=5).get(timeout=WAIT_S)


def case_options_without_effect() -> Any:
    return add.apply_async(
        (1, 1), retry=True, retry_policy={"max_retries": 1}, serializer="json", compression=None
    ).get(timeout=WAIT_S)


def case_shown_value() -> Any:
    return shown(add.delay(1, 1).get(timeout=WAIT_S))
