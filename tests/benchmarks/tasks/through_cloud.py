"""Tasks through the whole local cloud: from the first enqueue, by SQS and Lambda, to the last SUCCESS."""

import os
import tempfile
import time
from pathlib import Path

from decant import loop
from decant_cloud.local.cloud import LocalCloud, Options
from decant_cloud.local.postgres import free_port
from domain.tasks import long_task
from tests.worlds import execute

TASKS = 500
ALONE = 20


def main() -> int:
    """Print how long many take together, and one by itself."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another user when we are root
        with LocalCloud(Options(state=Path(folder), port=free_port())) as cloud:
            cloud.start()
            os.environ |= {
                "DATABASE_URL": cloud.database.url(),
                "AWS_ENDPOINT_URL": cloud.emulator.url,
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "TASK_QUEUE_URLS": f"default={cloud.deployment.outputs['DefaultQueueUrl']}",
            }
            try:
                loop.run(_measure())
            finally:
                loop.run(loop.close())
    return 0


async def _measure() -> None:
    alone = sorted([await _seconds(1) for _ in range(ALONE)])
    together = await _seconds(TASKS)
    print(
        f"through the local cloud: {TASKS} tasks that do nothing, first enqueue to last SUCCESS: {together:.1f} s; "
        f"one by itself: {1000 * alone[ALONE // 2]:.0f} ms"
    )


async def _seconds(count: int) -> float:
    started = time.perf_counter()
    await long_task.delay_many([{"seconds": 0}] * count)
    while (await execute("SELECT count(*) AS n FROM decant.task WHERE state <> 'SUCCESS'"))[0]["n"]:
        time.sleep(0.005)  # noqa: ASYNC251  # nothing else is to run here
    return time.perf_counter() - started


if __name__ == "__main__":
    raise SystemExit(main())
