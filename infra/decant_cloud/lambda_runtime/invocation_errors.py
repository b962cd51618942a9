"""Error responses and log lines of failed invocations, in AWS's formats.

Source: https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-invocation.html
"""

import json
import signal
from dataclasses import dataclass

__all__ = [
    "IMPORT_ERROR",
    "RESPONSE_LIMIT_BYTES",
    "Fault",
    "exited",
    "out_of_memory",
    "response_too_large",
    "timed_out",
]

IMPORT_ERROR = "Runtime.ImportModuleError"

RESPONSE_LIMIT_BYTES = 6 * 1024 * 1024 + 100
"""Largest response of a function: 6 MB, and 100 bytes that AWS reserves."""


@dataclass(frozen=True)
class Fault:
    """A failed invocation.

    Attributes:
        kind: AWS's error type, such as `Runtime.ExitError`; empty for an exception of the handler.
        payload: Response for the caller.
        lines: Log lines.
        timeout: The report's status is `timeout` and not `error`.
    """

    kind: str
    payload: bytes
    lines: tuple[str, ...] = ()
    timeout: bool = False

    @property
    def status(self) -> str:
        """End of the REPORT line."""
        if self.timeout:
            return "\tStatus: timeout"
        return f"\tStatus: error\tError Type: {self.kind}" if self.kind else ""


def timed_out(request_id: str, timeout_s: float, at: str) -> Fault:
    """The invocation exceeded the function's timeout; `at` is the time in the log line."""
    message = f"Task timed out after {timeout_s:.2f} seconds"
    payload = _payload("Sandbox.Timedout", f"RequestId: {request_id} Error: {message}")
    return Fault("Sandbox.Timedout", payload, (f"{at} {request_id} {message}",), timeout=True)


def exited(request_id: str, status: int) -> Fault:
    """The process ended without a response; `status` as in `subprocess.Popen.returncode`."""
    return _exit("Runtime.ExitError", request_id, status)


def out_of_memory(request_id: str) -> Fault:
    """The process exceeded the function's memory and was killed."""
    return _exit("Runtime.OutOfMemory", request_id, -signal.SIGKILL)


def response_too_large(size_bytes: int) -> Fault:
    """The response exceeds the limit of a buffered response."""
    kind = "Function.ResponseSizeTooLarge"
    message = (
        f"Response payload size ({size_bytes} bytes) exceeded maximum allowed payload size "
        f"({RESPONSE_LIMIT_BYTES} bytes)."
    )
    return Fault(kind, _payload(kind, message))


def _exit(kind: str, request_id: str, status: int) -> Fault:
    if status < 0:
        cause = f"Runtime exited with error: signal: {(signal.strsignal(-status) or str(-status)).lower()}"
    elif status:
        cause = f"Runtime exited with error: exit status {status}"
    else:
        cause = "Runtime exited without providing a reason"
    message = f"RequestId: {request_id} Error: {cause}"
    return Fault(kind, _payload(kind, message), (message, kind))


def _payload(kind: str, message: str) -> bytes:
    return json.dumps({"errorType": kind, "errorMessage": message}, separators=(",", ":")).encode()
