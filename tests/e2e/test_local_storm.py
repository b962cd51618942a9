"""Lambda in the local cloud while processes are killed and code is updated: `make storm-local`, made smaller."""

import psutil
import pytest

from tests.e2e.running import RunningCloud
from tests.lambda_storm import Weather, held_at_rest, raise_storm

WEATHER = Weather(invocations=160, kills=8, updates=4)


@pytest.mark.long
def test_storm_of_kills_and_updates_is_weathered(local_cloud: RunningCloud) -> None:
    """Every answer is right, or AWS's for a killed process; no process, thread, file, socket or folder is left."""
    localstack = psutil.Process(local_cloud.engine_pid)
    for function in ("TaskSweeper", "TaskWorker"):  # the schedule wakes them each minute, and would in the storm
        local_cloud.invoke(function, {"Records": []})
    most = held_at_rest(localstack, local_cloud.url).after(WEATHER)

    outcome = raise_storm(local_cloud.url, WEATHER)

    after = most.settled(localstack)
    assert outcome.wrong == []
    assert (outcome.kills, outcome.last) == (WEATHER.kills, [-1, WEATHER.updates])
    assert outcome.killed <= outcome.kills
    assert after.is_within(most), (most, after)
