"""Require a bearer token with a scope.

    @app.get("/tasks")
    async def tasks_list() -> ...:
        await auth.require("tasks:admin")

`decant.tokens` checks the token and has the settings.

Source: RFC 6750 (bearer tokens).
"""

from collections.abc import Mapping
from typing import Any

from flask import request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Forbidden, Unauthorized

from decant import tokens
from decant.errors import InvalidToken
from decant.tokens import AuthSettings

__all__ = ["AuthSettings", "require", "scopes", "subject"]


async def require(scope: str) -> str:
    """Require a token that has a scope.

    Returns:
        The token's subject, the caller.
    Raises:
        Unauthorized: 401, the token is missing, invalid or expired, or it is an ID token.
        Forbidden: 403, the token is valid and lacks the scope.
        ServiceUnavailable: the issuer's keys cannot be fetched; retrying may help.
        ConfigError: no issuer is set.
    """
    claims = await _required_claims()
    if scope not in tokens.scopes(claims):
        challenge = WWWAuthenticate("bearer", {"error": "insufficient_scope", "scope": scope})
        raise _InsufficientScope(f"The token lacks the scope {scope}.", challenge)
    return str(claims["sub"])


async def subject() -> str:
    """The subject of the caller's token; it needs no particular scope.

    Raises:
        Unauthorized: 401, the token is missing, invalid or expired, or it is an ID token.
        ServiceUnavailable: the issuer's keys cannot be fetched; retrying may help.
        ConfigError: no issuer is set.
    """
    return str((await _required_claims())["sub"])


async def scopes() -> frozenset[str]:
    """The scopes of the caller's token, for a view that returns more to some callers; none for a caller without one.

    Raises:
        Unauthorized: 401, there is a token, and it is invalid or expired, or it is an ID token.
        ServiceUnavailable: the issuer's keys cannot be fetched; retrying may help.
        ConfigError: there is a token, and no issuer is set.
    """
    return tokens.scopes(await _claims() or {})


class _InsufficientScope(Forbidden):
    """403 with a challenge that names the scope. Source: RFC 6750, section 3.1."""

    def __init__(self, description: str, challenge: WWWAuthenticate) -> None:
        super().__init__(description)
        self._challenge = challenge

    def get_headers(self, *arguments: Any, **named: Any) -> list[tuple[str, str]]:
        return [*super().get_headers(*arguments, **named), ("WWW-Authenticate", self._challenge.to_header())]


async def _required_claims() -> Mapping[str, Any]:
    claims = await _claims()
    if claims is None:
        raise Unauthorized("A bearer token is required.", www_authenticate=WWWAuthenticate("bearer", {}))
    return claims


async def _claims() -> Mapping[str, Any] | None:
    """The claims of the request's bearer token; None when it has none."""
    token = tokens.bearer(request.headers.get("Authorization", ""))
    if token is None:
        return None
    try:
        return await tokens.verify(token)
    except InvalidToken as error:
        challenge = WWWAuthenticate("bearer", {"error": "invalid_token"})
        raise Unauthorized(str(error), www_authenticate=challenge) from error
