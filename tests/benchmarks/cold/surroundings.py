"""What a cold start is measured in: the built functions, both layers, and every service that a first request asks."""

import logging
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer

from infra.build.agreement import load_template
from infra.build.functions import Described, described
from infra.local.postgres import Postgres
from infra.local.warden import Warden
from tests.benchmarks.cold.starts import Built, ColdStart, cold_start
from tests.loading import ROOT
from tests.upstream import Upstream

__all__ = ["BARE", "COMPILED", "DEFAULT", "Surroundings", "surroundings"]

SAM = ROOT / ".decant/sam/bin/sam"
FOLDER = ROOT / ".decant/cold"
VARIABLES = {"AWS_ACCESS_KEY_ID": "cold", "AWS_SECRET_ACCESS_KEY": "cold", "AWS_REGION": "us-east-1"}
USER_ID = "0193a5b0-6c1e-4c3a-9f5d-2f1f0c7a4e11"
"""Of the user that `events/users_get.json` asks for."""

COMPILED = "compiled"
DEFAULT = "default"
BARE = "import flask"
"""Name of what every function is compared with: a module that imports Flask and does nothing."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Everything that is needed to start functions.

    Attributes:
        functions: As `sam build` made them, and the bare one first.
        layers: Folders of the layer, by the tree's name.
    """

    functions: list[Built]
    layers: Mapping[str, Path]
    scratch: Path
    warden: Warden

    def cold_start(self, function: Built, tree: str, share: float) -> ColdStart:
        """Start a function once, from one of the trees."""
        return cold_start(function, self.layers[tree], share, self.scratch, self.warden)


@contextmanager
def surroundings() -> Iterator[Surroundings]:
    """Build everything, start PostgreSQL, SQS and the service that `fetch_data` asks; stop them at the end."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="decant-cold-")))
        warden = Warden()
        stack.callback(warden.close)
        upstream = stack.enter_context(Upstream())
        postgres = stack.enter_context(Postgres(scratch / "postgres", warden=warden))
        logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line for each request
        aws = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        aws.start()
        stack.callback(aws.stop)
        aws_url = "http://{}:{}".format(*aws.get_host_and_port())
        functions = described(
            load_template(ROOT / "template.yaml"),
            {"DatabaseUrl": postgres.url(), "FetchDataUrl": f"{upstream.url}/1"},
            {"DefaultQueue": _queue(aws_url)},
        )
        layers = _build()
        built = [_built(each, {**VARIABLES, "AWS_ENDPOINT_URL": aws_url}) for each in functions]
        made = Surroundings(functions=[_bare(scratch), *built], layers=layers, scratch=scratch, warden=warden)
        _fill(made, postgres)
        yield made


def _build() -> Mapping[str, Path]:
    """What plain `sam build` makes; the layers by tree."""
    command = [str(SAM), "build", "--template", str(ROOT / "template.yaml"), "--build-dir", str(FOLDER / "build")]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    compiled, default = FOLDER / "build/SharedLayer", FOLDER / "default"
    shutil.rmtree(default, ignore_errors=True)
    shutil.copytree(compiled, default, ignore=shutil.ignore_patterns("__pycache__"))
    return {COMPILED: compiled, DEFAULT: default}


def _built(function: Described, variables: Mapping[str, str]) -> Built:
    event = (ROOT / f"events/{function.name}.json").read_bytes()
    function = replace(function, variables={**function.variables, **variables})
    return Built(described=function, folder=FOLDER / "build" / function.logical_id, event=event)


def _bare(scratch: Path) -> Built:
    folder = scratch / "bare"
    folder.mkdir()
    (folder / "app.py").write_text("import flask\n\n\ndef handler(event, context):\n    return flask.__name__\n")
    bare = Described(
        name=BARE, logical_id="Bare", handler="app.handler", timeout_s=25, memory_mb=512, layers=(), variables=VARIABLES
    )
    return Built(described=bare, folder=folder, event=b"{}")


def _queue(aws_url: str) -> str:
    session = boto3.Session(
        VARIABLES["AWS_ACCESS_KEY_ID"], VARIABLES["AWS_SECRET_ACCESS_KEY"], region_name=VARIABLES["AWS_REGION"]
    )
    url: str = session.client("sqs", endpoint_url=aws_url).create_queue(QueueName="default")["QueueUrl"]
    return url


def _fill(made: Surroundings, postgres: Postgres) -> None:
    """Make the tables, through the function that does, and the user that `users_get` is asked for."""
    migrate = next(each for each in made.functions if each.described.name == "migrate")
    made.cold_start(migrate, COMPILED, share=1)
    user = f"INSERT INTO users (id, name, email) VALUES ('{USER_ID}', 'Ada', 'ada@example.net')"  # noqa: S608  # our own
    subprocess.run([*postgres.psql("-c", user)], check=True, capture_output=True)
