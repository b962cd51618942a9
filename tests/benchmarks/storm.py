"""The storm of faults at full size, on a PostgreSQL of its own: `make storm`."""

import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from decant import loop
from decant_cloud.local.postgres import Postgres
from tests import storm
from tests.sample.database import migrate

TASKS = 10_000


def main(count: int) -> int:
    """Run the storm; 1 when an effect is missing or duplicated, or a task is stuck."""
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch).chmod(0o755)  # PostgreSQL runs as another user when we are root
        with Postgres(Path(scratch) / "postgres") as postgres:
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
