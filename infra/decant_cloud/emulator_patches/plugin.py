"""The Lambda executor `process`: the engine's executor interface on the environments of `lambda_runtime`.

Uses: `services/lambda_/invocation/runtime_executor.py`, an extension point.
Gain: functions run as processes, without Docker.
"""

import functools
import os
from pathlib import Path
from typing import Any
from uuid import uuid4

from decant_cloud.emulator_patches.engine import engine, find
from decant_cloud.emulator_patches.log_streams import LogStream
from decant_cloud.emulator_patches.response_streams import streams
from decant_cloud.lambda_runtime.debugging import PATIENCE_S, Debugger
from decant_cloud.lambda_runtime.environment import Environment, EnvironmentStopped, Host, Invocation
from decant_cloud.lambda_runtime.function import Function
from decant_cloud.lambda_runtime.log_file import Journal
from decant_cloud.lambda_runtime.versions import Version
from decant_cloud.local.warden import Warden

__all__ = ["ProcessExecutor", "ProcessExecutorPlugin"]

_NOT_AT_AWS = frozenset(
    {
        "AWS_LAMBDA_FUNCTION_TIMEOUT",
        "EDGE_PORT",
        f"{engine.variables}FUNCTION_ACCOUNT_ID",
        f"{engine.variables}HOSTNAME",
        f"{engine.variables}RUNTIME_ENDPOINT",
        f"{engine.variables}RUNTIME_ID",
    }
)
"""Variables that the engine adds for its own containers."""

InvocationResult = find("services.lambda_.invocation.lambda_models", "InvocationResult")
RuntimeExecutor: Any = find("services.lambda_.invocation.runtime_executor", "RuntimeExecutor")
RuntimeExecutorPlugin: Any = find("services.lambda_.invocation.plugins", "RuntimeExecutorPlugin")
infra_stopping = find("runtime.events", "infra_stopping")


class ProcessExecutorPlugin(RuntimeExecutorPlugin):
    """Names the executor `process`, for LAMBDA_RUNTIME_EXECUTOR."""

    name = "process"

    def load(self, *_args: Any, **_kwargs: Any) -> type["ProcessExecutor"]:
        """Class of the executor; the engine makes one instance for each environment."""
        return ProcessExecutor


