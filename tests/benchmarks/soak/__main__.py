"""Load on the local cloud while PostgreSQL is killed and frozen: `make soak`."""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from decant_cloud.local.cloud import LocalCloud, Options
from decant_cloud.local.engine_server import EngineServer
from decant_cloud.local.postgres import Postgres, free_port
from tests.benchmarks.fuzz.drafts import Subject
from tests.benchmarks.fuzz.routes import Route, load_routes
from tests.benchmarks.fuzz.run import known_values
from tests.benchmarks.fuzz.servers import gateway_subject
from tests.benchmarks.soak.clients import (
    LIMIT_S,
    Exchange,
    Window,
    faults_of,
    load,
    lost,
    percentile_ms,
    statuses,
)
from tests.benchmarks.soak.resources import Resources
from tests.upstream import Upstream

_SAMPLES, _SAMPLE_EVERY_S = 16, 4.5
_KEPT_S = 30
"""Time after which Lambda ends an idle environment; ten minutes otherwise, longer than the idle time."""
_WARM_UP_S = 10
_FROZEN_S = 5
_RECOVERY_S = 10
"""From the end of a fault to the last 503 that is allowed."""
_GROWTH = 1.1
_P99_TO_P50 = 4
_SHOWN = 20


class Soak:
    """A local cloud under load.

    Args:
        cloud: It is started.
        options: Of the command.
    """

    def __init__(self, cloud: LocalCloud, options: argparse.Namespace) -> None:
        assert isinstance(cloud.database, Postgres)
        assert isinstance(cloud.emulator, EngineServer)
        self._cloud, self._options = cloud, options
        self._database, self._emulator = cloud.database, cloud.emulator
        self.windows: list[Window] = []

    def run(self, subject: Subject, routes: Sequence[Route]) -> list[Exchange]:
        """Load the local cloud, kill PostgreSQL at a third of the time and freeze it at two thirds."""
        faults = [threading.Timer(self._options.seconds / 3, self._kill)]
        faults.append(threading.Timer(self._options.seconds * 2 / 3, self._freeze))
        with self._kept_running():
            for fault in faults:
                fault.start()
            exchanges = load(subject, routes, self._options.clients, self._options.seconds, self._options.seed)
            for fault in faults:
                fault.join()
        return exchanges

    def resources(self) -> Resources:
        """Of LocalStack with all functions, and of PostgreSQL."""
        return Resources.of([self._emulator.pid, self._database.pid])

    @contextmanager
    def _kept_running(self) -> Iterator[None]:
        """Check the parts as `make up` does."""
        over = threading.Event()

        def check() -> None:
            while not over.wait(0.5):
                self._cloud.check()

        thread = threading.Thread(target=check)
        thread.start()
        yield
        over.set()
        thread.join()

    def _kill(self) -> None:
        killed, started = self._database.pid, time.monotonic()
        psutil.Process(killed).kill()
        while not self._is_restarted(killed):
            time.sleep(0.1)
        self._note("kill", started)

    def _is_restarted(self, killed: int) -> bool:
        return self._database.is_running() and self._database.pid != killed and self._database._spec.is_ready()

    def _freeze(self) -> None:
        started, server = time.monotonic(), psutil.Process(self._database.pid)
        frozen = [server, *server.children(recursive=True)]
        for process in frozen:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        time.sleep(_FROZEN_S)
        for process in frozen:
            with suppress(psutil.NoSuchProcess):
                process.resume()
        self._note("freeze", started)

    def _note(self, name: str, started: float) -> None:
        end = time.monotonic()
        print(f"{name}: {end - started:.1f} s")
        self.windows.append(Window(name=name, start=started, end=end + _RECOVERY_S))


def main() -> int:
    """Load a local cloud; 1 when a response is wrong, a write is lost, or resources are not released."""
    options = _options()
    routes = load_routes()
    with tempfile.TemporaryDirectory(prefix="decant-soak-") as folder, Upstream() as upstream:
        Path(folder).chmod(0o755)  # PostgreSQL's own user needs access when this process is root
        parameters = {"FetchDataUrl": f"{upstream.url}/1"}
        with LocalCloud(Options(state=Path(folder), port=free_port(), parameters=parameters)) as cloud:
            assert isinstance(cloud.emulator, EngineServer)
            cloud.emulator._variables = {**cloud.emulator._variables, "LAMBDA_KEEPALIVE_MS": str(_KEPT_S * 1000)}
            cloud.start()
            subject = known_values(routes, gateway_subject(cloud.deployment.api_url, Path(folder)), LIMIT_S)
            return _soak(Soak(cloud, options), subject, routes, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make soak", description="Load the local cloud while PostgreSQL fails.")
    parser.add_argument("--clients", type=int, default=64, help="number of clients (64)")
    parser.add_argument("--seconds", type=float, default=60, help="duration of the load (60)")
    parser.add_argument(
        "--idle-s", type=float, default=300, help="time after the load until resources are compared (300)"
    )
    parser.add_argument("--seed", default="decant", help="of the requests (decant)")
    return parser.parse_args()


def _soak(soak: Soak, subject: Subject, routes: Sequence[Route], options: argparse.Namespace) -> int:
    load(subject, routes, options.clients, _WARM_UP_S, "first warm-up")
    time.sleep(min(options.idle_s, 2 * _KEPT_S))
    before = _least(soak)
    load(subject, routes, options.clients, _WARM_UP_S, "second warm-up")  # starts the environments again
    exchanges = soak.run(subject, routes)
    acknowledged, missing = lost(subject, exchanges, clients=8)
    faults = faults_of(exchanges, soak.windows)
    _print(exchanges, soak.windows, options)
    print(f"{acknowledged} acknowledged writes, {len(missing)} lost; {len(faults)} wrong responses")
    for line in [*missing[:_SHOWN], *faults[:_SHOWN]]:
        print(f"  {line}")
    print(f"after the load      {soak.resources()}")
    time.sleep(options.idle_s)
    after = _least(soak)
    growth = after.growth(before)
    print(f"before the load     {before}\nafter {options.idle_s:g} s idle    {after}\nratio {growth}")
    return 1 if missing or faults or max(growth.values()) > _GROWTH else 0


def _least(soak: Soak) -> Resources:
    """The least of each resource within a minute, in which the sweeper's environment has started and ended once."""
    samples = [soak.resources()]
    for _ in range(_SAMPLES):
        time.sleep(_SAMPLE_EVERY_S)
        samples.append(soak.resources())
    return Resources.least(samples)


def _print(exchanges: Sequence[Exchange], windows: Sequence[Window], options: argparse.Namespace) -> None:
    calm = [each for each in exchanges if not any(_overlaps(each, window) for window in windows)]
    counts = "  ".join(f"{status} x {count}" for status, count in sorted(statuses(exchanges).items()))
    print(f"{len(exchanges)} requests of {options.clients} clients in {options.seconds:g} s: {counts}")
    for name, part in (("all", exchanges), ("outside of faults", calm)):
        p50, p99 = percentile_ms(part, 0.5), percentile_ms(part, 0.99)
        print(f"{name}: p50 {p50:.0f} ms, p99 {p99:.0f} ms, ratio {p99 / p50:.1f} (target {_P99_TO_P50})")


def _overlaps(exchange: Exchange, window: Window) -> bool:
    return window.start <= exchange.started + exchange.duration_s and exchange.started <= window.end


if __name__ == "__main__":
    sys.exit(main())
