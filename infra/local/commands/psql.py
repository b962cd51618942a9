"""`psql`: PostgreSQL's own client on the local database."""

import argparse
import os

from rich.console import Console
from sqlalchemy import make_url

from infra.local.postgres import PSQL
from infra.local.state import require_running

__all__ = ["run"]


def run(_console: Console, arguments: argparse.Namespace) -> None:
    """Become psql, which has the terminal and its signals to itself.

    Raises:
        LocalCloudError: no database runs.
    """
    url = make_url(require_running(arguments.state).database_url)
    sql = ["-c", arguments.sql] if arguments.sql else []
    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    command = [str(PSQL), "-X", "-d", address, *sql]
    os.execv(command[0], command)  # noqa: S606  # a program of our own wheel, and no shell is wanted
