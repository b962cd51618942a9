"""A Flask app as a Lambda function behind API Gateway (REST or HTTP), a function URL or a load balancer.

The adapter is a `mangum.Mangum`. Its own handlers go from the event to the WSGI environ without ASGI, which saves a
quarter of a request. Any other handler of the user's or Mangum's calls the app through `FlaskToAsgi`.
"""

import io
import json
import logging
from contextlib import suppress
from functools import cached_property, partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from flask import Flask
from mangum import Mangum
from mangum.handlers import LambdaAtEdge
from werkzeug.exceptions import HTTPException

from decant import runtime
from decant._sync.greenlets import run_in_greenlet
from decant.config import load
from decant.loop import LeftoverTasks
from decant.observability import CORRELATION_HEADER, correlate, is_valid_correlation_id
from decant.web.compression import compress, restore_tags, with_suffix
from decant.web.defaults import EXISTING, SAFE_METHODS, WebSettings, add_defaults, reject_cross_site, respond_with_error
from decant.web.events.http import HttpApiEvent
from decant.web.events.load_balancer import LoadBalancerEvent
from decant.web.events.rest import HttpEvent, RestEvent
from decant.web.flask_app import bind, call, is_requested
from decant.web.wsgi import BufferedResponse, TooLargeBody, add_body

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope
    from mangum.types import LambdaHandler, LifespanMode

    from decant.web.streaming import ResponseConnection

__all__ = ["LambdaAdapter", "lambda_handler"]

log = logging.getLogger(__name__)

_LEFTOVER_TASKS_WITHIN_S = 1.0

_OWN_EVENTS: tuple[type["LambdaHandler"], ...] = (RestEvent, HttpApiEvent, LoadBalancerEvent)
_MAX_RESPONSE_BYTES = 6 * 1024 * 1024
"""Source: Lambda quotas, payload of a synchronous invocation."""
_CERTAINLY_SMALL = 1_000_000
"""A body of so few characters cannot exceed the limit: JSON encodes a character in at most six bytes."""


