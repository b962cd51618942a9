"""Workflows: chains, groups, chords, maps, chunks, callbacks, replaced tasks."""

import json
from typing import Any

from celery import chain, chord, chunks, group, maybe_signature, signature
from celery.result import AsyncResult, GroupResult, ResultSet

from tests.oracle.program.app import WAIT_S, app, error_of, finished, key, note, notes, outcome, shown, wait_for_notes


@app.task
def add(x: Any, y: Any) -> Any:
    return x + y


@app.task
def mul(x: Any, y: Any) -> Any:
    return x * y


@app.task
def total(numbers: Any) -> Any:
    return sum(numbers)


@app.task
def same(value: Any) -> Any:
    return value


@app.task
def constant() -> int:
    return 7


@app.task
def fail(*_args: Any) -> None:
    raise ValueError("part failed")


@app.task
def note_value(value: Any, name: str) -> Any:
    note(name, value)
    return value


@app.task
def note_plain(name: str) -> None:
    note(name, "called")


@app.task
def note_id(task_id: str) -> None:
    note(f"failed-{task_id}", "called")


@app.task(bind=True)
def ids(self: Any, *_args: Any) -> list[Any]:
    return [self.request.id, self.request.parent_id, self.request.root_id]


@app.task(bind=True)
def replaced_by_task(self: Any, x: int) -> Any:
    return self.replace(add.s(x, 100))


@app.task(bind=True)
def replaced_by_chain(self: Any, x: int) -> Any:
    return self.replace(chain(add.s(x, 1), mul.s(10)))


@app.task(bind=True)
def replaced_by_group(self: Any, x: int) -> Any:
    return self.replace(group(add.s(x, n) for n in range(3)))


@app.task(bind=True)
def replaced_by_chord(self: Any, x: int) -> Any:
    return self.replace(chord([add.s(x, n) for n in range(3)], total.s()))


@app.task(bind=True)
def replaced_by_failure(self: Any, x: int) -> Any:
    return self.replace(fail.si())


@app.task(bind=True)
def replaced_twice(self: Any, x: int) -> Any:
    return self.replace(replaced_by_task.s(x)) if x < 5 else self.replace(replaced_twice.s(1))


@app.task
def call_signature(sig: Any) -> Any:
    return maybe_signature(sig, app=app).apply_async().id


@app.task
def is_signature(sig: Any) -> Any:
    return [isinstance(sig, dict), sig["task"].rpartition(".")[2], list(sig["args"])]


def get(sig: Any) -> Any:
    return sig.apply_async().get(timeout=WAIT_S)


def case_chain() -> Any:
    return get(chain(add.s(1, 2), add.s(3), mul.s(10)))


def case_chain_of_list() -> Any:
    return get(chain([add.s(1, 2), mul.s(10)]))


def case_pipe() -> Any:
    return get(add.s(1, 2) | mul.s(10) | add.s(1))


def case_chain_called() -> Any:
    return chain(add.s(1, 2), mul.s(10))().get(timeout=WAIT_S)


def case_chain_delay_arguments() -> Any:
    return chain(add.s(2), mul.s(10)).delay(1).get(timeout=WAIT_S)


def case_chain_apply_async_arguments() -> Any:
    return (add.s() | mul.s(10)).apply_async((1, 2)).get(timeout=WAIT_S)


def case_chain_immutable() -> Any:
    return get(chain(add.s(1, 2), add.si(10, 10), mul.s(2)))


def case_chain_without_arguments() -> Any:
    return get(constant.s() | add.s(1))


def case_chain_of_one() -> Any:
    return get(chain(add.s(1, 2)))


def case_chain_in_chain() -> Any:
    return get(chain(add.s(1, 1), chain(mul.s(3), mul.s(4)), add.s(1)))


def case_chain_parents() -> Any:
    result = chain(add.s(1, 2), add.s(3), mul.s(10)).apply_async()
    result.get(timeout=WAIT_S)
    return [result.get(), result.parent.get(), result.parent.parent.get(), result.parent.parent.parent]


