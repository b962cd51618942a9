"""Complete the engine's Invoke API: client context, size limits of events, and updates during an invocation.

Changes: `services/lambda_/invocation/execution_environment.py`, `version_manager.py`, `lambda_service.py`.
Gain: no invocation fails because its function is being updated.
Source: https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
"""

import base64
from collections.abc import Callable
from typing import Any

from decant_cloud.emulator_patches.engine import find, replaces
from decant_cloud.lambda_runtime.environment import EnvironmentStopped

EVENT_LIMIT_BYTES = 6 * 1024 * 1024
ASYNC_EVENT_LIMIT_BYTES = 1024 * 1024

VERSIONS_TO_TRY = 5
"""Number of versions of the function that an invocation tries while updates replace them."""

AssignmentException = find("services.lambda_.invocation.assignment", "AssignmentException")
RequestTooLargeException, ServiceException = find("aws.api.lambda_", "RequestTooLargeException", "ServiceException")


@replaces("services.lambda_.invocation.execution_environment", "ExecutionEnvironment.invoke")
def _with_client_context(invoke: Callable[[Any, Any], Any], environment: Any, invocation: Any) -> Any:
    context = invocation.client_context
    environment.runtime_executor.client_context = base64.b64decode(context).decode() if context else None
    return invoke(environment, invocation)


@replaces("services.lambda_.invocation.version_manager", "LambdaVersionManager.invoke")
def _on_running_version(invoke: Callable[..., Any], manager: Any, *, invocation: Any) -> Any:
    if manager.shutdown_event.is_set():
        raise EnvironmentStopped
    return invoke(manager, invocation=invocation)


@replaces("services.lambda_.invocation.lambda_service", "LambdaService.invoke")
def _invoke(invoke: Callable[..., Any], service: Any, **given: Any) -> Any:
    limit_bytes = ASYNC_EVENT_LIMIT_BYTES if given.get("invocation_type") == "Event" else EVENT_LIMIT_BYTES
    if len(given.get("payload") or b"") > limit_bytes:
        raise RequestTooLargeException(
            f"Request must be smaller than {limit_bytes} bytes for the InvokeFunction operation", Type="User"
        )
    for _ in range(VERSIONS_TO_TRY):
        try:
            return invoke(service, **given)
        except (EnvironmentStopped, AssignmentException) as error:
            # The function was updated after its version was chosen; no code has received the event.
            if not isinstance(error.__cause__ or error, EnvironmentStopped):
                raise
    raise ServiceException("The function's version is shutting down.")
