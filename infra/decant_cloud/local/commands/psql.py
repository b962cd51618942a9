"""`psql`: PostgreSQL's client on the local database."""

import argparse
import os

from rich.console import Console
from sqlalchemy import URL, make_url

from decant_cloud.local.postgres import PSQL
from decant_cloud.local.state import require_running

__all__ = ["run"]


def run(_console: Console, arguments: argparse.Namespace) -> None:
    """Replace this process with psql, which gets the terminal and its signals.

    Raises:
        LocalCloudError: no database runs.
    """
    url = make_url(require_running(arguments.state).database_url)
    sql = ["-c", arguments.sql] if arguments.sql else []
    # Other accounts can read the command lines of processes, and no environments.
    address = URL.create("postgresql", url.username, None, url.host, url.port, url.database, url.query)
    environment = {**os.environ, "PGPASSWORD": url.password or ""}
    command = [str(PSQL), "-X", "-d", address.render_as_string(), *sql]
    os.execve(command[0], command, environment)  # noqa: S606  # a program of our own wheel, and no shell is wanted
