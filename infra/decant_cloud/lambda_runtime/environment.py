"""One execution environment of a function, and its phases.

    init       the process starts and imports the function, within 10 s; when it fails, the next invocation repeats it
    invoke     the process handles one event within the function's timeout, and is frozen until the next event
    reset      after a timeout, a crash or too much memory the process is killed; the next invocation starts another
               process with the same temporary files
    shutdown   SIGTERM, then SIGKILL; the temporary files are deleted

Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
"""

import base64
import shutil
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

from decant_cloud.lambda_runtime import invocation_errors as faults
from decant_cloud.lambda_runtime import reports
from decant_cloud.lambda_runtime.function import Function
from decant_cloud.lambda_runtime.import_errors import import_trace
from decant_cloud.lambda_runtime.invocation_errors import Fault
from decant_cloud.lambda_runtime.log_file import Journal, Line
from decant_cloud.lambda_runtime.response_stream import ClientDisconnected, ResponseBuffer, ResponseStream
from decant_cloud.lambda_runtime.runtime import DeadlinePassed, OutOfMemory, Runtime, RuntimeExited
from decant_cloud.lambda_runtime.runtime_api import Call, ConnectionClosed
from decant_cloud.lambda_runtime.sources import Sources
from decant_cloud.local.warden import Warden

__all__ = ["Environment", "EnvironmentStopped", "Host", "Invocation", "Outcome"]

INIT_LIMIT_S = 10.0
SHUTDOWN_GRACE_S = 0.5

