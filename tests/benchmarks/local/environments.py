"""The executor alone, without LocalStack: what it adds to an invocation and to a cold start."""

import os
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from decant_cloud.lambda_runtime.environment import Environment, Host, Invocation
from decant_cloud.lambda_runtime.function import Function
from decant_cloud.lambda_runtime.log_file import Journal
from decant_cloud.local.cloud import LAYERS
from decant_cloud.local.layer import build_local
from decant_cloud.local.warden import Warden
from tests.benchmarks.local.measures import Measure
from tests.benchmarks.local.requests import percentiles
from tests.loading import ROOT

__all__ = ["cold_start", "own_share"]

INVOCATIONS = 500
COLD_STARTS = 15


def own_share() -> Measure:
    """A warm invocation of a function that does nothing: executor, runtime client and handler."""
    with tempfile.TemporaryDirectory() as folder, _host(Path(folder)) as host:
        task = Path(folder) / "task"  # apart from the log, whose every line would be an edit
        task.mkdir()
        (task / "app.py").write_text("def handler(event, context): pass")
        environment = Environment("bench", _function(task, []), host)
        environment.start()
        taken = percentiles(lambda: _invoke(environment), INVOCATIONS)
        environment.stop(drain_s=0)
    name = "executor, runtime client and handler, of a warm invocation, p50"
    return Measure(name=name, value=taken[49] * 1000, unit="ms", goal="≤ 2")


def cold_start() -> Measure:
    """Init of `async_response`, over that of the same process without the environment."""
    layer = build_local(LAYERS)["SharedLayer"]
    function = _function(ROOT / "functions/async_response", [layer])
    own, bare = [], []
    with tempfile.TemporaryDirectory() as folder, _host(Path(folder)) as host:
        for _ in range(COLD_STARTS):
            environment = Environment(uuid4().hex, function, host)
            own.append(_timed(environment.start))
            environment.stop(drain_s=0)
            bare.append(_bare_start_s(function, host.image, Path(folder)))
    ratio = statistics.median(own) / statistics.median(bare)
    name = f"cold start of async_response, over the bare client's {statistics.median(bare) * 1000:.0f} ms"
    return Measure(name=name, value=ratio, unit="x", goal="≤ 1.15")


def _function(task: Path, layers: list[Path]) -> Function:
    return Function(
        name="bench",
        version="$LATEST",
        handler="app.handler",
        timeout_s=10,
        memory_mb=512,
        task=task,
        layers=layers,
        watched=[task, *layers],
        variables={"AWS_REGION": "us-east-1"},
    )


@contextmanager
def _host(folder: Path) -> Iterator[Host]:
    warden = Warden()
    yield Host(
        image=ROOT / ".decant/lambda-image",
        scratch=folder / "scratch",
        journal=Journal(folder / "journal.jsonl"),
        warden=warden,
    )
    warden.close()


def _invoke(environment: Environment) -> None:
    arn = "arn:aws:lambda:us-east-1:000000000000:function:bench"
    environment.invoke(Invocation(request_id=str(uuid4()), event=b"{}", function_arn=arn, trace_id="Root=1-0-0"))


def _timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _bare_start_s(function: Function, image: Path, temporary: Path) -> float:
    """Seconds until the runtime client asks for its first event."""
    launch = function.launch(image, temporary, print)
    command = [str(image / "bin/python"), "-m", "awslambdaric", function.handler]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        started = time.perf_counter()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        process = subprocess.Popen(
            command,
            cwd=launch.folder,
            env={**launch.variables, "AWS_LAMBDA_RUNTIME_API": address},
            start_new_session=True,
        )
        connection, _peer = listener.accept()
        connection.recv(1)
        taken = time.perf_counter() - started
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    connection.close()
    return taken
