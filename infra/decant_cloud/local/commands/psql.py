"""`psql`: PostgreSQL's client on the local database."""

import os
from pathlib import Path

from sqlalchemy import URL, make_url

from decant_cloud.local.postgres import PSQL
from decant_cloud.local.state import require_running

__all__ = ["run"]


def run(*, state: Path, sql: str | None) -> None:
    """Replace this process with psql, which gets the terminal and its signals.

    Raises:
        LocalCloudError: no database runs.
    """
    url = make_url(require_running(state).database_url)
    # Other accounts can read the command lines of processes, and no environments.
    address = URL.create("postgresql", url.username, None, url.host, url.port, url.database, url.query)
    environment = {**os.environ, "PGPASSWORD": url.password or ""}
    command = [str(PSQL), "-X", "-d", address.render_as_string(), *(["-c", sql] if sql else [])]
    os.execve(command[0], command, environment)  # noqa: S606  # a program of our own wheel, and no shell is wanted