_Failure = (DeadlinePassed, OutOfMemory, RuntimeExited)


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """One event for the function, with its metadata of the Runtime API.

    Attributes:
        stream: Takes a streamed response while it is made; without it, the outcome contains the whole response.
    """

    request_id: str
    event: bytes
    function_arn: str
    trace_id: str
    client_context: str | None = None
    cognito_identity: str | None = None
    stream: ResponseStream | None = None

    def headers(self, deadline_ms: int) -> dict[str, str]:
        """Headers of the response to `next`; the deadline is in epoch milliseconds."""
        headers = {
            "Lambda-Runtime-Aws-Request-Id": self.request_id,
            "Lambda-Runtime-Deadline-Ms": str(deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": self.function_arn,
            "Lambda-Runtime-Trace-Id": self.trace_id,
        }
        if self.client_context:
            headers["Lambda-Runtime-Client-Context"] = self.client_context
        if self.cognito_identity:
            headers["Lambda-Runtime-Cognito-Identity"] = self.cognito_identity
        return headers


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Result of one invocation: the response or the error, and all log lines since the invocation before."""

    payload: bytes
    is_error: bool
    lines: Sequence[Line]

    @property
    def logs(self) -> str:
        """The log lines as one text."""
        return "".join(f"{line.text}\n" for line in self.lines)


@dataclass(frozen=True, kw_only=True)
class Host:
    """Resources that all environments on this machine share.

    Attributes:
        image: Virtual environment with the packages of AWS's image.
        scratch: Folder for the environments' temporary files.
    """

    image: Path
    scratch: Path
    journal: Journal
    warden: Warden


class EnvironmentStopped(Exception):
    """The environment, or its whole version, was stopped; another one can take the invocation."""


class Environment:
    """An execution environment; `invoke` handles one invocation at a time, `stop` can be called at any time.

    Args:
        identity: Id, and name of the log stream.
        function: Function that it runs.
        host: Shared resources.
    """

    def __init__(self, identity: str, function: Function, host: Host) -> None:
        self._identity = identity
        self._function = function
        self._host = host
        self._folder = host.scratch / identity
        self._sources = Sources(function.watched)
        self._busy = threading.Lock()
        self._stopped = False
        self._runtime: Runtime | None = None
        self._next: Call | None = None
        self._init_s: float | None = None
        self._peak_memory_bytes = 0
        self._request_id = ""
        self._lines: list[Line] = []

    def start(self) -> None:
        """Run the init phase; after a failure, the next invocation repeats it and returns its error.

        With a debugger, the next invocation does it: the init phase is too short to wait for a debugger.
        """
        with self._busy:
            if not self._stopped and self._function.debugger is None:
                self._init()

    def invoke(self, invocation: Invocation) -> Outcome:
        """Pass one event to the function and wait for the result.

        Raises:
            EnvironmentStopped: the environment was stopped before; no code has received the event.
        """
        with self._busy:
            if self._stopped:  # after the invocation was assigned to this environment
                raise EnvironmentStopped
            return self._invoke(invocation)

    def stop(self, drain_s: float) -> None:
        """Shut down; a running invocation is killed after `drain_s`."""
        if not self._busy.acquire(timeout=drain_s):
            if (runtime := self._runtime) is not None:
                runtime.abort()
            self._busy.acquire()
        try:
            self._stopped = True
            self._reset(SHUTDOWN_GRACE_S)
            shutil.rmtree(self._folder, ignore_errors=True)
        finally:
            self._busy.release()

    def _invoke(self, invocation: Invocation) -> Outcome:
        if self._runtime is not None and self._sources.changed():
            self._reset(SHUTDOWN_GRACE_S)
            if self._function.debugger is None:
                self._init()
        self._request_id = invocation.request_id
        started = time.monotonic()
        deadline = started + self._function.timeout_s
        # Without a process, a new one starts within the time of this invocation, as at AWS.
        fault = self._start("invoke", deadline) if self._runtime is None else None
        self._log(reports.start(invocation.request_id, self._function.version))
        response = fault or self._exchange(invocation, deadline)
        return self._report(response, time.monotonic() - started)

    def _init(self) -> None:
        self._request_id = ""
        self._log(reports.init_start())
        started = time.monotonic()
        if self._start("init", started + INIT_LIMIT_S) is None:
            self._init_s = time.monotonic() - started

    def _start(self, phase: str, deadline: float) -> Fault | None:
        """Start a process and wait until it requests its first event; returns the fault when it fails."""
        started = time.monotonic()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._sources.look()
        if debugger := self._function.debugger:
            debugger.wait_for_port(deadline)
        launch = self._function.launch(self._host.image, self._folder, self._log)
        self._runtime = runtime = Runtime(launch, self._host.warden)
        try:
            if debugger and launch.waiting:
                runtime.wait_for(launch.waiting, deadline)
                self._log(f"{debugger.function} waits for a debugger on 127.0.0.1:{debugger.port}")
            call = runtime.next_call(deadline)
        except _Failure as failure:
            fault = self._fault(failure)
        else:
            if call.action == "next":
                self._next = call
                runtime.freeze()
                return None
            fault = Fault(call.headers.get("lambda-runtime-function-error-type", "Runtime.Unknown"), call.body)
            call.reply(HTTPStatus.ACCEPTED)
        self._reset()
        if phase == "invoke" and fault.kind == faults.IMPORT_ERROR:
            self._log(import_trace(self._function, self._host.image, self._folder))
        self._log(reports.init_failed(phase, time.monotonic() - started, fault))
        return fault

    def _exchange(self, invocation: Invocation, deadline: float) -> bytes | Fault:
        runtime, pending = self._runtime, self._next
        assert runtime is not None  # noqa: S101  # `_invoke` has started it
        assert pending is not None  # noqa: S101
        deadline_ms = int((time.time() + deadline - time.monotonic()) * 1000)
        try:
            runtime.thaw()
            pending.reply(HTTPStatus.OK, invocation.event, invocation.headers(deadline_ms))
            call = runtime.next_call(deadline)
            response = _response_of(call) if call.chunks is None else _streamed(runtime, call, invocation, deadline)
        except _Failure as failure:
            self._reset()
            return self._fault(failure)
        try:
            self._next = runtime.next_call(deadline)
            runtime.freeze()
        except _Failure:  # the response is complete; the next invocation starts another process
            self._reset()
        return response

    def _fault(self, failure: Exception) -> Fault:
        match failure:
            case DeadlinePassed():
                at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
                return faults.timed_out(self._request_id, self._function.timeout_s, at)
            case RuntimeExited():
                return faults.exited(self._request_id, failure.status)
            case _:
                return faults.out_of_memory(self._request_id)

    def _report(self, response: bytes | Fault, duration_s: float) -> Outcome:
        payload, fault = (response.payload, response) if isinstance(response, Fault) else (response, None)
        usage = reports.Usage(
            duration_s=min(duration_s, self._function.timeout_s),
            init_s=self._init_s,
            memory_mb=self._function.memory_mb,
            peak_memory_bytes=self._runtime.peak_memory_bytes if self._runtime else self._peak_memory_bytes,
        )
        for line in fault.lines if fault else ():
            self._log(line)
        self._log(reports.end(self._request_id))
        self._log(reports.report(self._request_id, usage, fault))
        self._init_s = None
        lines, self._lines = self._lines, []
        return Outcome(payload=payload, is_error=fault is not None, lines=lines)

    def _reset(self, grace_s: float = 0) -> None:
        """End the process, if it runs; the temporary files stay."""
        runtime, self._runtime, self._next = self._runtime, None, None
        if runtime is not None:
            runtime.close(grace_s)
            self._peak_memory_bytes = runtime.peak_memory_bytes

    def _log(self, text: str) -> None:
        line = self._host.journal.write(self._function.name, self._identity, self._request_id, text)
        self._lines.append(line)


def _response_of(call: Call) -> bytes | Fault:
    if call.action == "error":
        call.reply(HTTPStatus.ACCEPTED)
        return Fault("", call.body)
    if len(call.body) > faults.RESPONSE_LIMIT_BYTES:
        call.reply(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return faults.response_too_large(len(call.body))
    call.reply(HTTPStatus.ACCEPTED)
    return call.body


def _streamed(runtime: Runtime, call: Call, invocation: Invocation, deadline: float) -> bytes | Fault:
    """Pass a streamed response on; returns what is left for the outcome."""
    to = invocation.stream or ResponseBuffer()
    try:
        trailers = runtime.copy_body(call, deadline, to)
    except ClientDisconnected:
        return b""
    except ConnectionClosed:
        runtime.next_call(deadline)  # raises when the process has ended, the usual reason
        raise RuntimeExited(0) from None
    kind = trailers.get("lambda-runtime-function-error-type", "")
    to.end(is_complete=not kind)
    call.reply(HTTPStatus.ACCEPTED)
    if kind:
        return Fault("", base64.b64decode(trailers.get("lambda-runtime-function-error-body", "")))
    payload = bytes(to.payload) if isinstance(to, ResponseBuffer) else b""
    return payload if len(payload) <= faults.RESPONSE_LIMIT_BYTES else faults.response_too_large(len(payload))
