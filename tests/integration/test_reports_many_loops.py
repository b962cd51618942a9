"""`decant.db` and `decant.http` work on every event loop that an application runs on.

Reports: MagicStack/asyncpg 946, GoogleCloudPlatform/cloud-sql-python-connector 1168,
pallets-eco/flask-sqlalchemy-lite 25, pytest-dev/pytest-asyncio 199.
"""

import json
from collections.abc import Callable

import pytest

from tests.loading import run_module
from tests.many_loops import FUNCTIONS
from tests.upstream import Upstream

pytestmark = pytest.mark.usefixtures("database_url")


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_shared_clients_work_on_any_event_loop(function: Callable[[str], list[int]]) -> None:
    """Every request succeeds, in every loop that runs its view."""
    with Upstream() as upstream:
        output = run_module("tests.many_loops", function.__name__, f"{upstream.url}/1")

    statuses = json.loads(output.splitlines()[-1])
    assert set(statuses) == {200}
