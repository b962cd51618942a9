"""Custom resources, which the open LocalStack leaves out: a function of the stack is asked, as CloudFormation does.

Source: AWS CloudFormation User Guide, custom resource request and response reference.
"""

import json
import time
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Self

from localstack.services.cloudformation.resource_provider import (
    CloudFormationResourceProviderPlugin,
    OperationStatus,
    ProgressEvent,
    ResourceProvider,
    ResourceRequest,
)

__all__ = ["CustomResource", "CustomResourcePlugin"]

_PATIENCE_S = 3600
_LOOK_EVERY = {"Delay": 1, "MaxAttempts": 60}
_NOT_THE_FUNCTIONS = ("PhysicalResourceId", "ServiceTimeout")
"""Properties that are kept in the resource, or said to CloudFormation, and not to the function."""


class CustomResourcePlugin(CloudFormationResourceProviderPlugin):
    """Names the resource type, for LocalStack to look it up."""

    name = "AWS::CloudFormation::CustomResource"

    def __init__(self) -> None:
        self.factory: type[CustomResource] | None = None

    def load(self) -> None:
        """Make the provider known."""
        self.factory = CustomResource


class CustomResource(ResourceProvider[dict[str, Any]]):
    """Asks the function that the resource's ServiceToken names, and waits for its answer."""

    TYPE = CustomResourcePlugin.name
    SCHEMA: Mapping[str, Any] = {"primaryIdentifier": ["/properties/PhysicalResourceId"]}

    def create(self, request: ResourceRequest[dict[str, Any]]) -> ProgressEvent[dict[str, Any]]:
        """Ask for a new one."""
        return self._ask("Create", request, {})

    def update(self, request: ResourceRequest[dict[str, Any]]) -> ProgressEvent[dict[str, Any]]:
        """Ask for a change; the function hears what there was before."""
        return self._ask("Update", request, request.previous_state)

    def delete(self, request: ResourceRequest[dict[str, Any]]) -> ProgressEvent[dict[str, Any]]:
        """Ask for its end, unless LocalStack, after an update that failed, has deleted the function first."""
        functions = request.aws_client_factory.lambda_
        try:
            functions.get_function(FunctionName=request.previous_state["ServiceToken"])
        except functions.exceptions.ResourceNotFoundException:
            return ProgressEvent(OperationStatus.SUCCESS, resource_model={})
        return self._ask("Delete", request, request.previous_state)

    @staticmethod
    def _ask(
        kind: str, request: ResourceRequest[dict[str, Any]], before: Mapping[str, Any]
    ) -> ProgressEvent[dict[str, Any]]:
        properties = request.desired_state or dict(before)
        with _Ear() as ear:
            event = {
                "RequestType": kind,
                "ResponseURL": ear.url,
                "StackId": request.stack_id,
                "RequestId": str(uuid.uuid4()),
                "ResourceType": request.resource_type,
                "LogicalResourceId": request.logical_resource_id,
                "ResourceProperties": _said(properties),
            }
            if "PhysicalResourceId" in before:
                event["PhysicalResourceId"] = before["PhysicalResourceId"]
            if kind == "Update":
                event["OldResourceProperties"] = _said(before)
            functions, name = request.aws_client_factory.lambda_, properties["ServiceToken"]
            # An event for a function that is still being changed would be lost with what it was before.
            functions.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig=_LOOK_EVERY)
            functions.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(event))
            told = ear.hear(float(properties.get("ServiceTimeout", _PATIENCE_S)))
        if told["Status"] == "SUCCESS":
            model = {**properties, **told.get("Data", {}), "PhysicalResourceId": told["PhysicalResourceId"]}
            return ProgressEvent(OperationStatus.SUCCESS, resource_model=model)
        return ProgressEvent(OperationStatus.FAILED, resource_model=dict(before), message=told["Reason"])


def _said(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if name not in _NOT_THE_FUNCTIONS}


class _Ear:
    """An address on loopback that one answer is put at."""

    def __init__(self) -> None:
        heard: list[dict[str, Any]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(HTTPStatus.OK)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing: LocalStack's log is for LocalStack."""

        self._heard = heard
        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.server_close()

    def hear(self, timeout_s: float) -> dict[str, Any]:
        deadline = time.monotonic() + timeout_s
        while not self._heard:
            self._server.timeout = deadline - time.monotonic()
            if self._server.timeout <= 0:
                return {"Status": "FAILED", "Reason": f"The function did not answer within {timeout_s:g} s."}
            self._server.handle_request()
        return self._heard[0]
