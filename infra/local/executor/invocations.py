"""What LocalStack's Lambda API leaves out of an invocation: its client context, and the limit of its event.

Source: https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
"""

import base64
from collections.abc import Callable
from typing import Any

from localstack.aws.api.lambda_ import InvocationType, RequestTooLargeException
from localstack.services.lambda_.invocation.execution_environment import ExecutionEnvironment
from localstack.services.lambda_.invocation.lambda_models import Invocation
from localstack.services.lambda_.invocation.lambda_service import LambdaService
from localstack.utils.patch import patch

__all__ = ["complete_invocations"]

EVENT_LIMIT_BYTES = 6 * 1024 * 1024
ASYNC_EVENT_LIMIT_BYTES = 1024 * 1024


def complete_invocations() -> None:
    """Change LocalStack's Lambda API for every invocation from now on."""
    patch(ExecutionEnvironment.invoke)(_with_client_context)
    patch(LambdaService.invoke)(_within_limits)


def _with_client_context(invoke: Callable[..., Any], environment: ExecutionEnvironment, invocation: Invocation) -> Any:
    context = invocation.client_context
    environment.runtime_executor.client_context = base64.b64decode(context).decode() if context else None
    return invoke(environment, invocation)


def _within_limits(invoke: Callable[..., Any], service: LambdaService, **given: Any) -> Any:
    is_async = given.get("invocation_type") == InvocationType.Event
    limit_bytes = ASYNC_EVENT_LIMIT_BYTES if is_async else EVENT_LIMIT_BYTES
    if len(given.get("payload") or b"") > limit_bytes:
        raise RequestTooLargeException(
            f"Request must be smaller than {limit_bytes} bytes for the InvokeFunction operation", Type="User"
        )
    return invoke(service, **given)
