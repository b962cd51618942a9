"""A look at a deployed stage from outside: each part answers once, or this says which does not.

decant smoke prod
decant smoke --url https://api.example.com

A stage with Auth=jwt is called with the token in SMOKE_TOKEN. Without a token, only the rejection of anonymous callers
is checked.
"""

import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

import boto3
import httpx
from botocore.exceptions import BotoCoreError, ClientError

from decant_cloud.bundle import bundle

__all__ = ["client_of", "faults"]

_ANSWER_WITHIN_S = 30
_TASK_WITHIN_S = 60
_OVER = {"SUCCESS", "FAILURE", "REVOKED"}


def run(*, stage: str, stack: str | None, url: str | None, token: str | None) -> int:
    """Print what is wrong; the exit status is 1 when something is."""
    stack = stack or bundle().stack(stage)
    try:
        client = _client(url, token) if url else client_of(stack, token)
    except (BotoCoreError, ClientError, KeyError) as error:
        print(f"error: the address of the stack {stack} is not known: {error}", file=sys.stderr)
        return 1
    with client:
        closed = _is_closed(client)
        found = [] if closed else list(faults(client))
    for each in found:
        print(f"error: {each}", file=sys.stderr)
    if closed:
        print("API rejects callers without a token; set SMOKE_TOKEN to check database, queue and worker")
    elif not found:
        print("API, database, queue and worker answer")
    return 1 if found else 0


def _is_closed(client: httpx.Client) -> bool:
    """Whether the API requires a token, by the challenge of its authorizer, and there is none to call it with."""
    if "authorization" in client.headers:
        return False
    try:
        response = client.get("async?seconds=0")
    except httpx.HTTPError:
        return False
    return response.status_code == HTTPStatus.UNAUTHORIZED and response.headers.get("www-authenticate") == "Bearer"


def client_of(stack: str, token: str | None = None) -> httpx.Client:
    """A client of a deployed stack's API, with a key where it asks for one.

    Raises:
        ClientError: there is no such stack, or it may not be looked at.
        KeyError: it has no API.
    """
    found = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0].get("Outputs", [])
    outputs = {each["OutputKey"]: each["OutputValue"] for each in found}
    if (key := outputs.get("ApiKeyId")) is None:
        return _client(outputs["ApiUrl"], token)
    read = boto3.client("apigateway").get_api_key(apiKey=key, includeValue=True)
    return _client(outputs["ApiUrl"], token, {"x-api-key": read["value"]})


def _client(url: str, token: str | None, headers: Mapping[str, str] | None = None) -> httpx.Client:
    bearer = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.Client(base_url=url, headers={**bearer, **(headers or {})}, timeout=_ANSWER_WITHIN_S)


def faults(client: httpx.Client, task_within_s: float = _TASK_WITHIN_S) -> Iterator[str]:
    """What does not work, a line each.

    Args:
        client: Its base is the stage's address.
        task_within_s: How long a task that does nothing may take.
    """
    for part in (_function, _database, lambda client: _task(client, task_within_s)):
        try:
            part(client)
        except _Fault as fault:
            yield str(fault)


class _Fault(Exception):
    """One part does not work; the message says which, and how it shows."""


def _function(client: httpx.Client) -> None:
    _answer(client, "GET", "async?seconds=0", HTTPStatus.OK)


def _database(client: httpx.Client) -> None:
    _answer(client, "GET", f"users/{uuid.uuid4()}", HTTPStatus.NOT_FOUND)


def _task(client: httpx.Client, within_s: float) -> None:
    """The queue, the worker, and its way back into the database."""
    started = _answer(client, "POST", "start-task", HTTPStatus.ACCEPTED, json={"seconds": 0})
    task, deadline = _field(started, "task_id"), time.monotonic() + within_s
    while (state := _field(_answer(client, "GET", f"tasks/{task}", HTTPStatus.OK), "state")) not in _OVER:
        if time.monotonic() > deadline:
            raise _Fault(f"task {task} is still {state} after {within_s:g} s")
        time.sleep(0.2)
    if state != "SUCCESS":
        raise _Fault(f"task {task} ended as {state}")


def _answer(client: httpx.Client, method: str, path: str, expected: HTTPStatus, **given: Any) -> httpx.Response:
    try:
        answer = client.request(method, path, **given)
    except httpx.HTTPError as error:
        raise _Fault(f"{method} /{path} got no answer: {type(error).__name__} {error}") from error
    if answer.status_code != expected:
        raise _Fault(f"{method} /{path} answered {answer.status_code} and not {expected}: {answer.text[:200]}")
    return answer


def _field(answer: httpx.Response, name: str) -> str:
    try:
        return str(answer.json()[name])
    except (ValueError, KeyError, TypeError) as error:
        raise _Fault(f"{answer.request.url.path} answered without {name}: {answer.text[:200]}") from error
