"""The storm over Lambda at full size, on a local cloud of its own: `make storm-local`."""

import sys
import tempfile
import time
from pathlib import Path

import psutil

from decant_cloud.local.engine_server import EngineServer
from decant_cloud.local.postgres import free_port
from decant_cloud.local.warden import Warden
from tests.lambda_storm import Weather, held_at_rest, raise_storm

WEATHER = Weather(invocations=1000, kills=50, updates=20)


def main() -> int:
    """Raise the storm; 1 when anything is amiss."""
    warden = Warden()
    with tempfile.TemporaryDirectory() as folder, EngineServer(Path(folder), free_port(), warden) as localstack:
        process = psutil.Process(localstack.pid)
        before = held_at_rest(process, localstack.url)
        started = time.monotonic()
        outcome = raise_storm(localstack.url, WEATHER)
        taken_s = time.monotonic() - started
        after = before.after(WEATHER).settled(process)
    warden.close()
    print(f"{WEATHER.invocations} invocations, {outcome.kills} kills, {WEATHER.updates} updates in {taken_s:.1f} s:")
    print(f"{len(outcome.wrong)} wrong responses, {outcome.killed} with the error of a killed process")
    print(f"before {before}\nafter  {after}")
    for wrong in outcome.wrong:
        print(f"wrong: {wrong!r}")
    is_right = not outcome.wrong and outcome.last == [-1, WEATHER.updates]
    return 0 if is_right and after.is_within(before.after(WEATHER)) else 1


if __name__ == "__main__":
    sys.exit(main())
