"""Updates of single resources that LocalStack has none for, or slow ones.

Source: AWS CloudFormation User Guide, AWS resource and property types reference.
"""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from localstack.services.apigateway.resource_providers.aws_apigateway_restapi import ApiGatewayRestApiProvider
from localstack.services.apigateway.resource_providers.aws_apigateway_stage import ApiGatewayStageProvider
from localstack.services.cloudformation.resource_provider import OperationStatus, ProgressEvent, ResourceRequest
from localstack.services.lambda_.invocation.lambda_service import LambdaService
from localstack.services.lambda_.resource_providers.aws_lambda_function import LambdaFunctionProvider
from localstack.utils.patch import patch

__all__ = ["complete_resource_updates"]

_FUNCTION_DEFAULTS = {"Description": "", "Environment": {}, "Layers": [], "MemorySize": 128, "Timeout": 3}
"""What a function is when its template does not say it any more."""

type Request = ResourceRequest[dict[str, Any]]
type Event = ProgressEvent[dict[str, Any]]


UPDATES_AT_A_TIME = 64


def complete_resource_updates() -> None:
    """Change LocalStack's providers for every update from now on."""
    patch(LambdaService.__init__)(_begin_with_room)
    patch(ApiGatewayRestApiProvider.update)(_update_api)
    patch(ApiGatewayStageProvider.update)(_update_stage)
    patch(LambdaFunctionProvider.update)(_update_function)


def _begin_with_room(init: Callable[[LambdaService], None], service: LambdaService) -> None:
    """Let a function's new version start while the old ones of others still end, which takes seconds.

    LocalStack has few threads for both, and a setting that all functions share waited for ten seconds.
    """
    init(service)
    service.task_executor = ThreadPoolExecutor(UPDATES_AT_A_TIME, thread_name_prefix="lambda-service-task")


def _update_api(_missing: object, _provider: object, request: Request) -> Event:
    """Take in other routes; a stage shows them once it has a deployment of them."""
    api_id = request.previous_state["RestApiId"]
    request.aws_client_factory.apigateway.put_rest_api(
        restApiId=api_id,
        body=json.dumps(request.desired_state["Body"]),
        mode="overwrite",
        parameters={"basepath": "ignore"},
    )
    return _updated({**request.previous_state, **request.desired_state})


def _update_stage(_missing: object, _provider: object, request: Request) -> Event:
    """Show another deployment."""
    has = request.desired_state
    request.aws_client_factory.apigateway.update_stage(
        restApiId=has["RestApiId"],
        stageName=has["StageName"],
        patchOperations=[{"op": "replace", "path": "/deploymentId", "value": has["DeploymentId"]}],
    )
    return _updated({**request.previous_state, **has})


def _update_function(update: Callable[..., Event], provider: LambdaFunctionProvider, request: Request) -> Event:
    """Update what is not said any more too, and leave code alone that is the same: each takes a tenth of a second."""
    has, had = request.desired_state, request.previous_state
    if has.get("Code") == had.get("Code"):
        del has["Code"]
    for name, default in _FUNCTION_DEFAULTS.items():
        if name in had:
            has.setdefault(name, default)
    return update(provider, request)


def _updated(model: dict[str, Any]) -> Event:
    return ProgressEvent(OperationStatus.SUCCESS, resource_model=model)
