"""`up`: the whole local cloud in the foreground, until it is told to stop."""

import argparse
import os

from rich.console import Console
from rich.text import Text

from infra.build.agreement import load_template
from infra.local.cloud import ROOT, LocalCloud, Options
from infra.local.endpoints import endpoints
from infra.local.logs import Renderer, follow
from infra.local.ports import free_or_none
from infra.local.progress import Steps
from infra.local.state import Claim

__all__ = ["print_endpoints", "run"]

DATABASE_PORT_ABOVE = 1000
"""From LocalStack's port to PostgreSQL's, where that is free: `samconfig.toml` looks for it there."""


def run(console: Console, arguments: argparse.Namespace) -> None:
    """Start everything, show every endpoint, and follow the logs until interrupted.

    Raises:
        LocalCloudError: something did not start, or has ended by itself.
    """
    parameters = {"FetchDataUrl": url} if (url := os.environ.get("FETCH_DATA_URL")) else {}
    options = Options(
        state=arguments.state,
        port=arguments.port,
        database_port=free_or_none(arguments.port + DATABASE_PORT_ABOVE),
        parameters=parameters,
    )
    with Claim(arguments.state, "up") as claim, LocalCloud(options) as cloud:
        with Steps(console) as steps:
            cloud.start(steps.step)
        claim.announce(cloud.localstack.url, cloud.postgres.url())
        print_endpoints(console, cloud.deployment.api_url)
        console.print(
            f"AWS APIs at {cloud.localstack.url}, PostgreSQL at {cloud.postgres.url()}\n"
            "Logs follow; Ctrl-C stops everything.\n",
            highlight=False,
            soft_wrap=True,
        )
        _follow_logs(console, cloud)


def print_endpoints(console: Console, api_url: str) -> None:
    """Show every route with a curl line that works as it is printed."""
    routes = endpoints(load_template(ROOT / "template.yaml"), ROOT / "events")
    for route in routes:
        console.print(f"\n[bold]{route.method} {route.path}[/] [dim]{route.function}", highlight=False)
        # Not wrapped: a line that is copied must be whole.
        console.print(Text(route.curl(api_url, routes)), soft_wrap=True)
    console.print()


def _follow_logs(console: Console, cloud: LocalCloud) -> None:
    renderer = Renderer(width=max(map(len, cloud.deployment.functions)))

    def ended() -> bool:
        cloud.check()
        return False

    for entry in follow(cloud.localstack.journal, until=ended):
        text = renderer.render(entry.time, entry.logical_id, entry.line)
        if text is not None:
            console.print(text, soft_wrap=True)