class LambdaAdapter(Mangum):
    """The Lambda function's handler: it responds to HTTP events with the app.

    It is a `Mangum` with a direct path from Decant's events to the WSGI environ. Register error handlers on the app
    first: errors without a handler become `application/problem+json`.

    Args:
        app: Any Flask app.
        lifespan: `on` or `auto` runs ASGI's start-up and shutdown for every event, which closes the shared clients.
        api_gateway_base_path: Path of a custom domain's mapping that the events' paths begin with.
        custom_handlers: Handlers of other events, tried after Decant's own and before Mangum's.
        text_mime_types: Content types of text; all others are encoded in base64. None: JSON, XML, YAML, and text.
        exclude_headers: Names of headers to leave out of responses.
        secure_defaults: Reject requests of other sites' pages with unsafe methods, and add headers that make browsers
            treat responses safely; see `decant.web.defaults`.
        streaming: Send responses while the app makes them, where the function runs in `decant.web.runtime_loop`. A
            direct call of the handler returns the whole response.
    Raises:
        ConfigError: the settings are bad.
        ConfigurationError: Mangum's, an option is bad.
    """

    def __init__(  # noqa: PLR0913  # Mangum's options
        self,
        app: Flask,
        *,
        lifespan: "LifespanMode" = "off",
        api_gateway_base_path: str = "/",
        custom_handlers: "Sequence[type[LambdaHandler]]" = (),
        text_mime_types: list[str] | None = None,
        exclude_headers: list[str] | None = None,
        secure_defaults: bool = True,
        streaming: bool = False,
    ) -> None:
        self._runtime = runtime.current()
        self._runtime.start()
        add_defaults(app, check_responses=secure_defaults)
        bind(app)
        handlers = [*_OWN_EVENTS, *custom_handlers]
        serve: Any = self._serve_asgi  # Mangum's type of an application has plain dicts as messages
        super().__init__(serve, lifespan, api_gateway_base_path, handlers, text_mime_types, exclude_headers)
        self._flask = app
        self._secure_defaults = secure_defaults and EXISTING not in app.extensions
        self._streaming = streaming
        self._compress_over_bytes = load(WebSettings).compress_over_bytes
        self._leftover_tasks = LeftoverTasks(_LEFTOVER_TASKS_WITHIN_S)

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Respond to an event.

        Raises:
            TypeError: it is no HTTP event, and no custom handler takes it.
        """
        if runtime.current() is not self._runtime:
            with self._runtime.active():  # 2 µs, which the usual single runtime saves
                return self(event, context)
        handler = self.infer(event, context)
        if self.lifespan == "off" and handler.__class__ in _OWN_EVENTS:
            try:
                return self._respond(cast("HttpEvent", handler))
            finally:
                self._runtime.end_invocation()
        self._runtime.loop  # noqa: B018  # sets it as the thread's current loop, which Mangum runs
        with correlate(_gateway_id(event, context)):
            response = super().__call__(event, context)
        self._runtime.end_invocation()
        return response

    def streams(self, event: Any) -> bool:
        """Whether the response to an event is streamed: `streaming` is on, and the gateway of the event can stream."""
        if not self._streaming or self.lifespan != "off" or not isinstance(event, dict):
            return False
        context: Any = None
        handler: Any = next((each for each in self.custom_handlers if each.infer(event, context, self.config)), None)
        return handler in _OWN_EVENTS and bool(handler.can_stream(event))

    def stream(
        self, event: dict[str, Any], context: Any, connect: "Callable[[], Awaitable[ResponseConnection]]"
    ) -> None:
        """Send the response to an event while the app makes it; returns when all of it is sent.

        Args:
            event: An event for which `streams` returns true.
            context: Lambda's context object.
            connect: Begins the response.
        """
        with self._runtime.active():
            handler = cast("HttpEvent", self.infer(event, context))
            environ: dict[str, Any] = {}
            rejection = None
            try:
                environ = handler.environ()
            except HTTPException as error:
                rejection = error
            identifier, gateways = _identifiers(environ, _gateway_id(event, context))
            with correlate(identifier, gateways):
                self._runtime.run(self._stream(handler, environ, rejection, identifier, connect))
            self._runtime.end_invocation()

    def _respond(self, handler: HttpEvent) -> dict[str, Any]:
        request_id = _gateway_id(handler.event, handler.context)
        try:
            environ = handler.environ()
        except HTTPException as error:
            with correlate(request_id):
                return self._format(handler, _error_response(error), request_id)
        identifier, gateways = _identifiers(environ, request_id)
        had_suffix = self._compress_over_bytes > 0 and restore_tags(environ)
        with correlate(identifier, gateways):
            try:
                response = self._runtime.run(self._serve(environ, handler.body))
            except SystemExit as error:  # of a task that the request started: asyncio passes it on to the loop's caller
                log.exception("Request failed outside Flask's error handling")
                response = _error_response(error, head_request=environ["REQUEST_METHOD"] == "HEAD")
            if self._compress_over_bytes:
                self._compress(response, environ, had_suffix=had_suffix)
            result = self._format(handler, response, identifier)
            if len(result["body"]) > _CERTAINLY_SMALL and (size := _encoded_bytes(result)) > _MAX_RESPONSE_BYTES:
                route = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
                log.error("Response exceeds Lambda's limit", extra={"route": route, "response_bytes": size})
                result = self._format(handler, _error_response(RuntimeError()), identifier)
        return result

    def _compress(self, response: BufferedResponse, environ: dict[str, Any], *, had_suffix: bool) -> None:
        if len(response.body) > self._compress_over_bytes:
            compress(response, environ.get("HTTP_ACCEPT_ENCODING", ""))
        elif had_suffix and response.status == HTTPStatus.NOT_MODIFIED:  # the client has the compressed body
            response.headers = with_suffix(response.headers)

    @staticmethod
    def _format(handler: HttpEvent, response: BufferedResponse, identifier: str) -> dict[str, Any]:
        headers = [*response.headers, (CORRELATION_HEADER, identifier)]
        return handler.respond(response.status, headers, response.body)

    def infer(self, event: dict[str, Any], context: Any) -> "LambdaHandler":
        """Choose the handler of an event.

        Raises:
            TypeError: it is no HTTP event, and no custom handler takes it.
        """
        if isinstance(event, dict):
            for handler in self.custom_handlers:
                if handler.infer(event, context, self.config):
                    return handler(event, context, self.config)
            if LambdaAtEdge.infer(event, context, self.config):
                return LambdaAtEdge(event, context, self.config)
        raise TypeError(
            "not an HTTP event: this function responds to events of API Gateway, function URLs and load balancers"
        )

    def _setup_event_loop(self) -> None:
        """Mangum's hook: the runtime has made the event loop."""

    async def _serve(self, environ: dict[str, Any], body: bytes) -> BufferedResponse:
        self._leftover_tasks.begin()
        head_request = environ["REQUEST_METHOD"] == "HEAD"
        https = self._prepare(environ, body)
        response = BufferedResponse(head_request=head_request, https=https)
        try:
            await call(self._flask, environ, response)
        except BaseException as error:
            if is_requested(error):
                raise
            log.exception("Request failed outside Flask's error handling")
            response = _error_response(error, head_request=head_request)
        await self._leftover_tasks.finish()
        return response

    def _prepare(self, environ: dict[str, Any], body: bytes) -> bool | None:
        """Add the body to the environ; returns whether the client uses HTTPS, for the default headers."""
        stream: io.BytesIO | TooLargeBody = io.BytesIO(body)
        if body and len(body) > (limit_bytes := load(WebSettings).body_limit_bytes):
            stream = TooLargeBody(limit_bytes)
        add_body(environ, stream, len(body))
        if not self._secure_defaults:
            return None
        if environ["REQUEST_METHOD"] not in SAFE_METHODS:
            reject_cross_site(self._flask)
        return bool(environ["wsgi.url_scheme"] == "https")

    async def _stream(
        self,
        handler: HttpEvent,
        environ: dict[str, Any],
        rejection: HTTPException | None,
        identifier: str,
        connect: "Callable[[], Awaitable[ResponseConnection]]",
    ) -> None:
        from decant.web.streaming import ClientDisconnected, StreamedResponse  # noqa: PLC0415  # few functions stream

        def metadata(status: int, headers: list[tuple[str, str]]) -> dict[str, Any]:
            return handler.metadata(status, [*headers, (CORRELATION_HEADER, identifier)])

        self._leftover_tasks.begin()
        connection = await connect()
        head_request = environ.get("REQUEST_METHOD") == "HEAD"
        https = self._prepare(environ, handler.body) if rejection is None else None
        response = StreamedResponse(connection, metadata, head_request=head_request, https=https)
        failure: BaseException | None = rejection
        try:
            if rejection is None:
                await call(self._flask, environ, response, receive=connection.receive)
        except ClientDisconnected:
            pass
        except BaseException as error:
            if is_requested(error):
                raise
            log.exception("Request failed outside Flask's error handling")
            failure = error
        if failure is not None and not response.headers_sent:
            response = StreamedResponse(connection, metadata, head_request=head_request)
            with suppress(ClientDisconnected):
                await run_in_greenlet(partial(respond_with_error, response, failure))
            failure = None
        await self._leftover_tasks.finish()
        await connection.finish(failure)

    async def _serve_asgi(self, scope: "Scope", receive: "ASGIReceiveCallable", send: "ASGISendCallable") -> None:
        """The ASGI application that Mangum calls."""
        if scope["type"] != "http":
            await self._asgi(scope, receive, send)
            return
        leftover_tasks = LeftoverTasks(_LEFTOVER_TASKS_WITHIN_S)  # new, so that Mangum's lifespan task may stay
        leftover_tasks.begin()
        await self._asgi(scope, receive, send)
        await leftover_tasks.finish()

    @cached_property
    def _asgi(self) -> "ASGI3Application":
        from decant.asgi import FlaskToAsgi  # noqa: PLC0415  # few functions need it

        return FlaskToAsgi(self._flask, view_threads=0, correlated=True, secure_defaults=self._secure_defaults)


lambda_handler = LambdaAdapter
"""Name of the adapter in a function's `app.py`: `handler = lambda_handler(app)`."""


def _error_response(error: BaseException, *, head_request: bool = False) -> BufferedResponse:
    response = BufferedResponse(head_request=head_request)
    respond_with_error(response, error)
    return response


def _encoded_bytes(response: dict[str, Any]) -> int:
    """Size of the response as the runtime client sends it, with characters beyond ASCII as they are."""
    return len(json.dumps(response, ensure_ascii=False).encode())


def _identifiers(environ: dict[str, Any], request_id: str) -> tuple[str, str | None]:
    """The correlation id, and the gateway's id of the request when it is another id."""
    given = environ.get("HTTP_X_CORRELATION_ID", "")
    return (given, request_id) if given and is_valid_correlation_id(given) else (request_id, None)


def _gateway_id(event: dict[str, Any], context: Any) -> str:
    """The gateway's id of the request, or else Lambda's."""
    request = event.get("requestContext") or {}
    return str(request.get("requestId") or getattr(context, "aws_request_id", ""))
