"""The environment of a measurement: built functions and layers, and every service that a first request calls."""

import logging
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import boto3
import psycopg
from moto.server import ThreadedMotoServer

from decant_cloud.local.postgres import Postgres
from decant_cloud.local.warden import Warden
from decant_cloud.template.model import Function, Template
from tests.benchmarks.cold.starts import Built, ColdStart, cold_start
from tests.loading import ROOT
from tests.upstream import Upstream

__all__ = ["BARE", "Surroundings", "Variant", "surroundings"]

SAM = ROOT / ".decant/sam/bin/sam"
FOLDER = ROOT / ".decant/cold"
VARIABLES = {"AWS_ACCESS_KEY_ID": "cold", "AWS_SECRET_ACCESS_KEY": "cold", "AWS_REGION": "us-east-1"}
USER_ID = "0193a5b0-6c1e-4c3a-9f5d-2f1f0c7a4e11"
"""Of the user that `events/users_get.json` asks for."""

BARE = "import flask"
"""Name of the function that the others are compared with: a module that imports Flask and does nothing."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """Functions that are measured beside the same functions of another variant.

    Attributes:
        label: Heading of its columns.
        functions: By name, as `sam build` made them, and the bare one first.
        layer: Folder of the unpacked layer.
    """

    label: str
    functions: Mapping[str, Built]
    layer: Path

    def with_variables(self, label: str, variables: Mapping[str, str]) -> "Variant":
        """The same code with more environment variables."""
        functions = {name: _with_variables(each, variables) for name, each in self.functions.items()}
        return Variant(label=label, functions=functions, layer=self.layer)


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """A running environment.

    Attributes:
        variants: The reference first.
    """

    variants: list[Variant]
    scratch: Path
    warden: Warden

    def cold_start(self, variant: Variant, name: str, share: float) -> ColdStart:
        """Start a function of a variant once."""
        return cold_start(variant.functions[name], variant.layer, share, self.scratch, self.warden)


@contextmanager
def surroundings(base: Path | None) -> Iterator[Surroundings]:
    """Build everything, start PostgreSQL, SQS and the service that `fetch_data` calls; stop them at the end.

    Args:
        base: Working tree of another version. With it, the variants are this version and that one. Without it, they are
            the layer as built here, the same without bytecode, and the same with metrics.
    """
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="decant-cold-")))
        warden = Warden()
        stack.callback(warden.close)
        upstream = stack.enter_context(Upstream())
        postgres = stack.enter_context(Postgres(scratch / "postgres", warden=warden))
        logging.getLogger("werkzeug").setLevel(logging.WARNING)  # it logs every request
        aws = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        aws.start()
        stack.callback(aws.stop)
        services = _Services(
            postgres=postgres, upstream_url=f"{upstream.url}/1", aws_url="http://{}:{}".format(*aws.get_host_and_port())
        )
        versions = {"this": ROOT} if base is None else {"this": ROOT, "base": base.resolve()}
        variants = [_version(name, root, services, scratch) for name, root in versions.items()]
        if base is None:
            variants = _alternatives(variants[0])
        made = Surroundings(variants=variants, scratch=scratch, warden=warden)
        for name, variant in zip(versions, variants, strict=False):
            _fill(made, variant, services.database_url(name))
        yield made


@dataclass(frozen=True, kw_only=True)
class _Services:
    postgres: Postgres
    upstream_url: str
    aws_url: str

    def database_url(self, name: str) -> str:
        """Address of a version's own database."""
        return self.postgres.url(name, driver="").replace("+", "")


def _version(name: str, root: Path, services: _Services, scratch: Path) -> Variant:
    """Build one version of the bundle and create its database."""
    with psycopg.connect(services.database_url("postgres"), autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
    functions = Template(root).evaluated(
        {"DatabaseUrl": services.postgres.url(name), "FetchDataUrl": services.upstream_url},
        {"DefaultQueue": _queue(services.aws_url)},
    )
    build = FOLDER / name
    command = [str(SAM), "build", "--template", str(root / "template.yaml"), "--build-dir", str(build)]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    variables = {**VARIABLES, "AWS_ENDPOINT_URL": services.aws_url}
    built = {each.name: _built(root, build, each, variables) for each in functions.values()}
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=root, check=True, capture_output=True, text=True
    ).stdout.strip()
    return Variant(label=f"{name} {commit}", functions={BARE: _bare(scratch), **built}, layer=build / "SharedLayer")


def _alternatives(compiled: Variant) -> list[Variant]:
    default = FOLDER / "default"
    shutil.rmtree(default, ignore_errors=True)
    shutil.copytree(compiled.layer, default, ignore=shutil.ignore_patterns("__pycache__"))
    return [
        replace(compiled, label="compiled"),
        replace(compiled, label="default", layer=default),
        compiled.with_variables("METRICS=1", {"METRICS": "1"}),
    ]


def _built(root: Path, build: Path, function: Function, variables: Mapping[str, str]) -> Built:
    event = (root / f"events/{function.name}.json").read_bytes()
    return _with_variables(Built(described=function, folder=build / function.logical_id, event=event), variables)


def _with_variables(function: Built, variables: Mapping[str, str]) -> Built:
    return replace(function, described=function.described.with_variables(variables))


def _bare(scratch: Path) -> Built:
    folder = scratch / "bare"
    folder.mkdir(exist_ok=True)
    (folder / "app.py").write_text("import flask\n\n\ndef handler(event, context):\n    return flask.__name__\n")
    properties = {"Handler": "app.handler", "Timeout": 25, "MemorySize": 512, "Environment": {"Variables": VARIABLES}}
    bare = Function(logical_id="Bare", folder=Path(BARE), properties=properties, routes=())
    return Built(described=bare, folder=folder, event=b"{}")


def _queue(aws_url: str) -> str:
    session = boto3.Session(
        VARIABLES["AWS_ACCESS_KEY_ID"], VARIABLES["AWS_SECRET_ACCESS_KEY"], region_name=VARIABLES["AWS_REGION"]
    )
    url: str = session.client("sqs", endpoint_url=aws_url).create_queue(QueueName="default")["QueueUrl"]
    return url


def _fill(made: Surroundings, variant: Variant, database_url: str) -> None:
    """Create the tables, by the version's own migrations, and the user that `users_get` is asked for."""
    made.cold_start(variant, "migrate", share=1)
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO users (id, name, email) VALUES (%s, 'Ada', 'ada@example.net')", [USER_ID])
