"""`reset`: forgets what the local cloud keeps."""

import argparse
import shutil

from rich.console import Console

from decant_cloud.local.state import Claim

__all__ = ["run"]


def run(console: Console, arguments: argparse.Namespace) -> None:
    """Delete the database and the logs of the last time.

    Raises:
        LocalCloudError: a local cloud is using them.
    """
    with Claim(arguments.state, "reset"):
        for part in ("postgres", "localstack"):
            shutil.rmtree(arguments.state / part, ignore_errors=True)
    console.print(f"Forgotten: all data in {arguments.state}.", highlight=False, soft_wrap=True)
