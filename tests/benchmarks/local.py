"""How quick the local cloud is: `make bench`.

Prints a table of what was measured against the goals; nothing here asserts a time.
"""

import argparse
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from infra.local.postgres import free_port
from tests.loading import ROOT

CLIENTS = 16
TERMINAL_STATES = {"SUCCESS", "FAILURE", "REVOKED"}


def main() -> None:
    """Measure everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--skip-clone", action="store_true", help="leave out the clone with its installation")
    parser.add_argument("--requests", type=int, default=200, help="requests for each latency (%(default)s)")
    arguments = parser.parse_args()
    table = Table("measure", "measured", "goal", title="The local cloud")
    if not arguments.skip_clone:
        table.add_row("fresh clone to first 200", f"{fresh_clone_s():.1f} s", "≤ 90 s")
    with tempfile.TemporaryDirectory(prefix="decant-bench-") as state:
        Path(state).chmod(0o755)  # PostgreSQL's own user has to get through, when we are root
        with up(ROOT, Path(state)):
            pass  # the database is made
        started = time.monotonic()
        with up(ROOT, Path(state)) as api:
            table.add_row("second `make up` to first 200", f"{time.monotonic() - started:.1f} s", "≤ 8 s")
            measure(table, api, arguments.requests)
    Console().print(table)


def measure(table: Table, api: str, requests: int) -> None:
    """Measure a local cloud that runs."""
    with httpx.Client(base_url=api, timeout=60) as client:
        latency = percentiles(lambda: get(client, "async?seconds=0"), requests)
        table.add_row("GET /async?seconds=0, warm, p50", f"{latency[49] * 1000:.1f} ms", "≤ 40 ms")
        table.add_row("GET /async?seconds=0, warm, p95", f"{latency[94] * 1000:.1f} ms", "")
        get(client, "async?seconds=0")
        trips = percentiles(lambda: run_task(client), max(requests // 10, 5))
        table.add_row("POST /start-task to SUCCESS, no-op, p50", f"{trips[49]:.2f} s", "≤ 1.5 s")
        table.add_row("POST /start-task to SUCCESS, no-op, worst", f"{trips[98]:.2f} s", "≤ 1.5 s")
    table.add_row(f"GET /async?seconds=0, {CLIENTS} clients", f"{throughput(api, requests):.0f} requests/s", "")


def percentiles(work: Callable[[], None], times: int) -> list[float]:
    """Seconds that the work took, by percentile, after one run that is not counted."""
    work()
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return statistics.quantiles(taken, n=100, method="inclusive")


def throughput(api: str, requests: int) -> float:
    """Requests a second of several clients at once, after each has warmed an environment."""

    def client(count: int) -> None:
        with httpx.Client(base_url=api, timeout=60) as own:
            for _ in range(count):
                get(own, "async?seconds=0")

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(client, [3] * CLIENTS))
        each = max(requests // CLIENTS, 5)
        started = time.perf_counter()
        list(pool.map(client, [each] * CLIENTS))
    return each * CLIENTS / (time.perf_counter() - started)


def get(client: httpx.Client, path: str) -> None:
    """One GET that has to be answered with 200."""
    client.get(path).raise_for_status()


def run_task(client: httpx.Client) -> None:
    """Start a task that does nothing and wait until it has ended."""
    started = client.post("start-task", json={"seconds": 0}).raise_for_status().json()
    while True:
        state = client.get(f"tasks/{started['task_id']}").raise_for_status().json()["state"]
        if state in TERMINAL_STATES:
            break
        time.sleep(0.02)
    if state != "SUCCESS":
        sys.exit(f"the task ended as {state}")


def fresh_clone_s() -> float:
    """Seconds from `git clone` of HEAD to the first 200, with nothing installed but what uv has downloaded before."""
    with tempfile.TemporaryDirectory(prefix="decant-clone-") as folder:
        Path(folder).chmod(0o755)
        clone = Path(folder) / "decant"
        started = time.monotonic()
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        with up(clone, clone / ".decant/local"):
            return time.monotonic() - started


@contextmanager
def up(root: Path, state: Path) -> Iterator[str]:
    """`make up` in a bundle's folder; the API's address, once GET /async has answered 200."""
    environment = {**os.environ, "PORT": str(free_port()), "PYTHONUNBUFFERED": "1"}
    command = ["make", "up"] if root != ROOT else [sys.executable, "-m", "infra.local", "up", "--state", str(state)]
    with tempfile.NamedTemporaryFile() as log:
        process = subprocess.Popen(command, cwd=root, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            api = wait_for_api(process, Path(log.name))
            httpx.get(f"{api}/async?seconds=0", timeout=60).raise_for_status()
            yield api
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.wait()


def wait_for_api(process: subprocess.Popen[bytes], log: Path) -> str:
    """The API's address, once it is printed."""
    while (printed := re.search(r"curl -s '(\S+)/async", log.read_text())) is None:
        if process.poll() is not None:
            sys.exit(f"the local cloud did not start:\n{log.read_text()}")
        time.sleep(0.02)
    return printed[1]


if __name__ == "__main__":
    main()
