"""Serve the engine's gateway on loopback only, in plain HTTP, with `http_server`.

The engine's default server, Twisted, ignores GATEWAY_LISTEN, listens on every interface, and passes each request from
its event loop to a thread and each part of the response back. Its other server, Hypercorn, does the same.

Uses: `runtime/server/core.py`, an extension point. Changes: the chain of handlers of `aws/app.py`.
Gain: 2.5 ms of processor time for each request, more than API Gateway and Lambda together.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from rolo.gateway.wsgi import WsgiGateway

from decant_cloud.emulator_patches.access import (
    NOT_SIGNED,
    UNSIGNED,
    Access,
    is_api_route,
    is_presigned,
    is_upload_form,
)
from decant_cloud.emulator_patches.engine import engine, find
from decant_cloud.emulator_patches.http_server import HttpServer
from decant_cloud.emulator_patches.services import importing
from decant_cloud.lambda_runtime.log_file import Journal

__all__ = ["LoopbackServer", "LoopbackServerPlugin"]

_LOGGED_CHARACTERS = 200

RuntimeServer: Any = find("runtime.server.core", "RuntimeServer")
RuntimeServerPlugin: Any = find("runtime.server.core", "RuntimeServerPlugin")
content_decoder, log_response, parse_pre_signed_url_request = find(
    "aws.handlers", "content_decoder", "log_response", "parse_pre_signed_url_request"
)


class LoopbackServerPlugin(RuntimeServerPlugin):
    """Names the server `loopback`, for GATEWAY_SERVER."""

    name = "loopback"

    def load(self, *_args: Any, **_kwargs: Any) -> "LoopbackServer":
        """The server."""
        return LoopbackServer()


class LoopbackServer(RuntimeServer):
    """Serves the gateway at the configured addresses only; the engine calls it when it starts and stops."""

    def __init__(self) -> None:
        self._servers: list[HttpServer] = []
        self._shutting_down = threading.Event()

    def register(self, gateway: Any, listen: Any, _ssl_creds: tuple[str, str] | None = None) -> None:
        """Start to serve the gateway."""
        require_signatures(gateway)
        keep_encoded_bodies(gateway)
        omit_request_log(gateway)
        application = explained(Access(WsgiGateway(gateway), cors_origins()))
        self._servers += [HttpServer(application, address.host, address.port) for address in listen]

    def run(self) -> None:
        """Wait until the engine stops."""
        importing.start()
        self._shutting_down.wait()

    def shutdown(self) -> None:
        """Accept no more connections; responses that are being sent end with the process."""
        self._shutting_down.set()
        for server in self._servers:
            server.close()


def explained(application: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """Log requests for routes that the API does not have; API Gateway responds to them with 403."""
    journal = Journal(Path(os.environ["DECANT_JOURNAL"]))

    def call(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            if status.startswith("403") and any("MissingAuthenticationToken" in value for _, value in headers):
                request = repr(f"{environ['REQUEST_METHOD']} {environ.get('PATH_INFO', '')}"[:_LOGGED_CHARACTERS])
                journal.write("Api", "", "", f"[WARNING] 403, as of API Gateway: template.yaml has no route {request}")
            return start_response(status, headers, *rest)

        return application(environ, start)

    return call


def cors_origins() -> set[str]:
    """Origins whose pages may call the routes of the deployed API."""
    return {origin for origin in os.environ.get("DECANT_CORS_ORIGIN", "").split(",") if origin}


def keep_encoded_bodies(gateway: Any) -> None:
    """Pass bodies with Content-Encoding to functions as they are, as API Gateway does.

    The engine decompresses every body, and responds with 500 to a body that is not compressed.
    """
    chain: list[Any] = gateway.request_handlers
    chain[chain.index(content_decoder)] = _decode_content


def _decode_content(chain: Any, context: Any, response: Any) -> None:
    environ = context.request.environ
    if not is_api_route(environ, environ.get("HTTP_HOST", "")):
        content_decoder(chain, context, response)


def omit_request_log(gateway: Any) -> None:
    """Remove the handler that formats a log line for each request, where the log level excludes these lines."""
    if not logging.getLogger(f"{engine.package}.request.http").isEnabledFor(logging.INFO):
        gateway.response_handlers.remove(log_response)


def require_signatures(gateway: Any) -> None:
    """Let the engine itself reject unsigned requests that it takes for another service than S3.

    `Access` checks path and host before the engine routes the request. A path of an API that does not exist, or
    a query that only looks presigned, falls through to the AWS services: the engine's handler for them starts here.
    Requests that the engine sends to itself do not pass `Access`.
    """
    chain: list[Any] = gateway.request_handlers
    chain.insert(chain.index(parse_pre_signed_url_request), _require_signature)


def _require_signature(chain: Any, context: Any, response: Any) -> None:
    service = context.service and context.service.service_name
    environ = context.request.environ
    if not environ.get(UNSIGNED) or (service == "s3" and (is_presigned(environ) or is_upload_form(environ))):
        return
    response.status_code, response.data = HTTPStatus.FORBIDDEN, NOT_SIGNED
    chain.terminate()
