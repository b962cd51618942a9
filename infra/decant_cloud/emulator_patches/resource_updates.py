"""Update REST APIs, their stages, nested stacks and functions in place.

The engine cannot update the first three. An update of a function leaves settings that the new template omits, and
uploads unchanged code again, which takes a tenth of a second.

Changes: `legacy/provider.py`, `resource_providers/aws_apigateway_restapi.py`, `aws_apigateway_stage.py` in
`services/apigateway`; `services/lambda_/resource_providers/aws_lambda_function.py`;
`services/cloudformation/resource_providers/aws_cloudformation_stack.py`.
Gain: see `stack_updates`.
Source: AWS CloudFormation User Guide, AWS resource and property types reference.
"""

import json
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from decant_cloud.emulator_patches.engine import find, replaces

_FUNCTION_DEFAULTS = {"Description": "", "Environment": {}, "Layers": [], "MemorySize": 128, "Timeout": 3}
"""Settings of a function whose template omits them."""

OperationStatus, ProgressEvent = find("services.cloudformation.resource_provider", "OperationStatus", "ProgressEvent")


@replaces("services.apigateway.legacy.provider", "import_api_from_openapi_spec")
def _import_api(import_api: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Replace all routes. LocalEmu keeps the default root beside that of a route `/`, which then has no methods."""
    return import_api(*arguments, **{**options, "mode": "overwrite"})


@replaces("services.apigateway.resource_providers.aws_apigateway_restapi", "ApiGatewayRestApiProvider.update")
def _update_api(_engines: object, _provider: object, request: Any) -> Any:
    """Replace the routes; a stage serves them after its next deployment."""
    request.aws_client_factory.apigateway.put_rest_api(
        restApiId=request.previous_state["RestApiId"],
        body=json.dumps(request.desired_state["Body"]),
        parameters={"basepath": "ignore"},
    )
    return _updated({**request.previous_state, **request.desired_state})


@replaces("services.apigateway.resource_providers.aws_apigateway_stage", "ApiGatewayStageProvider.update")
def _update_stage(_engines: object, _provider: object, request: Any) -> Any:
    """Serve another deployment."""
    desired = request.desired_state
    request.aws_client_factory.apigateway.update_stage(
        restApiId=desired["RestApiId"],
        stageName=desired["StageName"],
        patchOperations=[{"op": "replace", "path": "/deploymentId", "value": desired["DeploymentId"]}],
    )
    return _updated({**request.previous_state, **desired})


@replaces("services.lambda_.resource_providers.aws_lambda_function", "LambdaFunctionProvider.update")
def _update_function(update: Callable[[Any, Any], Any], provider: Any, request: Any) -> Any:
    """Reset omitted settings, and skip unchanged code."""
    desired, previous = request.desired_state, request.previous_state
    if desired.get("Code") == previous.get("Code"):
        del desired["Code"]
    for name, default in _FUNCTION_DEFAULTS.items():
        if name in previous:
            desired.setdefault(name, default)
    return update(provider, request)


@replaces("services.cloudformation.resource_providers.aws_cloudformation_stack", "CloudFormationStackProvider.update")
def _update_nested_stack(_engines: object, _provider: object, request: Any) -> Any:
    """Update a nested stack; the engine would delete its resources and create them again."""
    stacks, model = request.aws_client_factory.cloudformation, {**request.previous_state, **request.desired_state}
    if not request.custom_context.get("started"):
        parameters = model.get("Parameters", {}).items()
        try:
            stacks.update_stack(
                StackName=model["Id"],
                TemplateURL=model["TemplateURL"],
                Parameters=[{"ParameterKey": name, "ParameterValue": str(value)} for name, value in parameters],
                Capabilities=["CAPABILITY_IAM"],
            )
        except ClientError as error:
            if "No updates are to be performed" not in str(error):
                return ProgressEvent(OperationStatus.FAILED, resource_model=model, message=str(error))
        return ProgressEvent(OperationStatus.IN_PROGRESS, resource_model=model, custom_context={"started": True})
    stack = stacks.describe_stacks(StackName=model["Id"])["Stacks"][0]
    if stack["StackStatus"].endswith("_IN_PROGRESS"):
        return ProgressEvent(OperationStatus.IN_PROGRESS, resource_model=model, custom_context=request.custom_context)
    if stack["StackStatus"].endswith("_FAILED"):
        message = stack.get("StackStatusReason", stack["StackStatus"])
        return ProgressEvent(OperationStatus.FAILED, resource_model=model, message=message)
    model["Outputs"] = {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}
    return _updated(model)


def _updated(model: dict[str, Any]) -> Any:
    return ProgressEvent(OperationStatus.SUCCESS, resource_model=model)
