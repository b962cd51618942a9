"""The local cloud that end-to-end tests share: started once a session, on free ports, in a folder of its own."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.cloud import LocalCloud, Options
from infra.local.postgres import free_port
from tests.e2e.running import RunningCloud
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
