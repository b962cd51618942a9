"""The whole local cloud: PostgreSQL, the engine, the layers, the deployed stack, the migrated schema."""

import contextlib
import importlib
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from decant_cloud.bundle import bundle
from decant_cloud.checks.layout import missing_code
from decant_cloud.lambda_runtime.debugging import PATIENCE_S, Debugger
from decant_cloud.lambda_runtime.log_file import Journal
from decant_cloud.local.deploy import (
    Cloud,
    Deployment,
    deploy,
    put_secrets,
    refusals,
    template_url,
)
from decant_cloud.local.emulator import Emulator
from decant_cloud.local.engine_server import EngineServer
from decant_cloud.local.errors import LocalCloudError
from decant_cloud.local.given_database import GivenDatabase
from decant_cloud.local.layer import LayerError, build_local
from decant_cloud.local.mounted_code import keep_messages, mount, with_code
from decant_cloud.local.packages import upload
from decant_cloud.local.postgres import Postgres
from decant_cloud.local.server import Server
from decant_cloud.local.stack_events import TIMEOUT_S, Report, Wait
from decant_cloud.local.tokens import ISSUER, public_key
from decant_cloud.local.warden import Warden
from decant_cloud.paths import root
from decant_cloud.template.model import Template, load_template

if TYPE_CHECKING:
    from decant_cloud.local.collector import Collector

__all__ = ["LocalCloud", "Options"]

LAYERS = root() / ".decant/layers"
_TRACES = "TracesEndpoint"
Step = Callable[[str], AbstractContextManager[None]]
"""Wraps one step of the start, which it shows under its title."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of a local cloud.

    Attributes:
        state: Folder for all files.
        port: The engine's TCP port on 127.0.0.1.
        endpoint: URL of a running emulator, used in place of an engine.
        stack: Name of the deployed stack; the bundle's name by default.
        database_url: SQLAlchemy address of an existing database, used in place of PostgreSQL from the wheel.
        database_port: PostgreSQL's TCP port on 127.0.0.1; a free one when not given.
        parameters: Of the template, over its defaults; `DatabaseUrl` is set here.
        environment: Variables of single functions, by logical id, over the template's.
        postgres_settings: As in postgresql.conf.
        debugger: Function that waits for a debugger, and its port.
        deploy_timeout_s: Time limit of a deployment; with a debugger, time does not count.
    """

    state: Path
    port: int
    endpoint: str | None = None
    stack: str = field(default_factory=lambda: bundle().name)
    database_url: str | None = None
    database_port: int | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    postgres_settings: Mapping[str, str] = field(default_factory=dict)
    debugger: Debugger | None = None
    deploy_timeout_s: float = TIMEOUT_S


def _silently(_title: str) -> AbstractContextManager[None]:
    return contextlib.nullcontext()


def _ignore(_line: str) -> None:
    """Discard the report."""


