"""`status`: what runs, where, since when, and what it answers to."""

import time
from datetime import datetime
from pathlib import Path

from rich.table import Table

from decant_cloud.local.database_address import without_password
from decant_cloud.local.deploy import Cloud, describe, refusals
from decant_cloud.local.endpoints import endpoints
from decant_cloud.local.state import Running, require_running
from decant_cloud.local.terminal import output
from decant_cloud.paths import root
from decant_cloud.template.model import Template

__all__ = ["run"]


def run(*, state: Path) -> None:
    """Print the state of the local cloud.

    Raises:
        LocalCloudError: none does, or it does not answer.
    """
    console, local = output(), require_running(state)
    since = datetime.fromtimestamp(local.since).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    lines = [f"`{local.command}` runs since {since} ({_span(time.time() - local.since)}), process {local.pid}", ""]
    lines += [f"{name:<12}{value}" for name, value in _addresses(local).items()]
    lines.append(f"{'State':<12}{state}\n")
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
    table = Table(box=None, show_header=False, padding=(0, 3, 0, 0))
    for route in endpoints(Template(root())):
        table.add_row(f"[bold]{route.method}", route.path, f"[dim]{route.function}")
    console.print(table)


def _addresses(local: Running) -> dict[str, str]:
    database = {"PostgreSQL": without_password(local.database_url)}
    if local.command != "up":
        return {"API": local.url, **database}
    cloud = Cloud(local.url)
    with refusals(cloud, "to describe its state"):
        return {"API": describe(cloud, local.stack).api_url, "AWS APIs": local.url, **database}


def _span(seconds: float) -> str:
    """A time in its two largest units: `2 h 5 min`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
