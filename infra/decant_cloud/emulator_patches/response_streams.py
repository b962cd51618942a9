"""Stream responses of functions through API Gateway, which the engine buffers.

The integration of a route with `ResponseTransferMode: RESPONSE_STREAM` has a URI that ends with
`response-streaming-invocations`. The engine does not recognize it. Here the function runs in a thread of its own, and
the thread of the request sends the parts of the response while they arrive.

Changes: `services/apigateway/next_gen/execute_api/handlers/integration.py`.
Gain: routes that stream do so in the local cloud; without this patch, the engine finds no such function.
Source: API Gateway Developer Guide, "Lambda proxy integration format for response streaming".
"""

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from werkzeug.datastructures import Headers

from decant_cloud.emulator_patches.direct_invocations import invoke_function
from decant_cloud.emulator_patches.engine import find, replaces
from decant_cloud.emulator_patches.http_server import IS_CONNECTED
from decant_cloud.lambda_runtime.response_stream import ResponseStream, StreamAborted

__all__ = ["streams"]

streams: dict[str, ResponseStream] = {}
"""Responses that are being streamed, by the request id of the invocation."""

_SUFFIX = "/response-streaming-invocations"
_END_OF_METADATA = bytes(8)
_METADATA_BYTES = 64 * 1024
_LOOK_EVERY_S = 0.25
"""Seconds between two checks for a disconnect while the function sends nothing."""

_GATEWAY = "services.apigateway.next_gen.execute_api"
IntegrationFailureError, RequestTooLargeError = find(
    f"{_GATEWAY}.gateway_response", "IntegrationFailureError", "RequestTooLargeError"
)
RequestTooLargeException = find("aws.api.lambda_", "RequestTooLargeException")
RestApiAwsProxyIntegration: Any = find(f"{_GATEWAY}.integrations.aws", "RestApiAwsProxyIntegration")


@replaces(f"{_GATEWAY}.handlers.integration", "IntegrationHandler.__call__")
def _integrate(handle: Callable[..., None], handler: Any, chain: Any, context: Any, response: Any) -> None:
    uri = context.integration_request.get("uri") or ""
    if not uri.endswith(_SUFFIX):
        handle(handler, chain, context, response)
        return
    event = RestApiAwsProxyIntegration().create_lambda_input_event(context)
    call = _Call(uri.split("functions/")[1].removesuffix(_SUFFIX), json.dumps(event).encode())
    context.endpoint_response = context.invocation_response = call.response(context.request.environ[IS_CONNECTED])


class _Call:
    """One invocation whose response is streamed.

    Args:
        function_arn: Function.
        event: Its event.
    """

    def __init__(self, function_arn: str, event: bytes) -> None:
        self._stream = ResponseStream()
        self._error: Exception | None = None
        threading.Thread(target=self._run, args=(function_arn, event), name="streamed-invocation", daemon=True).start()

    def _run(self, function_arn: str, event: bytes) -> None:
        request_id = str(uuid.uuid4())
        streams[request_id] = self._stream
        try:
            invoke_function(function_arn, event, request_id)
        except Exception as error:  # noqa: BLE001  # `response` raises it in the thread of the request
            self._error = error
        finally:
            del streams[request_id]
            self._stream.end(is_complete=False)  # unless it is complete

    def response(self, is_connected: Callable[[], bool]) -> dict[str, Any]:
        """The engine's response with a body that is sent while it is made."""
        body = _Body(self._stream, is_connected)
        try:
            metadata = body.metadata()
        except StreamAborted as error:
            if isinstance(self._error, RequestTooLargeException):
                raise RequestTooLargeError("Request Too Long") from self._error
            raise IntegrationFailureError("Internal server error", status_code=502) from (self._error or error)
        headers = Headers({"Content-Type": "application/json"})
        headers.update(RestApiAwsProxyIntegration._merge_lambda_response_headers(metadata))  # noqa: SLF001
        for cookie in metadata.get("cookies", ()):
            headers.add("Set-Cookie", cookie)
        return {"status_code": int(metadata.get("statusCode", 200)), "headers": headers, "body": body}


class _Body:
    """The body of the response, for the server to iterate over and to close.

    Args:
        stream: Response of the function.
        is_connected: Returns whether the client still waits.
    """

    def __init__(self, stream: ResponseStream, is_connected: Callable[[], bool]) -> None:
        self._stream = stream
        self._is_connected = is_connected
        self._unread = b""

    def metadata(self) -> dict[str, Any]:
        """Read status and headers.

        Raises:
            StreamAborted: the function failed before it sent them, or sent no metadata.
        """
        head = b""
        while _END_OF_METADATA not in head:
            try:
                part = self._take()
            except ConnectionError as error:
                raise StreamAborted from error
            if not part or len(head) > _METADATA_BYTES:
                self.close()
                raise StreamAborted
            head += part
        text, _, self._unread = head.partition(_END_OF_METADATA)
        metadata: dict[str, Any] = json.loads(text)
        return metadata

    def __iter__(self) -> Iterator[bytes]:
        """The parts of the body.

        Raises:
            ConnectionError: the function failed, and the server drops the connection; or the client has disconnected.
        """
        if self._unread:
            yield self._unread
        try:
            while part := self._take():
                yield part
        except StreamAborted:
            raise ConnectionAbortedError("The function failed before the end of its response.") from None

    def close(self) -> None:
        """Close the connection to the function: the client reads no more."""
        self._stream.close()

    def _take(self) -> bytes:
        while (part := self._stream.take(_LOOK_EVERY_S)) is None:
            if not self._is_connected():
                self.close()
                raise ConnectionResetError("The client has disconnected.")
        return part
