"""The whole local cloud: PostgreSQL, LocalStack, the layers, the deployed stack, the migrated schema."""

import contextlib
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from infra.build.agreement import load_template
from infra.build.layer import LayerError, build_local
from infra.local.deploy import Cloud, Deployment, deploy, keep_messages, mounted, refusals
from infra.local.errors import LocalCloudError
from infra.local.executor.debugging import PATIENCE_S, Debugger
from infra.local.localstack import LocalStack
from infra.local.postgres import Postgres
from infra.local.tokens import ISSUER, public_key
from infra.local.warden import Warden

__all__ = ["LocalCloud", "Options"]

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ROOT / ".decant/layers"
STACK = "decant"

Step = Callable[[str], AbstractContextManager[None]]
"""Wraps one step of the start, which it shows under its title."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a local cloud is to be.

    Attributes:
        state: Folder that holds all it keeps.
        port: Where LocalStack listens on loopback.
        database_port: Likewise PostgreSQL; any free one when not given.
        parameters: Of the template, over its defaults; `DatabaseUrl` is set here.
        environment: Variables of single functions, by logical id, over the template's.
        postgres_settings: As in postgresql.conf.
        debugger: The function that waits for one.
    """

    state: Path
    port: int
    database_port: int | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    postgres_settings: Mapping[str, str] = field(default_factory=dict)
    debugger: Debugger | None = None


def _silently(_title: str) -> AbstractContextManager[None]:
    return contextlib.nullcontext()


class LocalCloud:
    """A local cloud; a context manager that stops at its end whatever was started, also after a failure half way.

    Attributes:
        migrated: The schema's revision before and after the start: `{"from": …, "to": …}`.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._warden = Warden()
        self.postgres = Postgres(
            options.state / "postgres", options.database_port, settings=options.postgres_settings, warden=self._warden
        )
        variables = options.debugger.variables if options.debugger else {}
        self.localstack = LocalStack(options.state / "localstack", options.port, self._warden, variables)
        self.cloud = Cloud(self.localstack.url)
        self.migrated: dict[str, Any] = {}
        self._deployment: Deployment | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the functions first, then the database under them."""
        try:
            self.localstack.stop()
        finally:
            try:
                self.postgres.stop()
            finally:
                self._warden.close()

    @property
    def deployment(self) -> Deployment:
        """What was deployed."""
        assert self._deployment is not None  # noqa: S101  # entering the context has set it
        return self._deployment

    def start(self, step: Step = _silently) -> None:
        """Start all of it, as much as possible at a time.

        Raises:
            LocalCloudError: a part did not start; leaving the context stops the others.
        """
        with ThreadPoolExecutor() as pool:
            starts = [pool.submit(each, step) for each in (self._start_postgres, self._start_localstack, _build_layers)]
            starts += [pool.submit(self._prepare_clients)]
        for start in starts:
            start.result()
        with step("Deployment of template.yaml"):
            self.deploy()
        with step("Migrations"):
            self.migrated = self.migrate()

    def deploy(self) -> Deployment:
        """Deploy the template as it is now; of a stack that there is, what has changed alone.

        Raises:
            LocalCloudError: it was refused or has failed; what ran before runs on.
        """
        self._deployment = deploy(self.cloud, STACK, self._template(), self._parameters())
        return self._deployment

    def _template(self) -> dict[str, Any]:
        try:
            template = mounted(load_template(ROOT / "template.yaml"), ROOT, LAYERS)
        except (yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
            raise LocalCloudError(f"template.yaml cannot be read: {error}") from error
        for function, variables in self._options.environment.items():
            properties = template["Resources"][function]["Properties"]
            properties.setdefault("Environment", {}).setdefault("Variables", {}).update(variables)
        if debugger := self._options.debugger:
            keep_messages(template, debugger.function, PATIENCE_S)
        return template

    def _parameters(self) -> dict[str, str]:
        issuer = {"JwtIssuer": ISSUER, "JwtPublicPem": public_key(self._options.state)}
        return {"DatabaseUrl": self.postgres.url(), **issuer, **self._options.parameters}

    def check(self) -> None:
        """See that every part still runs.

        Raises:
            LocalCloudError: one has ended by itself.
        """
        parts: dict[str, LocalStack | Postgres] = {"LocalStack": self.localstack, "PostgreSQL": self.postgres}
        for name, part in parts.items():
            if not part.is_running():
                raise LocalCloudError(f"{name} has ended by itself; the end of {part.log} may say why.")

    def migrate(self) -> dict[str, Any]:
        """Apply the migrations that are missing, through the deployed function.

        Raises:
            LocalCloudError: one failed; the schema is as it was.
        """
        client = self.cloud.client("lambda", read_timeout_s=310)
        with refusals(self.cloud, "the migration"):
            answer = client.invoke(FunctionName=self.deployment.functions["Migrate"], Payload=b"{}")
            said: dict[str, Any] = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise LocalCloudError(f"The migration failed: {said['errorType']}: {said['errorMessage']}")
        return said

    def _start_postgres(self, step: Step) -> None:
        with step(f"PostgreSQL on 127.0.0.1:{self.postgres.port}"):
            self.postgres.start()

    def _prepare_clients(self) -> None:
        """Read the services' descriptions while LocalStack starts: half a second each."""
        for service in ("cloudformation", "lambda", "s3"):
            self.cloud.client(service)

    def _start_localstack(self, step: Step) -> None:
        with step(f"LocalStack on 127.0.0.1:{self.localstack.port}"):
            self.localstack.start()


def _build_layers(step: Step) -> None:
    with step("Layers of shared/"):
        try:
            build_local(LAYERS)
        except LayerError as error:
            raise LocalCloudError(str(error)) from error
