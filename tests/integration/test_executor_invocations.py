"""The executor: events in, answers out, by AWS's own runtime client."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil

from tests.integration.conftest import Bench
from tests.meeting import WAIT_FOR_OTHERS, meeting

ECHO = """
def handler(event, context):
    return event
"""


def test_answer_is_the_handlers(bench: Bench) -> None:
    """What the handler returns comes back as JSON."""
    environment = bench.start(ECHO)

    answer = bench.invoke(environment, {"name": "Zoë", "list": [1, 2.5, None]})

    assert (answer.outcome.is_error, answer.value) == (False, {"name": "Zoë", "list": [1, 2.5, None]})


def test_process_serves_again(bench: Bench) -> None:
    """A warm environment answers with the process and the globals that it has."""
    environment = bench.start("""
        import os
        count = 0
        def handler(event, context):
            global count
            count += 1
            return [os.getpid(), count]
    """)

    first, second = (bench.invoke(environment).value for _ in range(2))

    assert (first[0], first[1], second[1]) == (second[0], 1, 2)


def test_context_tells_the_invocation(bench: Bench) -> None:
    """Request id, ARN, remaining time, client context and trace reach the function."""
    environment = bench.start("""
        import os
        def handler(event, context):
            return {
                "id": context.aws_request_id,
                "arn": context.invoked_function_arn,
                "left_ms": context.get_remaining_time_in_millis(),
                "client": context.client_context.custom,
                "trace": os.environ["_X_AMZN_TRACE_ID"],
            }
    """)

    answer = bench.invoke(environment, client_context=json.dumps({"custom": {"tenant": "a"}}))

    assert answer.value["id"] == answer.request_id
    assert answer.value["arn"].endswith(":function:bench")
    assert 4000 < answer.value["left_ms"] <= 5000
    assert answer.value["client"] == {"tenant": "a"}
    assert answer.value["trace"].startswith("Root=1-6741f2a0-")


def test_cognito_identity_reaches_the_function(bench: Bench) -> None:
    """Who has called, where a caller has an identity, is in the function's context."""
    environment = bench.start("""
        def handler(event, context):
            return [context.identity.cognito_identity_id, context.identity.cognito_identity_pool_id]
    """)
    identity = json.dumps({"cognitoIdentityId": "us-east-1:a", "cognitoIdentityPoolId": "us-east-1:pool"})

    answer = bench.invoke(environment, cognito_identity=identity)

    assert answer.value == ["us-east-1:a", "us-east-1:pool"]


def test_exception_is_told_in_awss_shape(bench: Bench) -> None:
    """An exception of the handler is the error that AWS gives, and the environment goes on."""
    environment = bench.start("""
        def handler(event, context):
            if event:
                raise ValueError("no such thing")
            return "fine"
    """)

    failed, fine = bench.invoke(environment, event=True), bench.invoke(environment, event=False)

    assert failed.outcome.is_error
    assert failed.value["errorType"] == "ValueError"
    assert failed.value["errorMessage"] == "no such thing"
    assert failed.value["requestId"] == failed.request_id
    assert "line 4, in handler" in failed.value["stackTrace"][0]
    assert fine.value == "fine"


def test_answer_of_six_megabytes_passes(bench: Bench) -> None:
    """An answer may have 6 MB."""
    environment = bench.start("def handler(event, context): return 'x' * (6 * 1024 * 1024)")

    answer = bench.invoke(environment)

    assert (answer.outcome.is_error, len(answer.outcome.payload)) == (False, 6 * 1024 * 1024 + 2)


def test_answer_beyond_six_megabytes_is_refused(bench: Bench) -> None:
    """A larger answer is AWS's error, and the next invocation works."""
    environment = bench.start("def handler(event, context): return 'x' * event")

    refused, passed = bench.invoke(environment, 7 * 1024 * 1024), bench.invoke(environment, 1)

    assert refused.value == {
        "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage": "Response payload size (7340034 bytes) exceeded maximum allowed payload size (6291556 bytes).",
    }
    assert passed.value == "x"


