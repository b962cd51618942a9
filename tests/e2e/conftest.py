"""The local cloud that end-to-end tests share: started once a session, on free ports, in a folder of its own."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from decant_cloud.local.cloud import LocalCloud, Options
from decant_cloud.local.postgres import free_port
from tests.e2e.clones import Clone, running_clone
from tests.e2e.running import Create, RunningCloud, archive
from tests.upstream import Upstream

QUICK_POSTGRES = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""Nothing has to survive the session."""


@pytest.fixture(scope="session")
def local_cloud() -> Iterator[RunningCloud]:
    """The bundle, deployed to a local cloud; stopped when the session ends, however it ends."""
    with tempfile.TemporaryDirectory(prefix="decant-e2e-") as state, Upstream() as upstream:
        Path(state).chmod(0o755)  # PostgreSQL's own user has to get through, when we are root
        options = Options(
            state=Path(state),
            port=free_port(),
            parameters={"FetchDataUrl": f"{upstream.url}/1"},
            environment={"FetchData": {"HTTP_TIMEOUT_S": "1"}},
            postgres_settings=QUICK_POSTGRES,
        )
        with LocalCloud(options) as cloud:
            cloud.start()
            yield RunningCloud(cloud, upstream)


@pytest.fixture(scope="session")
def shared_layer(local_cloud: RunningCloud) -> str:
    """ARN of the layer with Decant."""
    configuration = local_cloud.client("lambda").get_function_configuration(
        FunctionName=local_cloud.function_name("AsyncResponse")
    )
    return str(configuration["Layers"][0]["Arn"])


@pytest.fixture(scope="session")
def clone() -> Iterator[Clone]:
    """A clone in which `make up` runs, for the tests of its terminal and of edits; Ctrl-C stops all of it."""
    with running_clone() as started:
        yield started


@pytest.fixture
def create(local_cloud: RunningCloud) -> Iterator[Create]:
    """Creates a function from its source and returns its name; all are deleted at the end."""
    client = local_cloud.client("lambda")
    names: list[str] = []

    def create_function(source: str, **settings: Any) -> str:
        names.append(f"test-{uuid4()}")
        client.create_function(
            FunctionName=names[-1],
            Runtime="python3.13",
            Handler="app.handler",
            Role="arn:aws:iam::000000000000:role/test",
            Code={"ZipFile": archive(source)},
            **settings,
        )
        while client.get_function_configuration(FunctionName=names[-1])["State"] == "Pending":
            time.sleep(0.02)
        return names[-1]

    yield create_function
    for name in names:
        client.delete_function(FunctionName=name)