def case_chain_requests() -> Any:
    result = chain(ids.s(), ids.s(), ids.s()).apply_async()
    last = result.get(timeout=WAIT_S)
    middle, first = result.parent.get(), result.parent.parent.get()
    return [
        first[1],
        middle[1] == first[0],
        last[1] == middle[0],
        first[2] == middle[2] == last[2] == first[0],
        last[0] == result.id,
    ]


def case_chain_failure_in_the_first() -> Any:
    return outcome(chain(fail.s(), add.s(1)).apply_async())


def case_chain_failure_raises() -> Any:
    try:
        get(chain(add.s(1, 1), fail.s(), add.s(1)))
    except ValueError as error:
        return error_of(error)


def case_chain_failure_in_the_middle() -> Any:
    result = chain(add.s(1, 1), fail.s(), add.s(1), add.s(1)).apply_async()
    found = outcome(result)
    between = finished(result.parent)  # Celery stores the last task's state first
    return [found, between.state, between.parent.state, between.parent.parent.state]


def case_chain_failure_before_a_group() -> Any:
    result = chain(fail.s(), group(add.s(1), add.s(2)), total.s()).apply_async()
    found = outcome(result)
    return [found["state"], found["value"][0], [member.state for member in result.parent.results]]


def case_chain_link_error() -> Any:
    name = key()
    finished(chain(add.s(1, 1), fail.s(), add.s(1)).apply_async(link_error=note_plain.si(name)))
    return wait_for_notes(name, 1)


def case_chain_on_error() -> Any:
    name = key()
    finished(chain(fail.s(), add.s(1)).on_error(note_plain.si(name)).apply_async())
    return wait_for_notes(name, 1)


def case_chain_part_link_error() -> Any:
    name = key()
    finished(chain(add.s(1, 1), fail.s().on_error(note_plain.si(name)), add.s(1)).apply_async())
    return wait_for_notes(name, 1)


def case_chain_link_error_receives_the_id() -> Any:
    result = chain(fail.s(), add.s(1)).apply_async(link_error=note_id.s())
    finished(result)
    return wait_for_notes(f"failed-{result.parent.id}", 1)


def case_chain_link() -> Any:
    name = key()
    chain(add.s(1, 1), mul.s(5)).apply_async(link=note_value.s(name))
    return wait_for_notes(name, 1)


def case_chain_link_method() -> Any:
    name = key()
    flow = chain(add.s(1, 1), mul.s(5))
    flow.link(note_value.s(name))
    flow.apply_async()
    return wait_for_notes(name, 1)


def case_chain_part_link() -> Any:
    name = key()
    first = add.s(1, 1)
    first.link(note_value.s(name))
    return [get(chain(first, mul.s(5))), wait_for_notes(name, 1)]


def case_chain_countdown() -> Any:
    return get(chain(add.s(1, 1), mul.s(5).set(countdown=0.2)))


def case_chain_empty_group_is_skipped() -> Any:
    return get(chain(add.s(1, 1), group(), mul.s(5)))


def case_chain_group_of_one_is_unrolled() -> Any:
    return get(chain(add.s(1, 1), group(mul.s(5)), add.s(1)))


def case_chain_ends_with_a_group() -> Any:
    return get(chain(add.s(1, 1), group(mul.s(5), mul.s(6))))


def case_chain_ends_with_a_group_result_type() -> Any:
    result = chain(add.s(1, 1), group(mul.s(5), mul.s(6))).apply_async()
    result.get(timeout=WAIT_S)
    return [isinstance(result, GroupResult), len(result), result.parent.get(), result[0].get()]


def case_chain_group_task() -> Any:
    return get(chain(add.s(1, 1), group(mul.s(5), mul.s(6)), total.s()))


def case_chain_group_task_task() -> Any:
    return get(chain(add.s(1, 1), group(mul.s(5), mul.s(6)), total.s(), add.s(1000)))


def case_chain_group_group() -> Any:
    return get(chain(group(add.s(1, 1), add.s(2, 2)), group(same.s(), total.s())))


def case_chain_group_chain_task() -> Any:
    return get(chain(add.s(1, 1), group(mul.s(5) | add.s(1), mul.s(6)), total.s()))


