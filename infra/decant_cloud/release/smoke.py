"""A smoke test of a deployed stage from outside: one line for each part that does not work.

decant smoke prod
decant smoke --url https://api.example.com

1. Every GET route of the template without path parameters responds with a status below 500.
2. A task of the library passes through queue and worker; with --url, this is left out.
3. The tests in `tests/smoke/` pass. Their fixture `stage` is a client of the stage.

A stage with Auth=jwt is called with the token in SMOKE_TOKEN. Without a token, only the rejection of anonymous callers
is tested in place of 1 and 3.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import boto3
import httpx
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from decant_cloud.bundle import bundle
from decant_cloud.local.deploy import Cloud, describe
from decant_cloud.local.state import require_up
from decant_cloud.local.tokens import mint, required_scopes
from decant_cloud.paths import root
from decant_cloud.template.model import Template

__all__ = ["Target", "probe", "requests", "run"]

SWEEPER = "TaskSweeper"
"""The function that runs a task of the library through queue and worker."""

_RESPONSE_WITHIN_S = 30
_PROBE_WITHIN_S = 60


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is tested.

    Attributes:
        url: Address of the API's stage.
        headers: Headers of every request: an API key, a token.
        stack: Name of the deployed stack; None when only the address is known.
        cloud: The local cloud; None for AWS.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    stack: str | None = None
    cloud: Cloud | None = None

    def client(self, service: str) -> Any:
        """A boto3 client of a service."""
        if self.cloud is not None:
            return self.cloud.client(service, read_timeout_s=_PROBE_WITHIN_S)
        config = Config(read_timeout=_PROBE_WITHIN_S, retries={"total_max_attempts": 1})
        return boto3.client(service, config=config)


def run(*, state: Path, stage: str, stack: str | None, url: str | None, token: str | None) -> int:
    """Print what does not work; the exit status is 1 when something does not.

    Args:
        state: Folder of the local cloud, for the stage `local`.
        stage: A stage of samconfig.toml.
        stack: Name of the deployed stack, in place of the stage's.
        url: Address of the API, in place of a stack.
        token: Token for a stage with Auth=jwt.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        if url is not None:
            target = Target(url=url, headers=headers)
        elif stage == "local" and stack is None:
            target = _local(state)
        else:
            target = _deployed(stack or bundle().stack(stage), headers)
    except (BotoCoreError, ClientError, KeyError) as error:
        print(f"error: the address of the stage {stage} is not known: {error}", file=sys.stderr)
        return 1
    template = Template(root())
    paths = [route.path for route in template.routes() if route.method == "GET" and "{" not in route.path]
    closed = [path for path in paths if path not in template.open_paths()]
    with httpx.Client(base_url=target.url, headers=target.headers, timeout=_RESPONSE_WITHIN_S) as client:
        is_closed = bool(closed) and _rejects_anonymous_callers(client, closed[0])
        found = [*([] if is_closed else requests(client, paths)), *probe(target)]
    for line in found:
        print(f"error: {line}", file=sys.stderr)
    if is_closed:
        print("API rejects callers without a token; set SMOKE_TOKEN to test the routes")
    elif not found:
        print(f"GET routes respond ({len(paths)}){', queue and worker run tasks' if target.stack else ''}")
    return 1 if found or (not is_closed and _tests_fail(target)) else 0


def requests(client: httpx.Client, paths: Sequence[str]) -> Iterator[str]:
    """GET routes that do not respond, or with a status of 500 or above, a line each.

    Args:
        client: Its base is the stage's address.
        paths: Paths of the routes.
    """
    for path in paths:
        try:
            response = client.get(path.lstrip("/"))
        except httpx.HTTPError as error:
            yield f"GET {path} got no response: {type(error).__name__} {error}"
            continue
        if response.is_server_error:
            yield f"GET {path} responded with {response.status_code}: {response.text[:200]}"


def probe(target: Target) -> Iterator[str]:
    """What prevents a task from passing through queue and worker, in a line."""
    if target.stack is None or SWEEPER not in Template(root()).functions():
        return
    try:
        found = target.client("cloudformation").describe_stack_resources(StackName=target.stack)["StackResources"]
        names = {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in found}
        if SWEEPER not in names:
            yield f"the stack {target.stack} has no {SWEEPER}"
            return
        response = target.client("lambda").invoke(FunctionName=names[SWEEPER], Payload=b'{"probe": true}')
    except (BotoCoreError, ClientError) as error:
        yield f"{SWEEPER} cannot be invoked: {error}"
        return
    result = json.loads(response["Payload"].read())
    if "FunctionError" in response:
        yield f"{SWEEPER} failed: {result.get('errorType')}: {result.get('errorMessage')}"
    elif result["state"] != "SUCCESS":
        yield f"task {result['id']} did not pass through queue and worker: its state is {result['state']}"


def _deployed(stack: str, headers: Mapping[str, str]) -> Target:
    """A stack at AWS, with a key where its API requires one.

    Raises:
        ClientError: there is no such stack, or it may not be read.
        KeyError: it has no API.
    """
    found = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0].get("Outputs", [])
    outputs = {each["OutputKey"]: each["OutputValue"] for each in found}
    keys = {}
    if (key := outputs.get("ApiKeyId")) is not None:
        read = boto3.client("apigateway").get_api_key(apiKey=key, includeValue=True)
        keys["x-api-key"] = read["value"]
    return Target(url=outputs["ApiUrl"], headers={**headers, **keys}, stack=stack)


def _local(state: Path) -> Target:
    """The local cloud that runs, with a token of all scopes."""
    up = require_up(state)
    token = mint(state, " ".join(required_scopes(root())))
    cloud = Cloud(up.url)
    url = describe(cloud, up.stack).api_url
    return Target(url=url, headers={"Authorization": f"Bearer {token}"}, stack=up.stack, cloud=cloud)


def _rejects_anonymous_callers(client: httpx.Client, path: str) -> bool:
    """Whether the API requires a token, by the challenge of its authorizer, and there is none to call it with."""
    if "authorization" in client.headers:
        return False
    try:
        response = client.get(path.lstrip("/"))
    except httpx.HTTPError:
        return False
    return response.status_code == HTTPStatus.UNAUTHORIZED and response.headers.get("www-authenticate") == "Bearer"


def _tests_fail(target: Target) -> bool:
    """Run the bundle's own smoke tests, where it has some."""
    if not any((root() / "tests/smoke").glob("test_*.py")):
        return False
    variables = {"SMOKE_URL": target.url, "SMOKE_HEADERS": json.dumps(dict(target.headers))}
    command = [sys.executable, "-m", "pytest", "-q", "tests/smoke"]
    return subprocess.run(command, cwd=root(), env={**os.environ, **variables}, check=False).returncode != 0
