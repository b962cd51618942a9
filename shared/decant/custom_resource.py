"""Answers to CloudFormation, for functions that stand behind a custom resource of a template.

    def handler(event, context):
        if custom_resource.asks(event):
            return loop.run(custom_resource.answer(event, create_or_update))

CloudFormation waits until it hears, and it hears only what is put at an address in the request: so whatever happens,
it is told.

Source: AWS CloudFormation User Guide, custom resource request and response reference.
"""

import asyncio
import json
import logging
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

__all__ = ["answer", "asks"]

log = logging.getLogger(__name__)

_WAITS_S = (1, 2)  # between tries
_TIMEOUT_S = 10
_LONGEST_REASON = 1000  # characters; the whole answer may have 4,096 bytes

Work = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""Takes the resource's properties; returns its attributes."""


def asks(event: Mapping[str, Any]) -> bool:
    """Whether CloudFormation sent this event."""
    return "RequestType" in event and "ResponseURL" in event


async def answer(event: Mapping[str, Any], work: Work) -> dict[str, Any]:
    """Do the work that a create or an update asks for, and tell CloudFormation how it went; a delete needs none.

    Args:
        event: CloudFormation's request.
        work: What it asks for. An error fails the deployment, and its text is the reason that people read.
    Returns:
        What CloudFormation was told.
    Raises:
        OSError: it could not be told; CloudFormation gives up after the resource's ServiceTimeout.
    """
    told: dict[str, Any] = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    told["PhysicalResourceId"] = event.get("PhysicalResourceId") or event["LogicalResourceId"]
    try:
        told["Data"] = {} if event["RequestType"] == "Delete" else dict(await work(event["ResourceProperties"]))
        told["Status"] = "SUCCESS"
    except Exception as error:
        log.exception("Custom resource failed")
        told |= {"Status": "FAILED", "Reason": f"{type(error).__name__}: {error}"[:_LONGEST_REASON]}
    await _tell(event["ResponseURL"], json.dumps(told).encode())
    return told


async def _tell(url: str, body: bytes) -> None:
    for wait_s in _WAITS_S:
        try:
            await asyncio.to_thread(_put, url, body)
        except OSError:
            await asyncio.sleep(wait_s)
        else:
            return
    await asyncio.to_thread(_put, url, body)


def _put(url: str, body: bytes) -> None:
    # The address is signed for a PUT without a content type.
    request = urllib.request.Request(url, body, {"Content-Type": ""}, method="PUT")  # noqa: S310  # CloudFormation's own
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S):  # noqa: S310  # likewise
        pass
