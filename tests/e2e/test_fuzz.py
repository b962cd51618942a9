"""A small run of `make fuzz`, through the gateway of this session's local cloud and through `make serve`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.benchmarks.fuzz.drafts import Subject
from tests.benchmarks.fuzz.routes import Route, load_routes
from tests.benchmarks.fuzz.run import fuzz, known_values
from tests.benchmarks.fuzz.servers import gateway_subject, serve

if TYPE_CHECKING:
    from tests.e2e.running import RunningCloud

LIMIT_S = 20
REQUESTS = 300


@pytest.fixture(scope="module")
def routes() -> list[Route]:
    """Every route of the bundle."""
    return load_routes()


@pytest.fixture(params=["gateway", "serve"])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    """Each server in turn."""
    if request.param == "serve":
        with serve() as served:
            yield served
        return
    cloud: RunningCloud = request.getfixturevalue("local_cloud")
    yield gateway_subject(cloud.api_url, cloud.folder.parent)


@pytest.mark.long
def test_hostile_requests_cause_no_error_of_the_server(subject: Subject, routes: list[Route]) -> None:
    """Each gets a response below 500 in time, and each acknowledged write is found afterwards."""
    outcome = fuzz(known_values(routes, subject, LIMIT_S), routes, "tests", range(REQUESTS), LIMIT_S)

    assert [str(failure) for failure in outcome.failures] == []
    assert outcome.acknowledged > 0
    assert {route for route, _status in outcome.counts} == {str(route) for route in routes}
