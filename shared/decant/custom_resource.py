"""Responses to CloudFormation, for functions that implement a custom resource of a template.

    async def handle(event, context):
        if custom_resource.is_request(event):
            return await custom_resource.respond(event, create_or_update)

CloudFormation waits for a PUT to the request's pre-signed ResponseURL. A response is sent on success and on failure.

Source: AWS CloudFormation User Guide, custom resource request and response reference.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from decant._aws.request import request
from decant.errors import AwsUnavailable

__all__ = ["is_request", "respond"]

log = logging.getLogger(__name__)

_RETRY_AFTER_S = (1, 2)
_TIMEOUT_S = 10.0
_MAX_REASON_CHARACTERS = 1000  # the whole response may have 4,096 bytes

Work = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""Takes the resource's properties; returns its attributes."""


def is_request(event: Mapping[str, Any]) -> bool:
    """Whether the event is a request of CloudFormation for a custom resource."""
    return "RequestType" in event and "ResponseURL" in event


async def respond(event: Mapping[str, Any], work: Work) -> dict[str, Any]:
    """Do the work of a create or an update, and send CloudFormation its result; a delete needs no work.

    Args:
        event: CloudFormation's request.
        work: An error of it fails the deployment, with its text as the reason.
    Returns:
        The response that was sent.
    Raises:
        AwsUnavailable: the response could not be sent; CloudFormation gives up after the resource's ServiceTimeout.
    """
    response: dict[str, Any] = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    response["PhysicalResourceId"] = event.get("PhysicalResourceId") or event["LogicalResourceId"]
    try:
        response["Data"] = {} if event["RequestType"] == "Delete" else dict(await work(event["ResourceProperties"]))
        response["Status"] = "SUCCESS"
    except Exception as error:
        log.exception("Custom resource failed")
        reason = f"{type(error).__name__}: {error}"[:_MAX_REASON_CHARACTERS]
        response |= {"Status": "FAILED", "Reason": reason}
    await _send(event["ResponseURL"], json.dumps(response).encode())
    return response


async def _send(url: str, body: bytes) -> None:
    for wait_s in _RETRY_AFTER_S:
        try:
            await _put(url, body)
        except AwsUnavailable:
            await asyncio.sleep(wait_s)
        else:
            return
    await _put(url, body)


async def _put(url: str, body: bytes) -> None:
    response = await request("PUT", url, {"Content-Type": ""}, body, _TIMEOUT_S)  # signed without a content type
    if response.status >= 400:  # noqa: PLR2004  # any error status
        raise AwsUnavailable(f"The ResponseURL responded with {response.status}")
