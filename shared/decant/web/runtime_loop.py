"""Lambda's runtime loop for functions that stream responses: `python -m decant.web.runtime_loop`.

The layer's wrapper, `/opt/stream-responses`, starts it in place of AWS's runtime client, which cannot stream. Functions
select the wrapper by AWS_LAMBDA_EXEC_WRAPPER. The loop calls `LambdaAdapter.stream` for requests of a gateway that
streams, and the handler itself for all other events.

Source: AWS Lambda Developer Guide, "Using the Lambda runtime API for custom runtimes", "Modifying the runtime
environment" (wrapper scripts).
"""

import http.client
import importlib
import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

from decant.web.streaming import ResponseConnection

__all__ = ["main"]

log = logging.getLogger(__name__)

_VERSION = "/2018-06-01/runtime"
_ERROR_TYPE = "Lambda-Runtime-Function-Error-Type"


class RuntimeApi:
    """The calls of the Runtime API, except streamed responses.

    Args:
        address: `host:port`.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._connection = http.client.HTTPConnection(address)

    def next_event(self) -> tuple[bytes, http.client.HTTPMessage]:
        """Wait for the next event; returns it with its headers."""
        return self._call("GET", "/invocation/next")

    def restore(self) -> None:
        """Let Lambda take the snapshot; returns in each copy of it."""
        self._call("GET", "/restore/next")
        self._connection.close()  # of the process before the snapshot

    def respond(self, request_id: str, value: Any) -> None:
        """Send the whole response of an invocation."""
        self._call("POST", f"/invocation/{request_id}/response", json.dumps(value))

    def fail(self, path: str, error: BaseException, kind: str | None = None) -> None:
        """Report an error.

        Args:
            path: `/init/error` or that of an invocation.
            error: The error.
            kind: AWS's name of its type; the name of its class when not given.
        """
        name = kind or type(error).__name__
        stack = traceback.format_tb(error.__traceback__)
        body = json.dumps({"errorType": name, "errorMessage": str(error), "stackTrace": stack})
        self._call("POST", path, body, {_ERROR_TYPE: name})

    def _call(
        self, method: str, path: str, body: str | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[bytes, http.client.HTTPMessage]:
        self._connection.request(method, _VERSION + path, body and body.encode(), dict(headers or {}))
        response = self._connection.getresponse()
        content = response.read()
        if response.status not in {HTTPStatus.OK, HTTPStatus.ACCEPTED, HTTPStatus.REQUEST_ENTITY_TOO_LARGE}:
            raise RuntimeError(f"the Runtime API responded {response.status} to {path}: {content!r}")
        return content, response.headers


class Context:
    """Lambda's context object.

    Args:
        headers: Of the event.
    """

    def __init__(self, headers: http.client.HTTPMessage) -> None:
        self.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        self.invoked_function_arn = headers.get("Lambda-Runtime-Invoked-Function-Arn", "")
        self.client_context = _parse(headers.get("Lambda-Runtime-Client-Context"))
        self.identity = _parse(headers.get("Lambda-Runtime-Cognito-Identity"))
        self.function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "")
        self.function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", "")
        self.memory_limit_in_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
        self.log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME", "")
        self.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME", "")
        self._deadline_ms = int(headers.get("Lambda-Runtime-Deadline-Ms", 0))

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the invocation."""
        return max(0, self._deadline_ms - int(time.time() * 1000))


def _parse(text: str | None) -> Any:
    """A header's JSON object as an object with attributes."""
    return None if text is None else json.loads(text, object_hook=lambda members: SimpleNamespace(**members))


def main() -> None:
    """Import the handler of _HANDLER, and run it for one event after another."""
    api = RuntimeApi(os.environ["AWS_LAMBDA_RUNTIME_API"])
    try:
        handler = _load(os.environ["_HANDLER"])
        if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
            _wait_for_restore(api)
    except Exception as error:
        log.exception("The function could not be initialized")
        api.fail("/init/error", error, _init_error_type(error))
        sys.exit(1)
    while True:
        _handle(api, handler, *api.next_event())


def _handle(api: RuntimeApi, handler: Any, body: bytes, headers: http.client.HTTPMessage) -> None:
    os.environ["_X_AMZN_TRACE_ID"] = headers.get("Lambda-Runtime-Trace-Id", "")
    context = Context(headers)
    request_id = context.aws_request_id
    try:
        event = json.loads(body)
        if hasattr(handler, "streams") and handler.streams(event):
            handler.stream(event, context, partial(ResponseConnection.open, api.address, request_id))
            return
        value = handler(event, context)
    except Exception as error:
        log.exception("The invocation failed")
        api.fail(f"/invocation/{request_id}/error", error)
    else:
        api.respond(request_id, value)


def _load(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module.replace("/", ".")), attribute)


def _init_error_type(error: Exception) -> str:
    """AWS's name for an error at the import of the handler."""
    match error:
        case ImportError():
            return "Runtime.ImportModuleError"
        case SyntaxError():
            return "Runtime.UserCodeSyntaxError"
        case AttributeError() if error.name == os.environ["_HANDLER"].rpartition(".")[2]:
            return "Runtime.HandlerNotFound"
        case _:
            return type(error).__name__


def _wait_for_restore(api: RuntimeApi) -> None:
    from decant import runtime  # noqa: PLC0415  # with SnapStart alone

    runtime.current().before_snapshot()
    api.restore()
    runtime.current().after_restore()


if __name__ == "__main__":
    main()
