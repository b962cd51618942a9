"""Wait for the deployment of a stack, with a time limit; report its events while it is slow, and why it failed."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from decant_cloud.local.errors import LocalCloudError

__all__ = ["TIMEOUT_S", "Report", "Wait", "failure", "wait_for_change_set", "wait_for_stack"]

Report = Callable[[str], object]
"""Takes one line that a person reads while the deployment runs."""

TIMEOUT_S = 360
"""Time limit of a deployment: longer than the ServiceTimeout of `Migration`, whose error has more details."""

_POLL_S = 0.1
"""Each request costs the engine 10 ms that it could spend on the deployment."""

_SLOW_AFTER_S = 5
"""Seconds after which the events of a deployment are reported; most deployments are shorter."""

_EVENTS_EVERY_S = 1

_BEGINNINGS = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS")
_RUNNING = ("_IN_PROGRESS", "_PENDING")
_PREFIX = "Resource provider operation failed: "


def _ignore(_line: str) -> None:
    """Discard the report."""


@dataclass(frozen=True, kw_only=True)
class Wait:
    """How to wait for a deployment.

    Attributes:
        timeout_s: Time limit.
        report: Takes an event of the stack, a line each, when the deployment takes longer than most.
    """

    timeout_s: float = TIMEOUT_S
    report: Report = _ignore


def wait_for_change_set(cloudformation: Any, change_set: str, timeout_s: float) -> dict[str, Any]:
    """Wait until CloudFormation has made a change set.

    Raises:
        LocalCloudError: it has not within the time limit.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        state: dict[str, Any] = cloudformation.describe_change_set(ChangeSetName=change_set)
        if not state["Status"].endswith(_RUNNING):
            return state
        if time.monotonic() > deadline:
            raise LocalCloudError(f"The change set is still {state['Status']} after {timeout_s:g} s.")
        time.sleep(_POLL_S)


def wait_for_stack(cloudformation: Any, stack: str, wait: Wait) -> dict[str, Any]:
    """Wait until a stack's deployment has ended, successfully or not.

    Args:
        cloudformation: boto3 client.
        stack: Name of the stack.
        wait: Time limit, and what takes the events.
    Raises:
        LocalCloudError: the time limit has passed; the message names the resources that are still in progress.
    """
    started = time.monotonic()
    next_look_s, seen = float(_SLOW_AFTER_S), set[str]()
    while True:
        state: dict[str, Any] = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
        if not state["StackStatus"].endswith(_RUNNING):
            return state
        elapsed_s = time.monotonic() - started
        if elapsed_s > wait.timeout_s:
            raise LocalCloudError(_timed_out(stack, wait.timeout_s, _events(cloudformation, stack)))
        if elapsed_s > next_look_s:
            next_look_s = elapsed_s + _EVENTS_EVERY_S
            for event in reversed(_events(cloudformation, stack)):
                if event["EventId"] not in seen:
                    seen.add(event["EventId"])
                    wait.report(_line(event))
        time.sleep(_POLL_S)


def failure(state: Mapping[str, Any], events: Iterable[Mapping[str, Any]]) -> str:
    """Reasons for which the last deployment failed, a line for each resource; failures that only follow are left out.

    Args:
        state: State of the stack.
        events: All events of the stack, newest first.
    """
    reasons: dict[str, None] = {}
    for event in events:
        if event["ResourceStatus"].endswith("_FAILED") and (reason := event.get("ResourceStatusReason")):
            reasons = {f"{event['LogicalResourceId']}: {reason.removeprefix(_PREFIX)}": None, **reasons}
        if event["LogicalResourceId"] == state["StackName"] and event["ResourceStatus"] in _BEGINNINGS:
            break
    runs_on = ", and what ran before runs on" if state["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE" else ""
    return "\n  ".join([f"The deployment ended as {state['StackStatus']}{runs_on}.", *reasons])


def _timed_out(stack: str, timeout_s: float, events: Iterable[Mapping[str, Any]]) -> str:
    latest: dict[str, str] = {}
    for event in events:  # newest first
        latest.setdefault(event["LogicalResourceId"], event["ResourceStatus"])
    running = [f"{name}: {status}" for name, status in latest.items() if status.endswith(_RUNNING) and name != stack]
    head = f"The deployment of {stack} has not ended within {timeout_s:g} s (DEPLOY_TIMEOUT_S); in progress:"
    return "\n  ".join([head, *(running or ["no resource"])])


def _line(event: Mapping[str, Any]) -> str:
    reason = event.get("ResourceStatusReason")
    return f"{event['LogicalResourceId']} {event['ResourceStatus']}{f': {reason}' if reason else ''}"


def _events(cloudformation: Any, stack: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    return events