class LocalCloud:
    """A local cloud; a context manager that stops all started parts at its end, also after a failed start.

    Attributes:
        migrated: The schema's revision before and after the start: `{"from": …, "to": …}`.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._warden = Warden()
        self.database = self._make_database()
        self.emulator = self._make_emulator()
        self.cloud = Cloud(self.emulator.url)
        self._collector: Collector | None = None
        self.migrated: dict[str, Any] = {}
        self._deployment: Deployment | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop the functions first, then their database."""
        with contextlib.ExitStack() as last_first:
            last_first.callback(self._warden.close)
            last_first.callback(self.database.stop)
            if self._collector is not None:
                last_first.callback(self._collector.stop)
            last_first.callback(self.emulator.stop)

    @property
    def deployment(self) -> Deployment:
        """The deployed stack."""
        assert self._deployment is not None  # noqa: S101  # entering the context has set it
        return self._deployment

    def start(self, step: Step = _silently) -> None:
        """Start the servers, deploy the template and migrate the database.

        Raises:
            LocalCloudError: a part did not start; leaving the context stops the others.
        """
        self.start_servers(step)
        self.release(step)

    def start_servers(self, step: Step = _silently) -> None:
        """Start database and emulator, and build the layers, as much as possible at a time.

        Raises:
            LocalCloudError: a part did not start; leaving the context stops the others.
        """
        address = self.database.url()  # its password is created before the threads start
        with ThreadPoolExecutor() as pool:
            starts = [pool.submit(each, step) for each in (self._start_emulator, self._start_database, _build_layers)]
            starts += [pool.submit(self._prepare_clients), pool.submit(self._start_collector, address)]
        for start in starts:
            start.result()
        if secrets := bundle().secrets:
            with step("Secrets"), refusals(self.cloud, "the secrets"):
                put_secrets(self.cloud, secrets)

    def release(self, step: Step = _silently, report: Report = _ignore) -> None:
        """Deploy the template and apply the migrations.

        Args:
            step: Shows a step.
            report: Takes a line for a person while the deployment is slow.
        Raises:
            LocalCloudError: the deployment or a migration failed.
        """
        with step("Deployment of template.yaml"):
            self.deploy(report)
        with step("Migrations"):
            self.migrated = self.migrate()

    def deploy(self, report: Report = _ignore) -> Deployment:
        """Deploy the template as it is now; of an existing stack, only the changes.

        Raises:
            LocalCloudError: it was refused or has failed; what ran before runs on.
        """
        given = self._options
        wait = Wait(timeout_s=PATIENCE_S if given.debugger else given.deploy_timeout_s, report=report)
        for line in missing_code(Template(root())):
            Journal(self.emulator.journal).write("template.yaml", "", "", f"[ERROR] {line}")
        self._deployment = deploy(self.cloud, given.stack, self._template(), self._parameters(), wait)
        return self._deployment

    def _template(self) -> dict[str, Any]:
        try:
            template = with_code(
                load_template(root() / "template.yaml"), root(), LAYERS, self._place, self._place_template
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise LocalCloudError(f"template.yaml cannot be read: {error}") from error
        for function, variables in self._options.environment.items():
            properties = template["Resources"][function]["Properties"]
            properties.setdefault("Environment", {}).setdefault("Variables", {}).update(variables)
        if debugger := self._options.debugger:
            keep_messages(template, debugger.function, PATIENCE_S)
        return template

    def _parameters(self) -> dict[str, str]:
        issuer = {"JwtIssuer": ISSUER, "JwtAudience": bundle().name, "JwtPublicPem": public_key(self._options.state)}
        given = {"DatabaseUrl": self.database.url(), "CallerRate": "0", **issuer}
        if self._collector is not None and _TRACES in Template(root()).document.get("Parameters", {}):
            given[_TRACES] = self._collector.url
        return given | dict(self._options.parameters)

    def check(self) -> None:
        """Restart the database when it has ended by itself; the log stream then contains a line about it.

        Raises:
            LocalCloudError: the emulator has ended by itself, or the database cannot be restarted.
        """
        if not self.emulator.is_running():
            hint = f"; see the end of {self.emulator.log}" if isinstance(self.emulator, Server) else ""
            raise LocalCloudError(f"{self.emulator.title} has ended by itself{hint}.")
        self.database.keep_running(self._log)

    def _log(self, line: str) -> None:
        Journal(self.emulator.journal).write("PostgreSQL", "", "", line)

    def migrate(self) -> dict[str, Any]:
        """Apply the missing migrations through the deployed function.

        Raises:
            LocalCloudError: a migration failed; the schema is unchanged.
        """
        client = self.cloud.client("lambda", read_timeout_s=310)
        with refusals(self.cloud, "the migration"):
            response = client.invoke(FunctionName=self.deployment.functions["Migrate"], Payload=b"{}")
            result: dict[str, Any] = json.loads(response["Payload"].read())
        if "FunctionError" in response:
            raise LocalCloudError(f"The migration failed: {result['errorType']}: {result['errorMessage']}")
        return result

    def _make_database(self) -> Postgres | GivenDatabase:
        given = self._options
        if given.database_url:
            return GivenDatabase(given.database_url)
        return Postgres(
            given.state / "postgres", given.database_port, settings=given.postgres_settings, warden=self._warden
        )

    def _make_emulator(self) -> EngineServer | Emulator:
        given = self._options
        if given.endpoint:
            return Emulator(given.endpoint, given.stack, given.state / "engine")
        variables = {"DECANT_CORS_ORIGIN": given.parameters.get("CorsOrigin", "")}
        variables |= given.debugger.variables if given.debugger else {}
        return EngineServer(given.state / "engine", given.port, self._warden, variables)

    def _place(self, folder: Path) -> dict[str, str]:
        """Location of a folder's code for the emulator."""
        return mount(folder) if self.emulator.mounts() else upload(self.cloud, folder)

    def _place_template(self, path: Path) -> str:
        """URL of a nested stack's template for the emulator, as JSON, which the engine parses faster than YAML."""
        with refusals(self.cloud, f"the template {path.name}"):
            return template_url(self.cloud, json.dumps(load_template(path)))

    def _start_database(self, step: Step) -> None:
        with step(self.database.title):
            self.database.start()

    def _prepare_clients(self) -> None:
        """Load the service descriptions of botocore, half a second each, and the encoder of tokens."""
        for service in ("cloudformation", "lambda", "s3"):
            self.cloud.client(service)
        importlib.import_module("jwt")

    def _start_collector(self, address: str) -> None:
        """Start the receiver of traces, whose driver of PostgreSQL takes a quarter of a second to import."""
        if not self._options.endpoint:
            module = importlib.import_module("decant_cloud.local.collector")
            self._collector = module.Collector(address)
            self._collector.start()

    def _start_emulator(self, step: Step) -> None:
        with step(self.emulator.title):
            self.emulator.start()


def _build_layers(step: Step) -> None:
    with step("Layers of shared/"):
        try:
            build_local(LAYERS)
        except LayerError as error:
            raise LocalCloudError(str(error)) from error