def case_group() -> Any:
    return get(group(add.s(n, n) for n in range(5)))


def case_group_of_arguments() -> Any:
    return get(group(add.s(1, 1), add.s(2, 2)))


def case_group_of_list() -> Any:
    return get(group([add.s(1, 1), add.s(2, 2)]))


def case_group_called() -> Any:
    return group(add.s(1, 1), add.s(2, 2))().get(timeout=WAIT_S)


def case_group_delay() -> Any:
    return group(add.s(1), add.s(2)).delay(10).get(timeout=WAIT_S)


def case_group_of_one() -> Any:
    return get(group(add.s(1, 1)))


def case_group_empty() -> Any:
    result = group().apply_async()
    return [len(result), isinstance(result, GroupResult)]


def case_group_nested() -> Any:
    return get(group(group(add.s(1, 1), add.s(2, 2)), add.s(3, 3)))


def case_group_of_chains() -> Any:
    return get(group(add.s(1, 1) | mul.s(2), add.s(2, 2) | mul.s(3)))


def case_group_of_chords() -> Any:
    return get(group(chord([add.s(1, 1), add.s(2, 2)], total.s()), add.s(0, 1)))


def case_group_result() -> Any:
    result = group(add.s(n, n) for n in range(3)).apply_async()
    values = result.get(timeout=WAIT_S)
    return [
        values,
        result.ready(),
        result.successful(),
        result.failed(),
        result.waiting(),
        result.completed_count(),
        len(result),
        result.parent,
        [each.state for each in result],
        result[1].get(),
    ]


def case_group_result_join() -> Any:
    result = group(add.s(n, n) for n in range(3)).apply_async()
    return [result.join(timeout=WAIT_S), [each.get() for each in result.children]]


def case_group_failure_raises() -> Any:
    try:
        get(group(add.s(1, 1), fail.s(), add.s(2, 2)))
    except ValueError as error:
        return error_of(error)


def case_group_failure_propagate_false() -> Any:
    result = group(add.s(1, 1), fail.s(), add.s(2, 2)).apply_async()
    return [
        [shown(value) for value in result.get(timeout=WAIT_S, propagate=False)],
        result.failed(),
        result.successful(),
        result.completed_count(),
    ]


def case_group_link_is_refused() -> Any:
    try:
        group(add.s(1, 1), add.s(2, 2)).apply_async(link=same.s())
    except TypeError as error:
        return error_of(error)


def case_group_link_error_of_members() -> Any:
    name = key()
    members = group(fail.s(), add.s(1, 1))
    members.link_error(note_plain.si(name))
    result = members.apply_async()
    result.get(timeout=WAIT_S, propagate=False)
    return wait_for_notes(name, 1)


def case_group_save_and_restore() -> Any:
    result = group(add.s(1, 1), add.s(2, 2)).apply_async()
    result.get(timeout=WAIT_S)
    result.save()
    restored = GroupResult.restore(result.id, app=app)
    return [restored.get(timeout=WAIT_S), restored.id == result.id, restored == result]


def case_group_restore_unknown() -> Any:
    return GroupResult.restore("nowhere", app=app)


def case_group_delete() -> Any:
    result = group(add.s(1, 1), add.s(2, 2)).apply_async()
    result.get(timeout=WAIT_S)
    result.save()
    result.delete()
    return GroupResult.restore(result.id, app=app)


def case_group_as_tuple() -> Any:
    result = group(add.s(1, 1), add.s(2, 2)).apply_async()
    result.get(timeout=WAIT_S)
    (group_id, parent), members = result.as_tuple()
    return [
        group_id == result.id,
        parent,
        [member[0][0] == each.id for member, each in zip(members, result, strict=True)],
    ]


def case_group_iterate() -> Any:
    result = group(add.s(n, n) for n in range(3)).apply_async()
    result.get(timeout=WAIT_S)
    return [each.get(timeout=WAIT_S) for each in result.results]


def case_result_set() -> Any:
    results = ResultSet([add.delay(1, 1), add.delay(2, 2)], app=app)
    results.add(add.delay(3, 3))
    values = results.get(timeout=WAIT_S)
    return [values, results.ready(), results.successful(), len(results), results.completed_count()]


