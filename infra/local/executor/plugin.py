"""What LocalStack loads: its Lambda provider's executor interface on our execution environments."""

import functools
import os
import tempfile
from pathlib import Path
from typing import Any

from localstack.runtime import events
from localstack.services.lambda_.invocation.lambda_models import FunctionVersion, InvocationResult
from localstack.services.lambda_.invocation.plugins import RuntimeExecutorPlugin
from localstack.services.lambda_.invocation.runtime_executor import RuntimeExecutor

from infra.local.executor.environment import Environment, Host, Invocation
from infra.local.executor.function import Function
from infra.local.executor.journal import Journal
from infra.local.warden import Warden

__all__ = ["ProcessExecutor", "ProcessExecutorPlugin"]

_NOT_AT_AWS = frozenset(
    {
        "AWS_LAMBDA_FUNCTION_TIMEOUT",
        "EDGE_PORT",
        "LOCALSTACK_FUNCTION_ACCOUNT_ID",
        "LOCALSTACK_HOSTNAME",
        "LOCALSTACK_RUNTIME_ENDPOINT",
        "LOCALSTACK_RUNTIME_ID",
    }
)
"""Variables that LocalStack adds for its own containers."""


class ProcessExecutorPlugin(RuntimeExecutorPlugin):
    """Names the executor `process`, for LAMBDA_RUNTIME_EXECUTOR."""

    name = "process"

    def load(self, *_args: Any, **_kwargs: Any) -> type["ProcessExecutor"]:
        """The executor's class, of which LocalStack makes one instance an environment."""
        return ProcessExecutor


class ProcessExecutor(RuntimeExecutor):
    """One execution environment, as LocalStack's Lambda provider drives it.

    Attributes:
        client_context: Of the invocation that comes next, as JSON; LocalStack has no place for it.
    """

    client_context: str | None = None

    def __init__(self, id: str, function_version: FunctionVersion) -> None:  # noqa: A002  # LocalStack names it
        super().__init__(id=id, function_version=function_version)
        self._environment: Environment | None = None

    def start(self, env_vars: dict[str, Any]) -> None:
        """Run the init phase."""
        self._environment = Environment(self.id, _function(self.function_version, env_vars), _host())
        self._environment.start()

    def stop(self) -> None:
        """Shut down. A redeployment lets the invocation that is running end; LocalStack's own end does not."""
        if self._environment is not None:
            stopping = events.infra_stopping.is_set()
            self._environment.stop(drain_s=0 if stopping else self.function_version.config.timeout)

    def invoke(self, payload: dict[str, str]) -> InvocationResult:
        """Give the function one event and wait for what comes of it."""
        assert self._environment is not None  # noqa: S101  # LocalStack has started it
        invocation = Invocation(
            request_id=payload["invoke-id"],
            event=payload["payload"].encode(),
            function_arn=payload["invoked-function-arn"],
            trace_id=payload["trace-id"],
            client_context=self.client_context,
        )
        outcome = self._environment.invoke(invocation)
        return InvocationResult(invocation.request_id, outcome.payload, is_error=outcome.is_error, logs=outcome.logs)

    def get_logs(self) -> str:
        """Nothing: every line went out with its invocation."""
        return ""

    def get_address(self) -> str:
        """Where the environment is."""
        return "127.0.0.1"

    def get_endpoint_from_executor(self) -> str:
        """Where LocalStack is, as the environment sees it."""
        return "127.0.0.1"

    def get_runtime_endpoint(self) -> str:
        """Nothing: it is for LocalStack's own init program, which does not run here."""
        return ""

    @classmethod
    def prepare_version(cls, function_version: FunctionVersion) -> None:
        """Unpack the code and the layers."""
        for code in _codes(function_version):
            code.prepare_for_execution()

    @classmethod
    def cleanup_version(cls, function_version: FunctionVersion) -> None:
        """Nothing: LocalStack removes the code itself."""


@functools.cache
def _host() -> Host:
    warden = Warden()
    scratch = Path(tempfile.mkdtemp(prefix="decant-"))
    warden.hold_folder(scratch)
    return Host(
        image=Path(os.environ["DECANT_LAMBDA_IMAGE"]),
        scratch=scratch,
        journal=Journal(Path(os.environ["DECANT_JOURNAL"])),
        warden=warden,
    )


def _function(version: FunctionVersion, variables: dict[str, Any]) -> Function:
    own = version.config.environment or {}
    codes = _codes(version)
    task, *layers = (code.get_unzipped_code_location() for code in codes)
    return Function(
        name=version.id.function_name,
        version=version.id.qualifier,
        handler=version.config.handler or "",
        timeout_s=version.config.timeout,
        memory_mb=version.config.memory_size,
        task=task,
        layers=layers,
        watched=[code.get_unzipped_code_location() for code in codes if code.is_hot_reloading()],
        variables={name: str(value) for name, value in variables.items() if name in own or name not in _NOT_AT_AWS},
    )


def _codes(version: FunctionVersion) -> list[Any]:
    """The function's code, then its layers', in the template's order."""
    return [version.config.code, *(layer.code for layer in version.config.layers)]
