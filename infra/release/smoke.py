"""A look at a deployed stage from outside: each part answers once, or this says which does not.

python -m infra.release.smoke --stack decant-prod
python -m infra.release.smoke --url https://api.example.com --key …
"""

import argparse
import sys
import time
import uuid
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import boto3
import httpx

__all__ = ["address", "faults"]

_TASK_WITHIN_S = 60


def main() -> int:
    """Print what is wrong; the exit status is 1 when something is."""
    parser = argparse.ArgumentParser(prog="python -m infra.release.smoke", description=__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--url", help="address of the stage")
    where.add_argument("--stack", help="name of the deployed stack, which knows its address")
    parser.add_argument("--key", help="API key, where the stage asks for one")
    arguments = parser.parse_args()
    headers = {"x-api-key": arguments.key} if arguments.key else {}
    url = arguments.url or address(boto3.client("cloudformation"), arguments.stack)
    with httpx.Client(base_url=url, headers=headers, timeout=30) as client:
        found = list(faults(client))
    for each in found:
        print(f"error: {each}", file=sys.stderr)
    if not found:
        print("API, database, queue and worker answer")
    return 1 if found else 0


def address(cloudformation: Any, stack: str) -> str:
    """Where a deployed stack's API answers."""
    outputs = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["Outputs"]
    return str(next(each["OutputValue"] for each in outputs if each["OutputKey"] == "ApiUrl"))


def faults(client: httpx.Client) -> Iterator[str]:
    """What does not work, a line each.

    Args:
        client: Its base is the stage's address.
    """
    for path, expected in (
        ("async?seconds=0", HTTPStatus.OK),  # the API and a function
        (f"users/{uuid.uuid4()}", HTTPStatus.NOT_FOUND),  # the database
    ):
        answer = client.get(path)
        if answer.status_code != expected:
            yield f"GET /{path} answered {answer.status_code}: {answer.text[:200]}"
    yield from _task(client)


def _task(client: httpx.Client) -> Iterator[str]:
    """The queue, the worker, and its way back into the database."""
    started = client.post("start-task", json={"seconds": 0})
    if started.status_code != HTTPStatus.ACCEPTED:
        yield f"POST /start-task answered {started.status_code}: {started.text[:200]}"
        return
    task, deadline = started.json()["task_id"], time.monotonic() + _TASK_WITHIN_S
    state = "PENDING"
    while state not in {"SUCCESS", "FAILURE", "REVOKED"} and time.monotonic() < deadline:
        time.sleep(0.2)
        state = client.get(f"tasks/{task}").json().get("state", "unknown")
    if state != "SUCCESS":
        yield f"task {task} is {state} after {_TASK_WITHIN_S} s"


if __name__ == "__main__":
    sys.exit(main())