def case_chord() -> Any:
    return get(chord([add.s(n, n) for n in range(4)], total.s()))


def case_chord_called() -> Any:
    return chord(add.s(n, n) for n in range(4))(total.s()).get(timeout=WAIT_S)


def case_chord_of_group() -> Any:
    return get(chord(group(add.s(n, n) for n in range(4)), total.s()))


def case_chord_by_pipe() -> Any:
    return get(group(add.s(n, n) for n in range(4)) | total.s())


def case_chord_of_one() -> Any:
    return get(chord([add.s(1, 1)], total.s()))


def case_chord_group_of_one_by_pipe() -> Any:
    return get(group(add.s(1, 1)) | same.s())


def case_chord_empty() -> Any:
    return get(chord([], total.s()))


def case_chord_order() -> Any:
    return get(chord([add.s(n, 0).set(countdown=0.2 - n / 20) for n in range(4)], same.s()))


def case_chord_immutable_body() -> Any:
    return get(chord([add.s(1, 1), add.s(2, 2)], constant.si()))


def case_chord_body_with_arguments() -> Any:
    return get(chord([add.s(1, 1), add.s(2, 2)], add.s([100])))


def case_chord_body_is_a_chain() -> Any:
    return get(chord([add.s(1, 1), add.s(2, 2)], total.s() | mul.s(10)))


def case_chord_then_task() -> Any:
    return get(chord([add.s(1, 1), add.s(2, 2)], total.s()) | mul.s(10))


def case_chord_body_is_a_group() -> Any:
    return get(chord([add.s(1, 1), add.s(2, 2)], group(total.s(), same.s())))


def case_chord_in_a_chain() -> Any:
    return get(chain(add.s(1, 1), chord([mul.s(2), mul.s(3)], total.s()), add.s(1)))


def case_chord_of_chains() -> Any:
    return get(chord([add.s(1, 1) | mul.s(2), add.s(2, 2) | mul.s(3)], total.s()))


def case_chord_nested() -> Any:
    return get(chord([chord([add.s(1, 1), add.s(2, 2)], total.s()), add.s(3, 3)], total.s()))


def case_chord_delay_arguments() -> Any:
    return chord([add.s(1), add.s(2)], total.s()).delay(10).get(timeout=WAIT_S)


def case_chord_parent() -> Any:
    result = chord([add.s(1, 1), add.s(2, 2)], total.s()).apply_async()
    result.get(timeout=WAIT_S)
    return [isinstance(result.parent, GroupResult), result.parent.get(timeout=WAIT_S)]


def case_chord_failure() -> Any:
    result = chord([add.s(1, 1), fail.s()], total.s()).apply_async()
    try:
        result.get(timeout=WAIT_S)
    except Exception as error:
        return [type(error).__name__, "part failed" in str(error), str(error).startswith("Dependency")]


def case_chord_failure_state() -> Any:
    result = chord([add.s(1, 1), fail.s()], total.s()).apply_async()
    return outcome(result)["state"]


def case_chord_failure_link_error_of_the_body() -> Any:
    name = key()
    finished(chord([add.s(1, 1), fail.s()], total.s().on_error(note_plain.si(name))).apply_async())
    return wait_for_notes(name, 1)


def case_chord_body_failure() -> Any:
    return outcome(chord([add.s(1, 1), add.s(2, 2)], fail.s()).apply_async())


def case_chord_link() -> Any:
    name = key()
    flow = chord([add.s(1, 1), add.s(2, 2)], total.s())
    flow.link(note_value.s(name))
    flow.apply_async()
    return wait_for_notes(name, 1)


def case_map() -> Any:
    return get(same.map([1, "two", [3]]))


def case_map_delay() -> Any:
    return total.map([[1, 2], [3, 4]]).delay().get(timeout=WAIT_S)


def case_starmap() -> Any:
    return get(add.starmap([(1, 1), (2, 2)]))


def case_starmap_in_a_chain() -> Any:
    return get(add.starmap([(1, 1), (2, 2)]) | total.s())


