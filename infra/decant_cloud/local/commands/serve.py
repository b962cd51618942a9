"""`serve`: the same functions as one ASGI app under Hypercorn, with a worker for tasks, without AWS."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hypercorn.asyncio import serve as hypercorn
from hypercorn.config import Config

from decant import loop, metrics
from decant.errors import ConfigError
from decant.secrets import provide
from decant.worker import run_forever
from decant_cloud.bundle import bundle
from decant_cloud.local.collector import Collector
from decant_cloud.local.commands.up import print_endpoints
from decant_cloud.local.errors import LocalCloudError
from decant_cloud.local.logs import ReadableOutput
from decant_cloud.local.ports import require_free
from decant_cloud.local.postgres import Postgres
from decant_cloud.local.progress import Steps
from decant_cloud.local.prometheus import PrometheusMetrics
from decant_cloud.local.served import Dispatcher, load_apps, load_function
from decant_cloud.local.state import Claim, running
from decant_cloud.local.terminal import output
from decant_cloud.local.tokens import ISSUER, public_key
from decant_cloud.local.warden import Warden
from decant_cloud.paths import root

if TYPE_CHECKING:
    from asgiref.typing import ASGI3Application

__all__ = ["code_files", "run"]

WATCH_EVERY_S = 1
STOPPED_WITHIN_S = 10


def run(*, state: Path, port: int) -> None:
    """Serve every route and run the tasks, until interrupted.

    The database is that of a running `up`, or a server on the same data that this command starts.

    Raises:
        LocalCloudError: the database did not start, or it has ended repeatedly, or settings are invalid.
    """
    console, environment = output(), dict(os.environ)
    require_free(port, "serve")
    with ExitStack() as stack:
        with Steps(console) as steps:
            url, postgres = stack.enter_context(_database(state, steps, port))
            defaults = {"CALLER_RATE_PER_MINUTE": "0", "SERVICE": bundle().name, **bundle().environment}
            issuer = {"JWT_ISSUER": ISSUER, "JWT_AUDIENCE": bundle().name, "JWT_PUBLIC_PEM": public_key(state)}
            defaults["OTEL_EXPORTER_OTLP_ENDPOINT"] = stack.enter_context(Collector(url)).url
            os.environ |= {**defaults, **os.environ, **issuer, "STAGE": "local", "DATABASE_URL": url}
            try:
                with steps.step("Migrations"), redirect_stdout(ReadableOutput(console)):
                    load_function(root() / "functions/migrate").handler({}, None)
            except ConfigError as error:
                raise LocalCloudError(f"Settings are invalid: {error}") from error
            provide(bundle().secrets)
        prometheus = PrometheusMetrics()
        metrics.observe(prometheus.record)  # before the apps are loaded
        print_endpoints(console, f"http://127.0.0.1:{port}", state)
        console.print("Tasks run in this process. Ctrl-C stops it.\n", highlight=False)
        with redirect_stdout(ReadableOutput(console)):
            app = prometheus.served_beside(Dispatcher(load_apps(root() / "functions")))
            changed = loop.run(_serve(app, port, postgres))
    if changed:
        console.print("Code has changed; restarting.\n", highlight=False)
        command = [sys.executable, "-m", "decant_cloud", *sys.argv[1:]]
        os.execve(command[0], command, environment)  # noqa: S606  # this command again, and no shell is wanted


async def _serve(app: "ASGI3Application", port: int, postgres: Postgres | None) -> bool:
    """Serve until a signal arrives or the code changes; returns whether it has changed."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.accesslog, config.errorlog = logging.getLogger("access"), logging.getLogger("hypercorn")
    config.access_log_format = "%(m)s %(U)s %(s)s %({x-correlation-id}o)s"
    worker, watch = asyncio.create_task(run_forever()), asyncio.create_task(_keep_running(postgres, stop))
    change = asyncio.create_task(_change(stop))
    try:
        await _serve_until(stop, hypercorn(cast("Any", app), config, shutdown_trigger=stop.wait))
    finally:
        worker.cancel()
        watch.cancel()
        change.cancel()
        await asyncio.wait({worker, watch, change})
        await loop.close()
    with suppress(asyncio.CancelledError):
        await watch  # raises the error for which it has stopped the server
    return not change.cancelled()


async def _change(stop: asyncio.Event) -> None:
    """Return when a file of the code changes, and stop the web server then."""
    before = code_files(root())
    while True:
        await asyncio.sleep(WATCH_EVERY_S)
        if await asyncio.to_thread(code_files, root()) != before:
            break
    stop.set()


def code_files(folder: Path) -> frozenset[tuple[Path, int]]:
    """The files of a bundle that a process imports or reads at its start, with their times of modification."""
    files = [folder / ".env", folder / "pyproject.toml", folder / "template.yaml"]
    files += [path for code in ("functions", "shared") for path in (folder / code).rglob("*.*")]
    found = set()
    for path in files:
        with suppress(OSError):  # it was deleted meanwhile
            if path.suffix != ".pyc" and path.is_file():
                found.add((path, path.stat().st_mtime_ns))
    return frozenset(found)


async def _serve_until(stop: asyncio.Event, server: Coroutine[Any, Any, None]) -> None:
    """Run the server; after its stop, wait for its connections no longer than a limit.

    Hypercorn's `graceful_timeout` does not limit the wait: it begins when asyncio's server has closed all connections.
    """
    serving, stopping = asyncio.create_task(server), asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.wait({serving}, timeout=STOPPED_WITHIN_S)
    stopping.cancel()
    serving.cancel()
    with suppress(asyncio.CancelledError):
        await serving


async def _keep_running(postgres: Postgres | None, stop: asyncio.Event) -> None:
    """Restart the database of this command when it ends by itself; stop the web server when that fails."""
    try:
        while postgres is not None:
            await asyncio.sleep(WATCH_EVERY_S)
            await asyncio.to_thread(postgres.keep_running, print)
    except LocalCloudError:
        stop.set()
        raise


@contextmanager
def _database(state: Path, steps: Steps, port: int) -> Iterator[tuple[str, Postgres | None]]:
    """Address of the database, and its server unless another process has started it."""
    if (other := running(state)) is not None and other.command == "up":
        yield other.database_url, None
        return
    warden = Warden()
    postgres = Postgres(state / "postgres", warden=warden)
    try:
        with Claim(state, "serve") as claim:
            with steps.step(f"PostgreSQL on 127.0.0.1:{postgres.port}"):
                postgres.start()
            claim.announce(f"http://127.0.0.1:{port}", postgres.url())
            yield postgres.url(), postgres
    finally:
        postgres.stop()
        warden.close()
