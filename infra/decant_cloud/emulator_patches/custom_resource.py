"""Support custom resources, which the engine lacks: invoke a function of the stack as CloudFormation does.

CloudFormation waits for a PUT to the request's ResponseURL, up to an hour. Unlike CloudFormation, the deployment fails
at once with the function's error when the invocation fails, because the function sends no response then.

Uses: `services/cloudformation/resource_provider.py`, an extension point.
Gain: `Migrate` runs in the deployment, as at AWS.
Source: AWS CloudFormation User Guide, custom resource request and response reference.
"""

import json
import queue
import re
import secrets
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Self

from decant_cloud.emulator_patches.engine import find
from decant_cloud.emulator_patches.http_server import HttpServer

__all__ = ["CustomResource", "CustomResourcePlugin"]

_TIMEOUT_S = 3600
"""Source: AWS CloudFormation, ServiceTimeout of a custom resource."""

_WAITER = {"Delay": 1, "MaxAttempts": 60}
_NOT_FOR_FUNCTION = ("PhysicalResourceId", "ServiceTimeout")
"""Properties of the resource that a request does not contain."""


_MODULE = "services.cloudformation.resource_provider"
OperationStatus, ProgressEvent = find(_MODULE, "OperationStatus", "ProgressEvent")
ResourceProvider: Any = find(_MODULE, "ResourceProvider")
ResourceProviderPlugin: Any = find(_MODULE, "CloudFormationResourceProviderPlugin")


class CustomResourcePlugin(ResourceProviderPlugin):
    """Names the resource type."""

    name = "AWS::CloudFormation::CustomResource"

    def __init__(self) -> None:
        self.factory: type[CustomResource] | None = None

    def load(self) -> None:
        """Make the provider available."""
        self.factory = CustomResource


class CustomResource(ResourceProvider):
    """Invokes the function that the resource's ServiceToken names, and waits for its response."""

    TYPE = CustomResourcePlugin.name
    SCHEMA: Mapping[str, Any] = {"primaryIdentifier": ["/properties/PhysicalResourceId"]}

    def create(self, request: Any) -> Any:
        """Create the resource."""
        return self._send("Create", request, {})

    def update(self, request: Any) -> Any:
        """Change the resource; the request contains the properties from before."""
        return self._send("Update", request, request.previous_state)

    def delete(self, request: Any) -> Any:
        """Delete the resource, unless the engine, after a failed update, has deleted the function first."""
        functions = request.aws_client_factory.lambda_
        try:
            functions.get_function(FunctionName=request.previous_state["ServiceToken"])
        except functions.exceptions.ResourceNotFoundException:
            return ProgressEvent(OperationStatus.SUCCESS, resource_model={})
        return self._send("Delete", request, request.previous_state)

    @staticmethod
    def _send(kind: str, request: Any, before: Mapping[str, Any]) -> Any:
        properties = request.desired_state or dict(before)
        with _ResponseListener() as listener:
            event = {
                "RequestType": kind,
                "ResponseURL": listener.url,
                "StackId": request.stack_id,
                "RequestId": str(uuid.uuid4()),
                "ResourceType": request.resource_type,
                "LogicalResourceId": request.logical_resource_id,
                "ResourceProperties": _for_function(properties),
            }
            if "PhysicalResourceId" in before:
                event["PhysicalResourceId"] = before["PhysicalResourceId"]
            if kind == "Update":
                event["OldResourceProperties"] = _for_function(before)
            functions, name = request.aws_client_factory.lambda_, properties["ServiceToken"]
            # An event for a function that is still being changed would be lost with the code from before.
            functions.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig=_WAITER)
            threading.Thread(target=_invoke, args=(functions, name, event, listener), daemon=True).start()
            response = listener.wait(float(properties.get("ServiceTimeout", _TIMEOUT_S)))
        if response["Status"] == "SUCCESS":
            model = {**properties, **response.get("Data", {}), "PhysicalResourceId": response["PhysicalResourceId"]}
            return ProgressEvent(OperationStatus.SUCCESS, resource_model=model)
        return ProgressEvent(OperationStatus.FAILED, resource_model=dict(before), message=response["Reason"])


def _invoke(functions: Any, name: str, event: Mapping[str, Any], listener: "_ResponseListener") -> None:
    """Invoke the function and, when it fails, put its error in the place of its response."""
    response = functions.invoke(FunctionName=name, Payload=json.dumps(event))
    if "FunctionError" in response:
        error = json.loads(response["Payload"].read())
        listener.receive({"Status": "FAILED", "Reason": _reason(error)})


def _reason(error: Mapping[str, Any]) -> str:
    """Error of a function with the file and line that it names last."""
    places = re.findall(r'File "([^"]+)",? [Ll]ine (\d+)', "".join(error.get("stackTrace") or ()))
    place = ", at {}:{}".format(*places[-1]) if places else ""
    return f"{error.get('errorType', 'Error')}: {error.get('errorMessage', '')}{place}"


def _for_function(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if name not in _NOT_FOR_FUNCTION}


class _ResponseListener:
    """A URL on loopback to which one response is sent; its path is a secret, as the signature of an S3 URL is."""

    def __init__(self) -> None:
        self._responses: queue.Queue[dict[str, Any]] = queue.Queue()
        self._path = f"/{secrets.token_urlsafe()}"
        self._server = HttpServer(self._receive_request, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.port}{self._path}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def receive(self, response: dict[str, Any]) -> None:
        """Take a response; the first one counts."""
        self._responses.put(response)

    def wait(self, timeout_s: float) -> dict[str, Any]:
        """Wait for the response."""
        try:
            return self._responses.get(timeout=timeout_s)
        except queue.Empty:
            return {"Status": "FAILED", "Reason": f"The function sent no response within {timeout_s:g} s."}

    def _receive_request(self, environ: Mapping[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        status = HTTPStatus.OK if environ["PATH_INFO"] == self._path else HTTPStatus.NOT_FOUND
        if status is HTTPStatus.OK:
            self.receive(json.loads(environ["wsgi.input"].read()))
        start_response(f"{status.value} {status.phrase}", [("Content-Length", "0")])
        return []