def case_chunks() -> Any:
    return get(add.chunks([(n, n) for n in range(5)], 2))


def case_chunks_called() -> Any:
    return chunks(add.s(), [(n, n) for n in range(4)], 2)().get(timeout=WAIT_S)


def case_chunks_group() -> Any:
    parts = add.chunks([(n, n) for n in range(5)], 2).group()
    return [len(parts), get(parts)]


def case_partial() -> Any:
    return add.s(2).delay(1).get(timeout=WAIT_S)


def case_partial_order() -> Any:
    return same.s().clone(args=(1,)).delay().get(timeout=WAIT_S)


def case_partial_keyword() -> Any:
    return add.s(1).apply_async(kwargs={"y": 5}).get(timeout=WAIT_S)


def case_signature_fields() -> Any:
    sig = add.s(1, y=2).set(countdown=3)
    return [
        sig.task == add.name,
        list(sig.args),
        sig.kwargs,
        sig.options,
        sig.immutable,
        sig.subtask_type,
        sig["args"] == sig.args,
    ]


def case_signature_json() -> Any:
    sent = json.loads(json.dumps(add.s(1, 2)))
    return signature(sent).delay().get(timeout=WAIT_S)


def case_signature_of_workflow_json() -> Any:
    sent = json.loads(json.dumps(chain(add.s(1, 2), mul.s(3))))
    return signature(sent).apply_async().get(timeout=WAIT_S)


def case_signature_of_chord_json() -> Any:
    sent = json.loads(json.dumps(chord([add.s(1, 1), add.s(2, 2)], total.s())))
    return signature(sent).apply_async().get(timeout=WAIT_S)


def case_signature_called() -> Any:
    return add.s(1)(2)


def case_signature_as_argument() -> Any:
    return is_signature.delay(add.s(1, 2)).get(timeout=WAIT_S)


def case_signature_run_by_a_task() -> Any:
    return AsyncResult(call_signature.delay(add.s(4, 5)).get(timeout=WAIT_S), app=app).get(timeout=WAIT_S)


def case_signature_replace() -> Any:
    return get(add.s(1, 2).replace(args=(10, 20)))


def case_signature_clone() -> Any:
    original = add.s(1)
    copied = original.clone((5,))
    return [list(original.args), list(copied.args), copied == original]


def case_signature_set() -> Any:
    return get(add.s(1, 2).set(priority=3, queue=None))


def case_signature_immutable() -> Any:
    return [add.si(1, 2).immutable, add.s(1, 2).immutable, add.signature((1, 2), immutable=True).immutable]


def case_signature_freeze() -> Any:
    sig = add.s(1, 2)
    frozen = sig.freeze()
    result = sig.apply_async()
    return [result.id == frozen.id, frozen.get(timeout=WAIT_S)]


def case_chain_freeze() -> Any:
    flow = chain(add.s(1, 2), mul.s(5))
    frozen = flow.freeze()
    flow.apply_async()
    return frozen.get(timeout=WAIT_S)


def case_signature_task_id() -> Any:
    chosen = "8e7b0a4c-66b5-4a7c-8a3e-" + key()[:12]
    result = add.s(1, 2).set(task_id=chosen).apply_async()
    return [result.id == chosen, result.get(timeout=WAIT_S)]


def case_repr() -> Any:
    flow = chain(add.s(1, 2), mul.s(3))
    return [repr(flow).count("|"), "add(1, 2)" in repr(flow)]


def case_types() -> Any:
    return [
        type(add.s(1) | add.s(2)).__name__.strip("_"),
        type(group(add.s(1), add.s(2)) | total.s()).__name__.strip("_"),
        type(add.s(1) | group(add.s(2), add.s(3))).__name__.strip("_"),
    ]


def case_link_chain() -> Any:
    name = key()
    add.apply_async((1, 1), link=chain(mul.s(5), note_value.s(name)))
    return wait_for_notes(name, 1)


def case_link_group() -> Any:
    name = key()
    add.apply_async((1, 1), link=group(note_value.s(name), note_value.s(name)))
    return wait_for_notes(name, 2)


