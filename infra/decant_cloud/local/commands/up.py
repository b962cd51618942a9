"""`up`: run the local cloud until it is stopped."""

import os
import time
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.text import Text

from decant_cloud.bundle import bundle
from decant_cloud.lambda_runtime.debugging import Debugger
from decant_cloud.local.cloud import LocalCloud, Options
from decant_cloud.local.database_address import without_password
from decant_cloud.local.endpoints import endpoints
from decant_cloud.local.errors import LocalCloudError
from decant_cloud.local.logs import Renderer, follow, show_errors
from decant_cloud.local.ports import free_or_none, require_free
from decant_cloud.local.progress import Steps
from decant_cloud.local.stack_events import TIMEOUT_S
from decant_cloud.local.state import Claim
from decant_cloud.local.terminal import output
from decant_cloud.local.tokens import mint, required_scopes
from decant_cloud.local.updates import Updates
from decant_cloud.paths import module_of, root
from decant_cloud.template.model import Template

__all__ = ["print_endpoints", "run"]

DATABASE_PORT_ABOVE = 1000
"""Difference between the gateway's port and PostgreSQL's, when that port is free."""

WATCH_EVERY_S = 1

CONSOLE = "Console"
"""Logical id of the function with the console's page."""

CONSOLE_TOKEN_S = 12 * 3600
"""Validity of the token in the printed URL, seconds."""


def run(*, state: Path, port: int, debugger: tuple[str, int] | None, stack: str | None, detached: bool) -> None:
    """Start all servers, deploy, print the endpoints and follow the logs until interrupted.

    Args:
        state: Folder for all files.
        port: TCP port of the gateway on 127.0.0.1.
        debugger: Function that waits for a debugger, and the port on which it waits.
        stack: Name of the deployed stack; the bundle's name by default.
        detached: Whether the output is not read: logs are not followed.
    Raises:
        LocalCloudError: a server did not start or has ended by itself, or the deployment failed.
    """
    console = output()
    options = _options(state, port, stack, _debugger(*debugger) if debugger else None)
    with Claim(state, "up") as claim, LocalCloud(options) as cloud:
        updates = Updates(root(), cloud.emulator.journal, cloud.deploy, cloud.migrate)
        if waiting := options.debugger:
            where = f"127.0.0.1:{waiting.port}; .vscode/launch.json attaches to it."
            console.print(f"{waiting.function} will wait for a debugger on {where}", highlight=False, soft_wrap=True)
        with Steps(console) as steps:
            cloud.start_servers(steps.step)
            with show_errors(console, cloud.emulator.journal, _renderer()):
                cloud.release(steps.step, steps.report)
        print_endpoints(console, cloud.deployment.api_url, state)
        addresses = f"AWS APIs at {cloud.emulator.url}, PostgreSQL at {without_password(cloud.database.url())}"
        console.print(addresses, highlight=False, soft_wrap=True)
        claim.announce(cloud.emulator.url, cloud.database.url(), options.stack)
        with updates:
            if detached:
                _watch(cloud)
            end = f"deletes the stack {options.stack}" if options.endpoint else "stops everything"
            console.print(f"Logs follow; Ctrl-C {end}.\n", highlight=False)
            _follow_logs(console, cloud)


def _options(state: Path, port: int, stack: str | None, debugger: Debugger | None) -> Options:
    return Options(
        state=state,
        port=port,
        endpoint=(endpoint := os.environ.get("AWS_ENDPOINT_URL") or None),
        stack=stack or bundle().name,
        database_url=os.environ.get("DATABASE_URL") if endpoint else None,
        database_port=free_or_none(port + DATABASE_PORT_ABOVE),
        parameters=bundle().parameters(Template(root()).document.get("Parameters", {})),
        debugger=debugger,
        deploy_timeout_s=_deploy_timeout_s(),
    )


def _deploy_timeout_s() -> float:
    text = os.environ.get("DEPLOY_TIMEOUT_S") or str(TIMEOUT_S)
    try:
        return float(text)
    except ValueError as error:
        raise LocalCloudError(f"DEPLOY_TIMEOUT_S is {text!r}; it has to be a number of seconds.") from error


def _debugger(function: str, port: int) -> Debugger:
    if os.environ.get("AWS_ENDPOINT_URL"):
        raise LocalCloudError("DEBUG needs an emulator that `make up` starts; unset AWS_ENDPOINT_URL.")
    logical_id = Template(root()).function(function).logical_id
    require_free(port, f"up DEBUG={function}", "DEBUG_PORT")
    spec = find_spec("debugpy")
    if spec is None or not spec.submodule_search_locations:
        raise LocalCloudError("debugpy is not installed; run `make install`.")
    return Debugger(function=logical_id, port=port, package=spec.submodule_search_locations[0])


def print_endpoints(console: Console, api_url: str, state: Path) -> None:
    """Print each route with a curl command that works as printed, and the URL of the console with a new token."""
    routes = endpoints(Template(root()))
    for route in routes:
        if route.function == CONSOLE:
            continue
        console.print(f"\n[bold]{route.method} {route.path}[/] [dim]{route.function}", highlight=False)
        # Not wrapped: a line that is copied must be whole.
        console.print(Text(route.curl(api_url, routes)), soft_wrap=True)
    if any(route.function == CONSOLE for route in routes):
        token = mint(state, " ".join(required_scopes(root())), CONSOLE_TOKEN_S)
        console.print("\n[bold]Console[/] [dim]tasks, workflows, schedules and queues", highlight=False)
        console.print(Text(f"{api_url}/console#token={token}"), soft_wrap=True)
    console.print()


def _watch(cloud: LocalCloud) -> NoReturn:
    while True:
        cloud.check()
        time.sleep(WATCH_EVERY_S)


def _follow_logs(console: Console, cloud: LocalCloud) -> None:
    renderer = _renderer()

    def ended() -> bool:
        cloud.check()
        return False

    for entry in follow(cloud.emulator.journal, until=ended):
        text = renderer.render(entry.time, entry.logical_id, entry.line)
        if text is not None:
            console.print(text, soft_wrap=True)


def _renderer() -> Renderer:
    files = {name: module_of(each.folder) for name, each in Template(root()).functions().items()}
    return Renderer(width=max(map(len, files)), files=files)
