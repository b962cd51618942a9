"""Requests through the gateway: how long one takes, and how many there can be."""

import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.benchmarks.local.measures import Measure
from tests.benchmarks.local.running import GET, Running

__all__ = ["latency", "percentiles", "round_trip", "throughput"]

CLIENTS = 16
TERMINAL_STATES = {"SUCCESS", "FAILURE", "REVOKED"}


def latency(running: Running, requests: int) -> list[Measure]:
    """One client, one request after another, to a warm function."""
    with httpx.Client(base_url=running.api_url, timeout=60) as client:
        taken = percentiles(lambda: _get(client), requests)
    name = "warm GET through the gateway, one client"
    return [
        Measure(name=f"{name}, p50", value=taken[49] * 1000, unit="ms", goal="≤ 20"),
        Measure(name=f"{name}, p95", value=taken[94] * 1000, unit="ms"),
    ]


def throughput(running: Running, requests: int) -> Measure:
    """Several clients at once, after each has warmed an environment."""

    def work(count: int) -> None:
        with httpx.Client(base_url=running.api_url, timeout=60) as client:
            for _ in range(count):
                _get(client)

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(work, [3] * CLIENTS))
        each = max(requests // 4, 5)
        started = time.perf_counter()
        list(pool.map(work, [each] * CLIENTS))
    per_second = each * CLIENTS / (time.perf_counter() - started)
    return Measure(name=f"warm GET, {CLIENTS} clients", value=per_second, unit="requests/s", goal="≥ 120")


def round_trip(running: Running, tasks: int) -> Measure:
    """From POST /start-task, through the queue, until its state is SUCCESS."""
    with httpx.Client(base_url=running.api_url, timeout=60) as client:
        taken = percentiles(lambda: _run_task(client), tasks)
    return Measure(name="POST /start-task to SUCCESS, no-op, p50", value=taken[49], unit="s", goal="≤ 1.5")


def percentiles(work: Callable[[], None], times: int) -> list[float]:
    """Seconds that the work took, by percentile, after one run that is not counted."""
    work()
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return statistics.quantiles(taken, n=100, method="inclusive")


def _get(client: httpx.Client) -> None:
    client.get(GET).raise_for_status()


def _run_task(client: httpx.Client) -> None:
    started = client.post("start-task", json={"seconds": 0}).raise_for_status().json()
    while True:
        state = client.get(f"tasks/{started['task_id']}").raise_for_status().json()["state"]
        if state in TERMINAL_STATES:
            break
        time.sleep(0.02)
    if state != "SUCCESS":
        sys.exit(f"the task ended as {state}")
