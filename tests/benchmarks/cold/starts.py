"""One cold start under Lambda's own runtime client, taken apart into its two phases."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path

from decant_cloud.lambda_runtime.function import Function
from decant_cloud.lambda_runtime.runtime import Launch, Runtime
from decant_cloud.local.warden import Warden
from decant_cloud.template import model
from tests.benchmarks.cold.quota import CpuQuota
from tests.loading import ROOT

__all__ = ["Built", "ColdStart", "cold_start"]

IMAGE = ROOT / ".decant/lambda-image"
LIMIT_S = 300
IDENTITY = {
    "Lambda-Runtime-Aws-Request-Id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
    "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:123456789012:function:cold",
    "Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700",
}


@dataclass(frozen=True, kw_only=True)
class Built:
    """A function as it was built.

    Attributes:
        folder: Its own code.
        event: What it is invoked with, as JSON.
    """

    described: model.Function
    folder: Path
    event: bytes


@dataclass(frozen=True, kw_only=True)
class ColdStart:
    """How long one took, seconds.

    Attributes:
        init_s: From the start of the process until it asks for its first event.
        first_s: From its first event until its answer, or until a streamed answer begins.
    """

    init_s: float
    first_s: float


def cold_start(function: Built, layer: Path, share: float, scratch: Path, warden: Warden) -> ColdStart:
    """Start a function in a new process, and give it its event.

    Args:
        function: What to start.
        layer: Folder of the unpacked layer.
        share: Processors it gets, 1.0 being a whole one.
        scratch: Folder for its temporary files.
        warden: Ends it when this process dies.
    Raises:
        RuntimeError: it did not start, or failed.
    """
    started = time.perf_counter()
    runtime = Runtime(_launch(function, layer, scratch), warden)
    try:
        with CpuQuota(runtime.pid, share):
            call = runtime.next_call(time.monotonic() + LIMIT_S)
            asked = time.perf_counter()
            if call.action != "next":
                raise RuntimeError(f"{function.described.name} did not start: {call.body.decode()}")
            call.reply(HTTPStatus.OK, function.event, {**IDENTITY, **_deadline()})
            call = runtime.next_call(time.monotonic() + LIMIT_S)
            answered = time.perf_counter()
            is_streamed = call.chunks is not None
            if call.action != "response" or not (is_streamed or json.loads(call.body or b"null") is not None):
                raise RuntimeError(f"{function.described.name} failed: {call.body.decode()}")
    finally:
        runtime.close()
    return ColdStart(init_s=asked - started, first_s=answered - asked)


def _deadline() -> Mapping[str, str]:
    return {"Lambda-Runtime-Deadline-Ms": str(int((time.time() + LIMIT_S) * 1000))}


def _launch(function: Built, layer: Path, scratch: Path) -> Launch:
    described = function.described
    launch = Function(
        name=described.name,
        version="$LATEST",
        handler=described.handler,
        timeout_s=described.timeout_s,
        memory_mb=described.memory_mb,
        task=function.folder,
        layers=[layer],
        watched=[],
        variables={**described.known_variables, "AWS_LAMBDA_FUNCTION_NAME": described.name},
    ).launch(IMAGE, scratch, on_line=lambda _line: None)
    # Neither the code nor the layer can be written at AWS.
    return replace(launch, variables={**launch.variables, "PYTHONDONTWRITEBYTECODE": "1"})
