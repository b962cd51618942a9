"""`decant.db` and `decant.http` work on every event loop that an application runs on.

Reports: MagicStack/asyncpg 946, GoogleCloudPlatform/cloud-sql-python-connector 1168,
pallets-eco/flask-sqlalchemy-lite 25, pytest-dev/pytest-asyncio 199.
"""

import json

import pytest

from tests.loading import run_module
from tests.upstream import Upstream


@pytest.mark.usefixtures("database_url")
def test_shared_clients_work_on_any_event_loop() -> None:
    """Every request succeeds, in every loop that runs its view, one after the other in one process."""
    with Upstream() as upstream:
        output = run_module("tests.many_loops", f"{upstream.url}/1")

    statuses = json.loads(output.splitlines()[-1])
    assert len(statuses) == 4
    assert all(set(found) == {200} for found in statuses.values()), statuses