def test_event_of_six_megabytes_arrives(bench: Bench) -> None:
    """An event may have 6 MB."""
    environment = bench.start("def handler(event, context): return len(event)")

    answer = bench.invoke(environment, "x" * (6 * 1024 * 1024))

    assert answer.value == 6 * 1024 * 1024


def test_environments_run_at_once(bench: Bench) -> None:
    """Two environments of one function work at the same time, each with its process."""
    source = f"{WAIT_FOR_OTHERS}\ndef handler(event, context): return wait_for_others(event)"
    environments = [bench.start(source, timeout_s=60), bench.start(timeout_s=60)]

    with ThreadPoolExecutor(2) as pool, meeting() as others:
        answers = [pool.submit(bench.invoke, environment, others.port) for environment in environments]
        others.wait_for(2)
        others.let_go()
        pids = {answer.result().value for answer in answers}

    assert len(pids) == 2


def test_process_is_frozen_between_invocations(bench: Bench) -> None:
    """A thread that an invocation left behind stands still until the next one."""
    environment = bench.start("""
        import threading, time
        ticks = 0
        def count():
            global ticks
            while True:
                ticks += 1
                time.sleep(0.01)
        threading.Thread(target=count, daemon=True).start()
        def handler(event, context):
            return ticks
    """)
    before = bench.invoke(environment).value

    time.sleep(0.5)
    after = bench.invoke(environment).value

    assert after - before < 10


def test_stop_ends_the_process_and_what_it_started(bench: Bench) -> None:
    """Neither the process nor its children outlive their environment."""
    environment = bench.start("""
        import os, subprocess
        child = subprocess.Popen(["sleep", "60"])
        def handler(event, context):
            return [os.getpid(), child.pid]
    """)
    pids = bench.invoke(environment).value

    environment.stop(drain_s=0)

    deadline = time.monotonic() + 60
    while any(_runs(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(_runs(pid) for pid in pids)


def test_stop_begins_with_sigterm(bench: Bench) -> None:
    """A process is signalled before it ends, though it is frozen."""
    environment = bench.start("""
        import signal, sys
        def put_away(*_):
            open("/dev/fd/1", "w").write("put away\\n")
            sys.exit(0)
        signal.signal(signal.SIGTERM, put_away)
        def handler(event, context):
            pass
    """)
    bench.invoke(environment)

    environment.stop(drain_s=0)

    assert '"line":"put away"' in (bench.folder / "journal.jsonl").read_text()


def test_stop_ends_in_sigkill(bench: Bench) -> None:
    """A process that ignores SIGTERM ends all the same."""
    environment = bench.start("""
        import os, signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        def handler(event, context):
            return os.getpid()
    """)
    pid = bench.invoke(environment).value

    environment.stop(drain_s=0)

    assert not _runs(pid)


def test_stop_lets_a_running_invocation_end(bench: Bench) -> None:
    """A redeployment does not break the invocation that is under way."""
    environment = bench.start("""
        import time
        def handler(event, context):
            time.sleep(0.4)
            return "done"
    """)
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(bench.invoke(environment).value))
    thread.start()
    time.sleep(0.1)

    environment.stop(drain_s=5)
    thread.join()

    assert answers == ["done"]


def test_stop_kills_an_invocation_that_takes_too_long(bench: Bench) -> None:
    """When there is no time to wait, what runs is killed, and its caller gets an error."""
    environment = bench.start("""
        import time
        def handler(event, context):
            time.sleep(60)
    """)
    errors: list[str] = []
    thread = threading.Thread(target=lambda: errors.append(bench.invoke(environment).value["errorType"]))
    thread.start()
    time.sleep(0.1)

    environment.stop(drain_s=0)
    thread.join()

    assert errors == ["Runtime.ExitError"]


def _runs(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
