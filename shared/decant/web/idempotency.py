"""Idempotent requests: a request that is sent again has no second effect and gets the first response.

    @app.post("/users")
    @idempotent
    async def users_create(): ...

A client sends `Idempotency-Key: <a new UUID>` and repeats the request with the same key when it got no response. The
decorator opens a transaction that `db.session()` and `delay()` in the view join. It stores the response before the
commit, so that effects and response are committed together.

| second request | response |
|---|---|
| same key and same request | the stored response, with `Idempotency-Replayed: true` |
| same key and another request | 422 |
| same key while the first request runs | 409 with `Retry-After` |

Keys are those of a caller and route: two callers may use the same key. Responses with status 500 or higher are not
stored, and their effects are rolled back. Responses are kept for 24 hours.

Source: IETF draft-ietf-httpapi-idempotency-key-header.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable
from functools import partial, wraps
from http import HTTPStatus
from inspect import isawaitable, iscoroutinefunction
from typing import Any, overload

from flask import Response, current_app, request
from sqlalchemy.exc import IntegrityError
from werkzeug.exceptions import BadRequest, HTTPException, UnprocessableEntity
from werkzeug.exceptions import Conflict as ConflictStatus

from decant import db
from decant.errors import ConfigError, DecantError
from decant.web.limits import gateway_caller

__all__ = ["idempotent"]

_MAX_KEY_CHARACTERS = 255
_REPLAYED = "Idempotency-Replayed"

_LOCK_NEW = """
    SELECT 1 FROM (SELECT pg_try_advisory_xact_lock({lock}) AS locked) AS key
    WHERE locked AND NOT EXISTS (SELECT FROM decant.idempotent_response WHERE key = '\\x{key}')
"""
"""One row for a key that is new; it is locked then. It has no parameters, so that it can be sent with BEGIN."""

_FIND = """
    SELECT pg_try_advisory_xact_lock(:lock) AS locked, stored.*
    FROM (SELECT) AS always
    LEFT JOIN (
        SELECT fingerprint, status, headers, body, created_at > statement_timestamp() - interval '24 hours' AS is_kept
        FROM decant.idempotent_response WHERE key = :key
    ) AS stored ON true
"""

_DELETE = "DELETE FROM decant.idempotent_response WHERE key = :key"

_STORE = """
    INSERT INTO decant.idempotent_response (key, fingerprint, status, headers, body)
    VALUES ('\\x{key}', '\\x{fingerprint}', {status}, CAST(convert_from('\\x{headers}', 'UTF8') AS jsonb), '\\x{body}')
"""
"""Fails when a request with the same key has committed since the key was read, which happens before it is locked."""

type View = Callable[..., Awaitable[Any]]


@overload
def idempotent[F: View](view: F) -> F: ...
@overload
def idempotent[F: View](*, required: bool) -> Callable[[F], F]: ...
def idempotent(view: View | None = None, *, required: bool = False) -> Any:
    """Let clients repeat requests to a view without a second effect.

    Args:
        view: An async view.
        required: Reject requests without an `Idempotency-Key`.
    Raises:
        TypeError: the view is not async.
        Conflict: 409, a request with the same key is running.
        UnprocessableEntity: 422, the key was used for another request.
        BadRequest: 400, the key is invalid, or required and missing.
        DatabaseUnavailable: nothing was kept; retrying helps once PostgreSQL is back.
    """
    if view is None:
        return partial(idempotent, required=required)
    if not iscoroutinefunction(view):
        raise TypeError(f"{view.__name__} is not async; @idempotent opens a transaction that only async views can join")

    @wraps(view)
    async def once(*args: Any, **kwargs: Any) -> Any:
        key = request.headers.get("Idempotency-Key")
        if key is None:
            if required:
                raise BadRequest("This request needs an Idempotency-Key, such as a new UUID.")
            return await view(*args, **kwargs)
        return await _once(await _digest(key), partial(view, *args, **kwargs))

    return once


async def _once(key: bytes, view: Callable[[], Awaitable[Any]]) -> Response:
    fingerprint = _fingerprint()
    lock = int.from_bytes(key[:8], signed=True)
    try:
        async with db.joined_session(_LOCK_NEW.format(lock=lock, key=key.hex())) as joined:
            if not joined.found:
                (known,) = await db.execute(_FIND, {"lock": lock, "key": key}, joined.session)
                if known["is_kept"]:
                    return _replay(known, fingerprint)
                if not known["locked"]:
                    raise _running()
                await db.execute(_DELETE, {"key": key}, joined.session)
            response = await _respond(view)
            if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
                await joined.session.rollback()
            else:
                db.execute_last(joined.session, _store(key, fingerprint, response))
    except IntegrityError as error:
        if "idempotent_response_pkey" not in str(error.orig):
            raise
        raise _running() from None
    return response


def _replay(found: Any, fingerprint: bytes) -> Response:
    if found["fingerprint"] != fingerprint:
        raise UnprocessableEntity("This Idempotency-Key was used for another request; use a new one.")
    response: Response = current_app.response_class(found["body"], found["status"])
    response.headers.clear()
    response.headers.extend([(name, value) for name, value in found["headers"]])
    response.headers[_REPLAYED] = "true"
    return response


def _running() -> ConflictStatus:
    return _InFlight("A request with this Idempotency-Key is running; repeat yours later.")


class _InFlight(ConflictStatus):
    def get_headers(self, *arguments: Any, **named: Any) -> list[tuple[str, str]]:
        return [*super().get_headers(*arguments, **named), ("Retry-After", "1")]


async def _respond(view: Callable[[], Awaitable[Any]]) -> Response:
    """The view's response; that of an error that Flask handles is a response too."""
    try:
        value = await view()
    except (HTTPException, DecantError) as error:
        handler = current_app._find_error_handler(error, request.blueprints)  # noqa: SLF001  # Flask has no public name
        if handler is None:
            raise
        value = handler(error)
        if isawaitable(value):
            value = await value
    return current_app.make_response(value)


def _store(key: bytes, fingerprint: bytes, response: Response) -> str:
    headers = json.dumps(list(response.headers)).encode()
    parts = {"key": key, "fingerprint": fingerprint, "headers": headers, "body": response.get_data()}
    return _STORE.format(status=response.status_code, **{name: part.hex() for name, part in parts.items()})


async def _digest(key: str) -> bytes:
    if not 0 < len(key) <= _MAX_KEY_CHARACTERS or not key.isascii() or not key.isprintable():
        raise BadRequest(f"An Idempotency-Key has 1 to {_MAX_KEY_CHARACTERS} printable ASCII characters.")
    return _hash(request.method, request.path, await _caller(), key)


async def _caller() -> str:
    """The caller: verified by the gateway, or by this function from the token; anonymous callers share a name."""
    if caller := gateway_caller():
        return caller
    header = request.headers.get("Authorization")
    if header is None:
        return ""
    try:
        from decant import auth  # noqa: PLC0415  # only functions that check tokens have its packages

        return await auth.subject()
    except (ImportError, ConfigError):
        return header


def _fingerprint() -> bytes:
    return _hash(request.query_string, request.mimetype, request.get_data(cache=True))


def _hash(*parts: str | bytes) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode() if isinstance(part, str) else part
        digest.update(len(encoded).to_bytes(8) + encoded)
    return digest.digest()
