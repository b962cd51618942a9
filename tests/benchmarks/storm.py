"""The storm of faults at full size, on a PostgreSQL of its own: `make storm`."""

import os
import signal
import sys
import time

from decant import loop
from decant_cloud.local.postgres import temporary_postgres
from tests import storm
from tests.sample.database import migrate

TASKS = 10_000


def main(count: int) -> int:
    """Run the storm; 1 when an effect is missing or duplicated, or a task is stuck."""
    with temporary_postgres() as postgres:
        os.environ |= {"DATABASE_URL": postgres.url(), "LOG_LEVEL": "CRITICAL"}
        migrate()
        loop.run(loop.close())

        def restart() -> None:
            os.kill(postgres.pid, signal.SIGKILL)
            while postgres.is_running():
                time.sleep(0.01)
            postgres.keep_running(lambda _line: None)

        return storm.main(count, restart)


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else TASKS))
