"""The executor: a function that waits for a debugger, and one that does not."""

import importlib.util
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from decant_cloud.lambda_runtime.debugging import PATIENCE_S, Debugger
from decant_cloud.lambda_runtime.environment import Environment
from decant_cloud.lambda_runtime.versions import Version
from decant_cloud.local.postgres import free_port
from tests import dap
from tests.integration.conftest import Answer, Bench

SOURCE = """
def handler(event, context):
    seconds = context.get_remaining_time_in_millis() / 1000
    return [event, seconds]
"""
LINE = 4


@pytest.fixture
def debugger() -> Debugger:
    """What the function waits for."""
    spec = importlib.util.find_spec("debugpy")
    assert spec is not None
    assert spec.submodule_search_locations
    return Debugger(function="Bench", port=free_port(), package=spec.submodule_search_locations[0])


@pytest.fixture
def debugged(bench: Bench, debugger: Debugger) -> Environment:
    """An environment whose function has a second, and would be stopped if time counted."""
    return bench.start(SOURCE, debugger=debugger, timeout_s=PATIENCE_S)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """A thread for the invocation that waits; it ends with the bench, which is taken down later."""
    threads = ThreadPoolExecutor()
    yield threads
    threads.shutdown(wait=False)


def attached(bench: Bench, debugger: Debugger, starts: int = 1) -> dap.Debugger:
    """A debugger with a breakpoint in the function, once a process after so many starts waits for it."""
    while (bench.folder / "journal.jsonl").read_text().count("waits for a debugger") < starts:
        time.sleep(0.05)  # the test's own timeout ends it
    return dap.Debugger(debugger.port, bench.task / "app.py", LINE, {"justMyCode": True})


def answer_at_a_stop(
    bench: Bench, debugger: Debugger, environment: Environment, pool: ThreadPoolExecutor, starts: int = 1
) -> Any:
    """Where an invocation stopped, in a process after so many starts, and its answer after it was let go on."""
    invocation = pool.submit(bench.invoke, environment, "event")
    with attached(bench, debugger, starts) as editor:
        where = editor.stopped_at()
        editor.go_on()
        answer: Answer = invocation.result(30)
    return where, answer


def test_invocation_stops_at_a_breakpoint(
    bench: Bench, debugger: Debugger, debugged: Environment, pool: ThreadPoolExecutor
) -> None:
    """The process waits until the editor has come, stops at its breakpoint, and responds when it is continued."""
    where, answer = answer_at_a_stop(bench, debugger, debugged, pool)

    assert where == (str(bench.task / "app.py"), LINE)
    assert answer.value[0] == "event"
    assert f"Bench waits for a debugger on 127.0.0.1:{debugger.port}" in answer.lines


def test_function_is_told_of_plenty_of_time(
    bench: Bench, debugger: Debugger, debugged: Environment, pool: ThreadPoolExecutor
) -> None:
    """What goes by the time that is left has an hour."""
    _where, answer = answer_at_a_stop(bench, debugger, debugged, pool)

    assert answer.value[1] > PATIENCE_S - 60


def test_process_goes_on_between_invocations(
    bench: Bench, debugger: Debugger, debugged: Environment, pool: ThreadPoolExecutor
) -> None:
    """It is not frozen: the editor can set another breakpoint at any time, and the next invocation stops there."""
    invocation = pool.submit(bench.invoke, debugged, 1)
    with attached(bench, debugger) as editor:
        editor.stopped_at()
        editor.go_on()
        invocation.result(30)
        editor.break_at(bench.task / "app.py", LINE - 1)
        invocation = pool.submit(bench.invoke, debugged, 2)

        assert editor.stopped_at()[1] == LINE - 1

        editor.go_on()
        assert invocation.result(30).value[0] == 2


def test_edit_is_live_under_a_debugger(
    bench: Bench, debugger: Debugger, debugged: Environment, pool: ThreadPoolExecutor
) -> None:
    """The new process waits for the debugger anew, at the same port."""
    answer_at_a_stop(bench, debugger, debugged, pool)

    bench.write(SOURCE.replace("[event,", "['edited', event,"))
    where, answer = answer_at_a_stop(bench, debugger, debugged, pool, starts=2)

    assert (where[1], answer.value[:2]) == (LINE, ["edited", "event"])


def test_search_path_is_the_same_under_a_debugger(bench: Bench, debugger: Debugger, pool: ThreadPoolExecutor) -> None:
    """The debugger adds nothing that the function could import, and takes nothing away."""
    source = """
        import importlib.util, os, sys
        def handler(event, context):
            found = [importlib.util.find_spec(each) is not None for each in ("boto3", "rich", "pytest")]
            return [os.path.abspath(path) for path in sys.path], found
    """
    plain = bench.invoke(bench.start(source)).value

    waiting = bench.start(debugger=debugger, timeout_s=PATIENCE_S)
    invocation = pool.submit(bench.invoke, waiting)
    with attached(bench, debugger) as editor:
        editor.stopped_at()
        editor.go_on()
        debugged = invocation.result(30).value

    assert debugged == plain
    assert plain[1] == [True, False, False]


def test_debugged_function_has_one_environment(bench: Bench, debugger: Debugger, debugged: Environment) -> None:
    """Invocations wait while it is busy: the debugger has one port."""
    version = Version(bench.task)
    first = version.start(debugged, alone=True)

    second = version.start(bench.start(debugger=debugger), alone=True)

    assert first is second is debugged


def test_debugger_is_not_there_unless_asked_for(bench: Bench) -> None:
    """A function without one cannot even import it."""
    environment = bench.start("""
        import importlib.util, os, sys
        def handler(event, context):
            return [importlib.util.find_spec("debugpy") is not None, any("pydevd" in name for name in sys.modules)]
    """)

    assert bench.invoke(environment).value == [False, False]