class ProcessExecutor(RuntimeExecutor):
    """One execution environment, as the engine's Lambda provider uses it.

    Attributes:
        client_context: Of the next invocation, as JSON; the engine does not pass it.
    """

    client_context: str | None = None

    def __init__(self, id: str, function_version: Any) -> None:  # noqa: A002  # the engine names it
        super().__init__(id=id, function_version=function_version)
        self._version: Version | None = None
        self._environment: Environment | None = None
        self._log_stream: LogStream | None = None
        self._is_debugged = False

    def start(self, env_vars: dict[str, Any]) -> None:
        """Run the init phase."""
        _same, self._version = _versions.get(id(self.function_version), (None, None))
        if self._version is None:
            raise EnvironmentStopped
        group, stream = _log_destination(self.function_version, env_vars)
        env_vars = {**env_vars, "AWS_LAMBDA_LOG_GROUP_NAME": group, "AWS_LAMBDA_LOG_STREAM_NAME": stream}
        self._log_stream = LogStream(self.function_version.id.account, self.function_version.id.region, group, stream)
        function = _function(self.function_version, self._version.task, env_vars)
        self._is_debugged = function.debugger is not None
        environment = Environment(self.id, function, _host())
        self._environment = self._version.start(environment, alone=self._is_debugged)

    def stop(self) -> None:
        """Shut down after the running invocation; a debugger keeps the environment."""
        if self._version is not None and self._environment is not None and not self._is_debugged:
            self._version.stop(self._environment, _drain_s(self.function_version))

    def invoke(self, payload: dict[str, str], function_timeout: float | None = None) -> Any:  # noqa: ARG002
        """Invoke the function and wait for the result; the environment enforces the timeout itself."""
        assert self._environment is not None  # noqa: S101  # the engine has started it
        assert self._log_stream is not None  # noqa: S101
        invocation = Invocation(
            request_id=payload["invoke-id"],
            event=payload["payload"].encode(),
            function_arn=payload["invoked-function-arn"],
            trace_id=payload["trace-id"],
            client_context=self.client_context,
            stream=streams.get(payload["invoke-id"]),
        )
        outcome = self._environment.invoke(invocation)
        self._log_stream.put(outcome.lines)
        return InvocationResult(invocation.request_id, outcome.payload, is_error=outcome.is_error, logs=outcome.logs)

    def get_logs(self) -> str:
        """Empty: `invoke` writes the lines."""
        return ""

    def get_address(self) -> str:
        """Host of the environment."""
        return "127.0.0.1"

    def get_endpoint_from_executor(self) -> str:
        """Host of the engine, for the environment."""
        return "127.0.0.1"

    def get_runtime_endpoint(self) -> str:
        """Empty: it is for the engine's own init program, which does not run here."""
        return ""

    @classmethod
    def prepare_version(cls, function_version: Any) -> None:
        """Unpack code and layers; keep a copy of code that is not mounted until its last invocation has ended."""
        for each in _codes(function_version):
            each.prepare_for_execution()
        code = function_version.config.code
        task = code.get_unzipped_code_location()
        copy = _host().scratch / "code" / uuid4().hex
        version = Version(task) if code.is_hot_reloading() else Version.of_copy(task, copy)
        _versions[id(function_version)] = (function_version, version)

    @classmethod
    def cleanup_version(cls, function_version: Any) -> None:
        """Stop environments that the engine has forgotten, and release the code."""
        _same, version = _versions.pop(id(function_version))
        version.close(_drain_s(function_version))


_versions: dict[int, tuple[Any, Version]] = {}
"""Versions by the identity of the engine's object, which is the same in each call."""


def _drain_s(version: Any) -> float:
    """How long a running invocation may go on: its timeout, or not at all when the engine stops."""
    return 0 if infra_stopping.is_set() else version.config.timeout


@functools.cache
def _host() -> Host:
    return Host(
        image=Path(os.environ["DECANT_LAMBDA_IMAGE"]),
        scratch=Path(os.environ["DECANT_SCRATCH"]),
        journal=Journal(Path(os.environ["DECANT_JOURNAL"])),
        warden=Warden(),
    )


def _log_destination(version: Any, env_vars: dict[str, Any]) -> tuple[str, str]:
    """Log group and stream, which the engine does not take from LoggingConfig.

    In a group that is not the function's own, AWS puts the function's name into the names of streams.
    """
    own, stream = env_vars["AWS_LAMBDA_LOG_GROUP_NAME"], env_vars["AWS_LAMBDA_LOG_STREAM_NAME"]
    group = version.config.logging_config.get("LogGroup") or own
    return group, stream if group == own else stream.replace("/[", f"/{version.id.function_name}[")


def _function(version: Any, task: Path, variables: dict[str, Any]) -> Function:
    own = version.config.environment or {}
    debugger = Debugger.of(version.id.function_name)
    codes = _codes(version)
    return Function(
        name=version.id.function_name,
        version=version.id.qualifier,
        handler=version.config.handler or "",
        timeout_s=PATIENCE_S if debugger else version.config.timeout,
        memory_mb=version.config.memory_size,
        task=task,
        layers=[code.get_unzipped_code_location() for code in codes[1:]],
        watched=[code.get_unzipped_code_location() for code in codes if code.is_hot_reloading()],
        variables={name: str(value) for name, value in variables.items() if name in own or name not in _NOT_AT_AWS},
        debugger=debugger,
    )


def _codes(version: Any) -> list[Any]:
    """Code of the function, then of its layers, in the order of the template."""
    return [version.config.code, *(layer.code for layer in version.config.layers)]