def case_link_of_link() -> Any:
    name = key()
    second = mul.s(5)
    second.link(note_value.s(name))
    add.apply_async((1, 1), link=second)
    return wait_for_notes(name, 1)


def case_link_children() -> Any:
    name = key()
    result = add.apply_async((1, 1), link=note_value.s(name))
    result.get(timeout=WAIT_S)
    wait_for_notes(name, 1)
    return [child.get(timeout=WAIT_S) for child in result.children]


def case_link_error_chain() -> Any:
    name = key()
    fail.apply_async(link_error=chain(constant.si(), note_value.s(name)))
    return wait_for_notes(name, 1)


def case_collect_of_a_chain() -> Any:
    result = chain(add.s(1, 1), mul.s(5)).apply_async()
    result.get(timeout=WAIT_S)
    return [value for _, value in result.parent.collect()]


def case_replace_with_task() -> Any:
    return replaced_by_task.delay(1).get(timeout=WAIT_S)


def case_replace_with_chain() -> Any:
    return replaced_by_chain.delay(1).get(timeout=WAIT_S)


def case_replace_with_group() -> Any:
    return replaced_by_group.delay(1).get(timeout=WAIT_S)


def case_replace_with_chord() -> Any:
    return replaced_by_chord.delay(1).get(timeout=WAIT_S)


def case_replace_in_a_chain() -> Any:
    return get(chain(replaced_by_task.s(1), mul.s(2)))


def case_replace_in_a_chord() -> Any:
    return get(chord([replaced_by_task.s(1), add.s(1, 1)], total.s()))


def case_replace_with_failure() -> Any:
    return outcome(replaced_by_failure.delay(1))


def case_replace_twice() -> Any:
    return replaced_twice.delay(9).get(timeout=WAIT_S)


def case_replace_with_link() -> Any:
    name = key()
    replaced_by_task.apply_async((1,), link=note_value.s(name))
    return wait_for_notes(name, 1)


def case_replace_with_link_error() -> Any:
    name = key()
    replaced_by_failure.apply_async((1,), link_error=note_plain.si(name))
    return wait_for_notes(name, 1)


def case_apply() -> Any:
    result = add.apply((1, 2))
    return [result.get(), result.state, result.successful(), result.ready(), type(result).__name__]


def case_apply_failure() -> Any:
    result = fail.apply()
    return [result.state, error_of(result.result), result.failed(), "ValueError" in result.traceback]


def case_apply_failure_raises() -> Any:
    try:
        fail.apply().get()
    except ValueError as error:
        return error_of(error)


def case_apply_throw() -> Any:
    try:
        fail.apply(throw=True)
    except ValueError as error:
        return error_of(error)


def case_apply_chain() -> Any:
    return chain(add.s(1, 2), mul.s(3)).apply().get()


def case_apply_group() -> Any:
    return group(add.s(1, 2), mul.s(3, 4)).apply().get()


def case_apply_chord() -> Any:
    return chord([add.s(1, 2), mul.s(3, 4)], total.s()).apply().get()


def case_apply_link() -> Any:
    name = key()
    add.apply((1, 2), link=note_value.s(name))
    return wait_for_notes(name, 1)


@app.task(bind=True, max_retries=2)
def eager_retries(self: Any, name: str) -> Any:
    note(name, self.request.retries, self.request.is_eager)
    if self.request.retries < 2:
        raise self.retry(countdown=100)
    return "retried"


def case_apply_retries() -> Any:
    name = key()
    return [eager_retries.apply((name,)).get(), notes(name)]


def case_apply_request() -> Any:
    found = ids.apply().get()
    return [found[0] is not None, found[1], found[2] == found[0]]


def case_skew() -> Any:
    return [part.options["countdown"] for part in group(add.s(1, 1) for _ in range(3)).skew(start=1, stop=10).tasks]


def case_chain_clone() -> Any:
    flow = chain(add.s(1, 2), mul.s(3))
    return [get(flow.clone()), get(flow)]


def case_reuse_of_signatures() -> Any:
    first = add.s(1, 2)
    return [get(first), get(first | mul.s(2)), get(first | mul.s(3)), get(group(first, first))]
