"""The bundle as `sam build` makes it, run by each of the three runners with services of its own."""

import json
import logging
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from decant_cloud.bundle import bundle
from decant_cloud.local.postgres import Postgres
from decant_cloud.local.tokens import ISSUER, public_key, with_token
from decant_cloud.local.warden import Warden
from decant_cloud.template.model import Template
from tests.loading import ROOT
from tests.sam.reaching import Reach
from tests.sam.runners import SAM, Built, EmulatorRunner, ExecutorRunner, Runner, SamLocalRunner
from tests.statements import execute
from tests.upstream import Upstream

FAULTS = Path(__file__).parent / "faults"
FAULT_EVENT = b'{"message": "of no use"}'

ASK_ENGINE = """
import docker, ipaddress, json
client = docker.from_env(timeout=5)
(network, *_) = client.networks.get("bridge").attrs["IPAM"]["Config"]
gateway = network.get("Gateway") or str(next(ipaddress.ip_network(network["Subnet"]).hosts()))
tags = [tag for image in client.images.list() for tag in image.tags]
print(json.dumps({"gateway": gateway, "tags": tags}))
"""


@dataclass(frozen=True)
class Engine:
    """A Docker engine.

    Attributes:
        gateway: This machine's address on the network of its containers.
        pull: Whether the image has to be fetched first.
    """

    gateway: str
    pull: bool


@pytest.fixture(scope="session", autouse=True)
def sam() -> Path:
    """The SAM CLI."""
    if not SAM.is_file():
        pytest.skip("the SAM CLI is not installed; `make test-sam` installs it")
    return SAM


@pytest.fixture(scope="session")
def engine(sam: Path) -> Engine:
    """The engine that DOCKER_HOST names, or the machine's own."""
    asked = subprocess.run([sam.parent / "python", "-c", ASK_ENGINE], capture_output=True, text=True, check=False)
    if asked.returncode != 0:
        pytest.skip(f"there is no Docker engine: {asked.stderr.strip().splitlines()[-1]}")
    described = json.loads(asked.stdout)
    return Engine(described["gateway"], pull=not any("lambda/python:3.13" in tag for tag in described["tags"]))


@pytest.fixture(scope="session")
def build_folder(sam: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What plain `sam build` makes of this repository."""
    folder = tmp_path_factory.mktemp("sam") / "build"
    command = [str(sam), "build", "--template", str(ROOT / "template.yaml"), "--build-dir", str(folder)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    return folder


@pytest.fixture(scope="session")
def functions(build_folder: Path) -> dict[str, Built]:
    """The built functions, by name."""
    return {
        each.name: Built(
            described=each,
            folder=build_folder / each.logical_id,
            layers=tuple(build_folder / layer for layer in each.layers),
            template=build_folder / "template.yaml",
        )
        for each in Template(ROOT).evaluated({}).values()
    }


@pytest.fixture(scope="session")
def poured(sam: Path, poured_tutorial: Path) -> Built:
    """The function of Flask's tutorial in a new bundle, as plain `sam build` makes it."""
    folder = poured_tutorial / ".aws-sam"
    command = [str(sam), "build", "--template", "template.yaml", "--build-dir", str(folder)]
    for each in (["make", "install"], command):
        subprocess.run(each, cwd=poured_tutorial, capture_output=True, check=True)
    described = next(each for each in Template(poured_tutorial).evaluated({}).values() if each.name == "flaskr")
    return Built(
        described=described,
        folder=folder / described.logical_id,
        layers=tuple(folder / layer for layer in described.layers),
        template=folder / "template.yaml",
    )


@pytest.fixture(scope="session")
def faults() -> dict[str, Built]:
    """The functions that fail, by name."""
    template = FAULTS / "template.yaml"
    return {
        each.logical_id: Built(
            described=each, folder=FAULTS / "function", layers=(FAULTS / "layer",), template=template
        )
        for each in Template(FAULTS).evaluated({}).values()
    }


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    """The service that `fetch_data` asks."""
    with Upstream() as server:
        yield server


@pytest.fixture(scope="session")
def queue_url() -> Iterator[str]:
    """An SQS queue."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line for each request
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    session = boto3.Session("test", "test", region_name="us-east-1")
    yield str(session.client("sqs", endpoint_url=endpoint).create_queue(QueueName="default")["QueueUrl"])
    server.stop()


@pytest.fixture(scope="session")
def runners(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Callable[[str], Runner]]:
    """Makes a runner by its name: `executor`, `emulator` or `sam local`."""
    warden = Warden()

    def make(name: str) -> Runner:
        folder = tmp_path_factory.mktemp("runner")
        if name == "sam local":
            return SamLocalRunner(folder, pull=request.getfixturevalue("engine").pull)
        return ExecutorRunner(folder, warden) if name == "executor" else EmulatorRunner(folder)

    yield make
    warden.close()


@pytest.fixture(scope="session")
def answers(
    functions: dict[str, Built],
    runners: Callable[[str], Runner],
    variables: Callable[[str], Mapping[str, str]],
    issuer: Path,
) -> Callable[[str], Mapping[str, str]]:
    """What each function answers to its event under one runner, which starts with an empty database of its own."""
    known: dict[str, Mapping[str, str]] = {}

    def event(function: str) -> bytes:
        return with_token((ROOT / f"events/{function}.json").read_text(), issuer).encode()

    def ask(name: str) -> Mapping[str, str]:
        if name not in known:
            runner, settings = runners(name), variables(name)
            known[name] = {
                function: runner.invoke(functions[function], event(function), settings)
                for function in sorted(functions, key=lambda each: (each != "migrate", each))  # the tables come first
            }
        return known[name]

    return ask


@pytest.fixture(scope="session")
def failures(faults: dict[str, Built], runners: Callable[[str], Runner]) -> Callable[[str], Mapping[str, str]]:
    """What each function that fails comes to under one runner."""
    known: dict[str, Mapping[str, str]] = {}

    def ask(name: str) -> Mapping[str, str]:
        if name not in known:
            runner = runners(name)
            known[name] = {fault: runner.invoke(built, FAULT_EVENT, {}) for fault, built in faults.items()}
        return known[name]

    return ask


@pytest.fixture(scope="session")
def reach(engine: Engine) -> Iterator[Reach]:
    """How containers reach what the tests have started."""
    with Reach(engine.gateway) as opened:
        yield opened


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the key of who issues tokens for the admin routes."""
    return tmp_path_factory.mktemp("issuer")


@pytest.fixture(scope="session")
def variables(
    postgres: Postgres, queue_url: str, upstream: Upstream, issuer: Path, request: pytest.FixtureRequest
) -> Callable[[str], Mapping[str, str]]:
    """The functions' settings under one runner: a database of its own, and addresses that it can reach."""

    def settings(name: str) -> Mapping[str, str]:
        database = name.replace(" ", "_")
        execute(postgres, f"CREATE DATABASE {database}")
        found = {
            "DATABASE_URL": postgres.url(database),
            "FETCH_DATA_URL": f"{upstream.url}/1",
            "TASK_QUEUE_URLS": f"default={queue_url}",
            "JWT_AUDIENCE": bundle().name,
            "JWT_ISSUER": ISSUER,
            "JWT_PUBLIC_PEM": public_key(issuer),
        }
        if name != "sam local":
            return found
        opened: Reach = request.getfixturevalue("reach")
        return {
            key: re.sub(r"127\.0\.0\.1:(\d+)", lambda port: opened.address(int(port[1])), value)
            for key, value in found.items()
        }

    return settings
