"""The storm of kills at full size, on a PostgreSQL of its own: `make storm`."""

import os
import tempfile
from pathlib import Path

from decant import loop
from infra.local.postgres import Postgres
from tests import storm
from tests.loading import load_function

TASKS = 10_000


def main() -> int:
    """Raise the storm; 1 when anything is amiss."""
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch).chmod(0o755)  # PostgreSQL runs as another user when we are root
        with Postgres(Path(scratch) / "postgres") as postgres:
            os.environ |= {"DATABASE_URL": postgres.url(), "LOG_LEVEL": "CRITICAL"}
            load_function("migrate").handler({}, None)
            loop.run(loop.close())
            return storm.main(TASKS)


if __name__ == "__main__":
    raise SystemExit(main())
