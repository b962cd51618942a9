"""The executor: every way to fail, in AWS's shapes, and what comes after it."""

import pytest

from decant_cloud.lambda_runtime import environment as environments
from tests.integration.conftest import Bench


def test_timeout_kills_and_starts_anew(bench: Bench) -> None:
    """An invocation that takes too long is AWS's error, and the next one gets a new process."""
    environment = bench.start(
        """
        import os, time
        def handler(event, context):
            time.sleep(event)
            return os.getpid()
        """,
        timeout_s=1,
    )
    before = bench.invoke(environment, 0).value

    failed, after = bench.invoke(environment, 60), bench.invoke(environment, 0).value

    assert failed.value == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": f"RequestId: {failed.request_id} Error: Task timed out after 1.00 seconds",
    }
    assert before != after


@pytest.mark.parametrize(
    ("ending", "cause"),
    [
        pytest.param("os._exit(3)", "Runtime exited with error: exit status 3", id="status"),
        pytest.param("sys.exit(0)", "Runtime exited without providing a reason", id="status 0"),
        pytest.param("os.kill(os.getpid(), 9)", "Runtime exited with error: signal: killed", id="SIGKILL"),
        pytest.param("os.kill(os.getpid(), 11)", "Runtime exited with error: signal: segmentation fault", id="SIGSEGV"),
    ],
)
def test_crash_is_told_with_its_cause(bench: Bench, ending: str, cause: str) -> None:
    """A process that ends within an invocation is Runtime.ExitError, and the next invocation works."""
    environment = bench.start(f"""
        import os, sys
        def handler(event, context):
            if event:
                {ending}
            return "fine"
    """)

    failed, fine = bench.invoke(environment, event=True), bench.invoke(environment, event=False)

    assert failed.value == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: {failed.request_id} Error: {cause}",
    }
    assert fine.value == "fine"


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        pytest.param(
            "import nothing_of_that_name",
            "Runtime.ImportModuleError",
            "Unable to import module 'app': No module named 'nothing_of_that_name'",
            id="import error",
        ),
        pytest.param(
            "def handler(event, context)",
            "Runtime.UserCodeSyntaxError",
            "Syntax error in module 'app': expected ':' (app.py, line 1)",
            id="syntax error",
        ),
        pytest.param(
            "handle = None",
            "Runtime.HandlerNotFound",
            "Handler 'handler' missing on module 'app'",
            id="handler missing",
        ),
        pytest.param("1 / 0", "ZeroDivisionError", "division by zero", id="exception"),
    ],
)
def test_init_error_is_the_answer(bench: Bench, source: str, kind: str, message: str) -> None:
    """A function that cannot be imported answers every invocation with why."""
    environment = bench.start(source)

    answer = bench.invoke(environment)

    assert answer.outcome.is_error
    assert (answer.value["errorType"], answer.value["errorMessage"]) == (kind, message)


def test_handler_without_module_is_malformed(bench: Bench) -> None:
    """A handler's name without a dot is an error of its own."""
    environment = bench.start("", handler="handler")

    answer = bench.invoke(environment)

    assert answer.value["errorType"] == "Runtime.MalformedHandlerName"


def test_exit_during_init_is_a_crash(bench: Bench) -> None:
    """A module that ends the process while it is imported is Runtime.ExitError."""
    environment = bench.start("import os; os._exit(4)")

    answer = bench.invoke(environment)

    assert answer.value == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: {answer.request_id} Error: Runtime exited with error: exit status 4",
    }


def test_init_that_fails_once_is_tried_again(bench: Bench) -> None:
    """After a failed init phase, the first invocation starts the function itself."""
    environment = bench.start("""
        import os, pathlib, tempfile
        marker = pathlib.Path(tempfile.gettempdir(), "been here")
        if not marker.exists():
            marker.touch()
            os._exit(1)
        def handler(event, context):
            return "fine"
    """)

    answer = bench.invoke(environment)

    assert answer.value == "fine"
    assert "Phase: init\tStatus: error\tError Type: Runtime.ExitError" in answer.outcome.logs


def test_long_init_goes_on_in_the_invocation(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """An init phase has its limit; after it, the function's own timeout counts."""
    monkeypatch.setattr(environments, "INIT_LIMIT_S", 0.2)
    environment = bench.start(
        """
        import time
        time.sleep(0.5)
        def handler(event, context):
            return "fine"
        """
    )

    answer = bench.invoke(environment)

    assert answer.value == "fine"
    assert "Phase: init\tStatus: timeout" in answer.outcome.logs


def test_init_within_an_invocation_counts_as_its_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that takes longer to start than it may run times out."""
    monkeypatch.setattr(environments, "INIT_LIMIT_S", 0.1)
    environment = bench.start("import time; time.sleep(60)", timeout_s=1)

    answer = bench.invoke(environment)

    assert answer.value["errorType"] == "Sandbox.Timedout"


def test_memory_limit_is_enforced(bench: Bench) -> None:
    """A process that holds more than its memory is killed and reported, and the next invocation works."""
    environment = bench.start(
        """
        def handler(event, context):
            return len(bytearray(event * 1024 * 1024))
        """,
        memory_mb=128,
    )

    failed, fine = bench.invoke(environment, 200), bench.invoke(environment, 1)

    assert failed.value == {
        "errorType": "Runtime.OutOfMemory",
        "errorMessage": f"RequestId: {failed.request_id} Error: Runtime exited with error: signal: killed",
    }
    assert fine.value == 1024 * 1024


def test_import_error_is_logged_with_file_and_line(bench: Bench) -> None:
    """The runtime client reports an ImportError without its place; the log has the whole traceback."""
    bench.write("import nothing_of_this_name\n", "task/inner.py")
    environment = bench.start("import json\nimport inner\n")

    answer = bench.invoke(environment)

    [trace] = [line.text for line in answer.outcome.lines if line.text.startswith("[ERROR] Traceback")]
    assert f'File "{bench.task}/inner.py", line 1' in trace
    assert f'File "{bench.task}/app.py", line 2' in trace
    assert trace.endswith("\rModuleNotFoundError: No module named 'nothing_of_this_name'")
