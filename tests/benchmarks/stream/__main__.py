"""Measure streamed responses: time to the first byte, init and memory, beside two other ways to run the same app.

    streaming   Decant's runtime loop
    buffered    the same function under AWS's runtime client; its first byte comes with the last
    two processes   the app under Hypercorn, as the Lambda Web Adapter runs it; the adapter itself counts nothing here

The first byte is counted from the first `yield`, on the same machine's clock. The test `test_streaming` of the local
cloud covers the way through API Gateway.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
from rich.console import Console
from rich.table import Table

from decant_cloud.lambda_runtime.environment import Environment, Host, Invocation
from decant_cloud.lambda_runtime.function import Function
from decant_cloud.lambda_runtime.log_file import Journal
from decant_cloud.lambda_runtime.response_stream import ResponseStream
from decant_cloud.layer.wrapper import PATH
from decant_cloud.local.cloud import LAYERS
from decant_cloud.local.layer import build_local
from decant_cloud.local.postgres import free_port
from decant_cloud.local.warden import Warden
from tests.benchmarks.progress import progress
from tests.benchmarks.results import Comparison, write
from tests.loading import ROOT, rest_request

APP = """
    import time
    from flask import Flask

    app = Flask(__name__)

    @app.get("/ready")
    def ready():
        return ""

    @app.get("/first")
    def first():
        def chunks():
            yield f"{time.time_ns()}\\n"
            time.sleep(0.05)
            yield "last"
        return chunks()

    @app.get("/large")
    def large():
        return (b"x" * 65536 for _ in range(1600))
"""
HANDLER = """
    from decant.web import lambda_handler
    handler = lambda_handler(app, streaming=True)
"""
STREAMING, BUFFERED, SERVER = "streaming", "buffered", "two processes"
POLL_S = 0.01
"""Pause between two checks whether the app is ready. Source: Lambda Web Adapter."""


def main() -> None:
    """Measure in turns, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="turns of each way (%(default)s)")
    arguments = parser.parse_args()
    layer = build_local(LAYERS)["SharedLayer"]
    init: dict[str, list[float]] = {STREAMING: [], BUFFERED: [], SERVER: []}
    first: dict[str, list[float]] = {STREAMING: [], BUFFERED: [], SERVER: []}
    peak_mb = 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "task").mkdir()
        (folder / "task/app.py").write_text(textwrap.dedent(APP) + textwrap.dedent(HANDLER))
        (folder / "plain.py").write_text(textwrap.dedent(APP))
        for _ in progress(range(arguments.rounds), "streaming, buffered, two processes"):
            for way, variables in ((STREAMING, {"AWS_LAMBDA_EXEC_WRAPPER": PATH}), (BUFFERED, {})):
                with started(folder, layer, variables, init[way]) as environment:
                    invoke(environment, "/ready")
                    first[way] += [first_byte_s(invoke(environment, "/first")) for _ in range(5)]
                    if way == STREAMING:
                        assert sum(map(len, invoke(environment, "/large"))) > 100 * 2**20
                        assert environment._runtime is not None
                        peak_mb = max(peak_mb, environment._runtime.peak_memory_bytes / 2**20)
            with served(folder, layer, init[SERVER]) as client:
                client.get("/ready")
                for _ in range(5):
                    with client.stream("GET", "/first") as response:
                        first[SERVER].append(first_byte_s(response.iter_raw()))
    show(init, first, peak_mb)


@contextmanager
def started(folder: Path, layer: Path, variables: dict[str, str], init_s: list[float]) -> Iterator[Environment]:
    """An execution environment, whose init is measured."""
    function = Function(
        name="bench",
        version="$LATEST",
        handler="app.handler",
        timeout_s=60,
        memory_mb=512,
        task=folder / "task",
        layers=[layer],
        watched=[],
        variables={"AWS_REGION": "us-east-1", **variables},
    )
    warden = Warden()
    host = Host(
        image=ROOT / ".decant/lambda-image",
        scratch=folder / "scratch",
        journal=Journal(folder / "journal.jsonl"),
        warden=warden,
    )
    environment = Environment(uuid4().hex, function, host)
    began = time.perf_counter()
    environment.start()
    init_s.append(time.perf_counter() - began)
    try:
        yield environment
    finally:
        environment.stop(drain_s=0)
        warden.close()


def invoke(environment: Environment, path: str) -> Iterator[bytes]:
    """The parts of a response, as they arrive; a buffered response is one part."""
    stream = ResponseStream()
    invocation = Invocation(
        request_id=str(uuid4()),
        event=json.dumps(rest_request(path)).encode(),
        function_arn="arn:aws:lambda:us-east-1:000000000000:function:bench",
        trace_id="Root=1-0-0",
        stream=stream,
    )
    with ThreadPoolExecutor(1) as threads:
        outcome = threads.submit(environment.invoke, invocation)
        while not outcome.done():
            if part := stream.take(0.001):
                yield part
        if payload := outcome.result().payload:
            yield payload


def first_byte_s(parts: Iterator[bytes]) -> float:
    """Seconds from the first `yield` to its arrival."""
    arrived = b""
    for part in parts:
        now_ns = time.time_ns()
        arrived += part
        digits = arrived.partition(bytes(8))[2] or arrived
        if b"\n" in digits or b'"body"' in digits:
            for _ in parts:
                pass
            text = json.loads(digits)["body"] if digits.startswith(b"{") else digits.decode()
            return (now_ns - int(text.partition("\n")[0])) / 1e9
    raise RuntimeError("the response has no first chunk")


@contextmanager
def served(folder: Path, layer: Path, init_s: list[float]) -> Iterator[httpx.Client]:
    """The app under Hypercorn, whose start is measured until it responds."""
    port = free_port()
    command = [sys.executable, "-m", "hypercorn", "--bind", f"127.0.0.1:{port}", "--error-logfile", "/dev/null"]
    began = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(layer / "python")}
    with subprocess.Popen([*command, "plain:app"], cwd=folder, env=environment, start_new_session=True) as process:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
                wait_until_ready(client)
                init_s.append(time.perf_counter() - began)
                yield client
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # Hypercorn's worker too


def wait_until_ready(client: httpx.Client) -> None:
    """Ask for a response as often as the adapter does."""
    while True:
        try:
            client.get("/ready")
        except httpx.TransportError:
            time.sleep(POLL_S)
        else:
            return


def show(init: dict[str, list[float]], first: dict[str, list[float]], peak_mb: float) -> None:
    """Print the table."""
    table = Table("medians", *init, title="Streamed responses")
    for name, figures in (("init, ms", init), ("first byte after the first yield, ms", first)):
        table.add_row(name, *(f"{statistics.median(each) * 1000:.1f}" for each in figures.values()))
    ratios = (statistics.median(each) / statistics.median(init[BUFFERED]) for each in init.values())
    table.add_row("init, of the buffered function's", *(f"{ratio:.2f}" for ratio in ratios))
    comparisons = [
        Comparison(
            name, "ms", {way: statistics.median(each) * 1000 for way, each in figures.items()}, more_is_better=False
        )
        for name, figures in (("init", init), ("first byte after the first yield", first))
    ]
    write("stream", comparisons, ["flask", "hypercorn"])
    table.add_row("memory with a response of 100 MB, MiB", f"{peak_mb:.0f}", "", "")
    Console().print(table)


if __name__ == "__main__":
    main()
