"""What LocalStack spends time on and nobody here needs, left out."""

import functools
import uuid
from collections.abc import Callable
from typing import Any

from localstack import config
from localstack.aws.api.lambda_ import RequestTooLargeException
from localstack.services.apigateway.next_gen.execute_api.gateway_response import (
    IntegrationFailureError,
    RequestTooLargeError,
)
from localstack.services.apigateway.next_gen.execute_api.integrations.aws import RestApiAwsProxyIntegration
from localstack.services.cloudformation.resource_provider import ResourceProviderExecutor
from localstack.services.lambda_.api_utils import function_locators_from_arn
from localstack.services.lambda_.invocation import version_manager
from localstack.services.plugins import SERVICE_PLUGINS
from localstack.utils.patch import patch
from localstack.utils.threads import start_thread

__all__ = ["call_functions_directly", "leave_out_metrics", "wait_for_resources_briefly"]

RESOURCE_LOOK_EVERY_S = 0.02


def call_functions_directly() -> None:
    """Let API Gateway call a function in Python, and not sign, write and parse a request to Lambda's API for it."""
    RestApiAwsProxyIntegration.call_lambda = staticmethod(_call_function)
    patch(RestApiAwsProxyIntegration.invoke)(_respond_to_large_events)


def _respond_to_large_events(invoke: Callable[..., Any], integration: RestApiAwsProxyIntegration, context: Any) -> Any:
    """Respond with 413 to a request whose event is over Lambda's limit; LocalStack responds with 502."""
    try:
        return invoke(integration, context)
    except IntegrationFailureError as error:
        if isinstance(error.__cause__, RequestTooLargeException):
            raise RequestTooLargeError("Request Too Long") from error
        raise


def _call_function(function_arn: str, event: bytes, **_allowed: Any) -> bytes:
    name, qualifier, account, region = function_locators_from_arn(function_arn)
    result = SERVICE_PLUGINS.require("lambda")._provider.lambda_service.invoke(  # noqa: SLF001  # it has no other way
        function_name=name,
        qualifier=qualifier,
        region=region,
        account_id=account,
        invocation_type="RequestResponse",
        client_context=None,
        request_id=str(uuid.uuid4()),
        payload=event,
    )
    payload: bytes = result.payload
    return payload


def leave_out_metrics() -> None:
    """Count no invocations and errors in CloudWatch: each count is a thread, and a commit to a database on disk.

    It was half of a warm request's time, and what 16 clients waited for most; and the threads were never forgotten.
    """
    version_manager.start_thread = _start_other_thread


def _start_other_thread(method: Any, *arguments: Any, name: str = "", **more: Any) -> Any:
    return None if name.startswith("record-cloudwatch-metric") else start_thread(method, *arguments, name=name, **more)


def wait_for_resources_briefly() -> None:
    """Look whether a resource stands fifty times a second, in place of once.

    A function takes a tenth of a second, and each of them was waited for a whole one. Looking without any pause, as
    CFN_NO_WAIT_ITERATIONS has it, is over before the function stands where the machine is idle.
    """
    deploy_loop = ResourceProviderExecutor.deploy_loop
    ResourceProviderExecutor.deploy_loop = functools.partialmethod(deploy_loop, sleep_time=RESOURCE_LOOK_EVERY_S)
    # For boto's waiters, by which updates of functions wait, LocalStack reads whole seconds from the environment.
    config.BOTO_WAITER_MAX_ATTEMPTS *= round(config.BOTO_WAITER_DELAY / RESOURCE_LOOK_EVERY_S)
    config.BOTO_WAITER_DELAY = RESOURCE_LOOK_EVERY_S
