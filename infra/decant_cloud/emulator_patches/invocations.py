"""What LocalStack's Lambda API leaves out of an invocation: client context, limits of events, updates meanwhile.

Source: https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
"""

import base64
from collections.abc import Callable
from typing import Any

from localstack.aws.api.lambda_ import InvocationType, RequestTooLargeException, ServiceException
from localstack.services.lambda_.invocation.assignment import AssignmentException
from localstack.services.lambda_.invocation.execution_environment import ExecutionEnvironment
from localstack.services.lambda_.invocation.lambda_models import Invocation
from localstack.services.lambda_.invocation.lambda_service import LambdaService
from localstack.services.lambda_.invocation.version_manager import LambdaVersionManager
from localstack.utils.patch import patch

from decant_cloud.lambda_runtime.environment import EnvironmentStopped

__all__ = ["complete_invocations"]

EVENT_LIMIT_BYTES = 6 * 1024 * 1024
ASYNC_EVENT_LIMIT_BYTES = 1024 * 1024

UPDATES_MEANWHILE = 5
"""How often an invocation looks for the version that has taken the place of the one it was to run on."""


def complete_invocations() -> None:
    """Change LocalStack's Lambda API for every invocation from now on."""
    patch(ExecutionEnvironment.invoke)(_with_client_context)
    patch(LambdaVersionManager.invoke)(_on_running_version)
    patch(LambdaService.invoke)(_invoke)


def _with_client_context(invoke: Callable[..., Any], environment: ExecutionEnvironment, invocation: Invocation) -> Any:
    context = invocation.client_context
    environment.runtime_executor.client_context = base64.b64decode(context).decode() if context else None
    return invoke(environment, invocation)


def _on_running_version(invoke: Callable[..., Any], manager: LambdaVersionManager, *, invocation: Invocation) -> Any:
    if manager.shutdown_event.is_set():
        raise EnvironmentStopped
    return invoke(manager, invocation=invocation)


def _invoke(invoke: Callable[..., Any], service: LambdaService, **given: Any) -> Any:
    is_async = given.get("invocation_type") == InvocationType.Event
    limit_bytes = ASYNC_EVENT_LIMIT_BYTES if is_async else EVENT_LIMIT_BYTES
    if len(given.get("payload") or b"") > limit_bytes:
        raise RequestTooLargeException(
            f"Request must be smaller than {limit_bytes} bytes for the InvokeFunction operation", Type="User"
        )
    for _ in range(UPDATES_MEANWHILE):
        try:
            return invoke(service, **given)
        except (EnvironmentStopped, AssignmentException) as error:
            # The function was updated between the choice of a version and its start; the event has reached no code.
            if not isinstance(error.__cause__ or error, EnvironmentStopped):
                raise
    raise ServiceException("The function's version is shutting down.")
