"""All routes under load, the memory of the environments that it starts, and a changed setting."""

import statistics
import time
from pathlib import Path

from decant_cloud.local.deploy import Cloud
from tests.benchmarks.fuzz.routes import load_routes
from tests.benchmarks.fuzz.run import known_values
from tests.benchmarks.fuzz.servers import gateway_subject
from tests.benchmarks.local.measures import Measure
from tests.benchmarks.local.queues import create_function
from tests.benchmarks.local.running import Running, environment_mb
from tests.benchmarks.progress import progress
from tests.benchmarks.soak.clients import LIMIT_S, faults_of, load, percentile_ms

__all__ = ["all_routes", "changed_setting"]

CLIENTS, LOAD_S = 64, 10.0
WARM_UPS = 9
"""Most turns of load before the one that is measured, in which environments start."""
CHANGES = 5
SOURCE = "import os\n\ndef handler(event, context): return os.environ.get('WORD')"
NAME = "bench-settings"


def all_routes(running: Running, state: Path) -> list[Measure]:
    """Valid requests of all routes from many clients, after they have warmed the environments.

    Raises:
        AssertionError: a response is wrong.
    """
    routes = load_routes()
    subject = known_values(routes, gateway_subject(running.api_url, state), LIMIT_S)
    for number in progress(range(WARM_UPS), "environments start"):
        before = _started(running)
        load(subject, routes, CLIENTS, LOAD_S, f"warm-up {number}")
        if _started(running) == before:
            break
    exchanges = load(subject, routes, CLIENTS, LOAD_S, "measured")
    assert not faults_of(exchanges, []), faults_of(exchanges, [])[:5]
    p50, p99 = percentile_ms(exchanges, 0.5), percentile_ms(exchanges, 0.99)
    name, per_environment = f"{CLIENTS} clients over all routes", environment_mb(running)
    count = f"memory of each of the {len(per_environment)} environments then, PSS"
    return [
        Measure(name=name, value=len(exchanges) / LOAD_S, unit="requests/s", goal="≥ 300"),
        Measure(name=f"{name}, p50", value=p50, unit="ms"),
        Measure(name=f"{name}, p99 over p50", value=p99 / p50, unit="x", goal="≤ 2.5"),
        Measure(name=count, value=sum(per_environment) / len(per_environment), unit="MB", goal="≤ 35"),
    ]


def _started(running: Running) -> int:
    """Number of environments that have started."""
    return running.journal.read_text().count("INIT_START")


def changed_setting(running: Running) -> Measure:
    """From the change of a function's environment variables to the first response with it."""
    cloud = Cloud(running.url)
    create_function(cloud, NAME, SOURCE)
    client, taken = cloud.client("lambda"), []
    for number in range(CHANGES):
        started, word = time.perf_counter(), f"word {number}"
        client.update_function_configuration(FunctionName=NAME, Environment={"Variables": {"WORD": word}})
        while word not in client.invoke(FunctionName=NAME)["Payload"].read().decode():
            time.sleep(0.01)
        taken.append(time.perf_counter() - started)
    name = "a changed setting of a function, to the first response with it, p50"
    return Measure(name=name, value=statistics.median(taken), unit="s", goal="≤ 1")
