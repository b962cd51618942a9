"""Require a bearer token with a scope: a JWT that a trusted issuer has signed.

    @app.get("/tasks")
    async def tasks_list() -> ...:
        await auth.require("tasks:admin")

The issuer's public key is a setting, or it is fetched from the issuer's JWKS address and cached. Only the asymmetric
algorithms of `ALGORITHMS` are accepted, not the algorithm that the token names.

Source: RFC 6750 (bearer tokens), RFC 7517 (JWK sets), RFC 8725 (JWT best current practices), RFC 9068 (access tokens).
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from flask import request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Forbidden, Unauthorized

from decant import runtime
from decant.config import http_url, load, setting, text
from decant.errors import ConfigError, ServiceUnavailable, UpstreamError

if TYPE_CHECKING:
    from jwt import PyJWK

__all__ = ["ALGORITHMS", "AuthSettings", "require"]

log = logging.getLogger(__name__)

ALGORITHMS = ("RS256", "ES256", "EdDSA")

_FRESH_S = 600
"""Age from which a key set is fetched again."""
_STALE_S = 24 * 3600
"""Age up to which a key set is used when it cannot be fetched again."""
_UNKNOWN_KEY_S = 30
"""Age from which an unknown key id causes a fetch: issuers rotate keys, and anybody can invent ids."""
_RETRY_S = 5
"""Time from a failed fetch to the next fetch."""
_LEEWAY_S = 30
"""Accepted difference between clocks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AuthSettings:
    """Settings of the routes that require a token."""

    issuer: str | None = setting("JWT_ISSUER", text, "Issuer of the tokens, their `iss`", default=None)
    audience: str = setting("JWT_AUDIENCE", text, "Audience of the tokens, their `aud`", default="decant")
    jwks_url: str | None = setting("JWT_JWKS_URL", http_url, "Address of the issuer's key set (JWKS)", default=None)
    public_key: str | None = setting(
        "JWT_PUBLIC_PEM", text, "The issuer's public key as PEM, in place of a key set", default=None
    )


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
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token:
        _reject("A bearer token is required.")
    claims = await _claims(token.strip())
    if scope not in str(claims.get("scope", "")).split():
        challenge = WWWAuthenticate("bearer", {"error": "insufficient_scope", "scope": scope})
        raise _InsufficientScope(f"The token lacks the scope {scope}.", challenge)
    return str(claims["sub"])


class _InsufficientScope(Forbidden):
    """403 with a challenge that names the scope. Source: RFC 6750, section 3.1."""

    def __init__(self, description: str, challenge: WWWAuthenticate) -> None:
        super().__init__(description)
        self._challenge = challenge

    def get_headers(self, *arguments: Any, **named: Any) -> list[tuple[str, str]]:
        return [*super().get_headers(*arguments, **named), ("WWW-Authenticate", self._challenge.to_header())]


async def _claims(token: str) -> Mapping[str, Any]:
    import jwt  # noqa: PLC0415  # 100 ms that only routes with tokens pay

    settings = load(AuthSettings)
    if settings.issuer is None or not (settings.jwks_url or settings.public_key):
        raise ConfigError(["JWT_ISSUER: set it, and JWT_JWKS_URL or JWT_PUBLIC_PEM; this function requires tokens"])
    try:
        key = settings.public_key or await _published_key(jwt.get_unverified_header(token).get("kid"), settings)
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=ALGORITHMS,
            audience=settings.audience,
            issuer=settings.issuer,
            leeway=_LEEWAY_S,
            options={"require": ["exp", "iat", "iss", "aud", "sub"]},
        )
    except jwt.ExpiredSignatureError:
        _reject("The token has expired.", "invalid_token")
    except (jwt.PyJWTError, LookupError):
        _reject("The token is invalid.", "invalid_token")
    if _is_id_token(claims):
        _reject("An ID token is no access token.", "invalid_token")
    return claims


def _is_id_token(claims: Mapping[str, Any]) -> bool:
    """Whether the token is an ID token, which identifies a user to an application and grants no access.

    Source: OpenID Connect Core 1.0, section 2 (`nonce`, `at_hash`, `c_hash`); Cognito (`token_use`); Keycloak (`typ`).
    """
    marks = ("nonce", "at_hash", "c_hash")
    return claims.get("token_use") == "id" or claims.get("typ") == "ID" or any(mark in claims for mark in marks)


def _reject(description: str, error: str | None = None) -> NoReturn:
    """Respond with 401. The exact fault of a token would only help to forge tokens."""
    raise Unauthorized(description, www_authenticate=WWWAuthenticate("bearer", {"error": error} if error else {}))


class _KeySet:
    """An issuer's published keys, fetched by a single request at a time and kept during an outage of the issuer."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: Mapping[str, PyJWK] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._fetching = asyncio.Lock()

    async def key(self, key_id: str | None) -> "PyJWK":
        """The key with this id.

        Raises:
            LookupError: the issuer has none.
            ServiceUnavailable: the key set cannot be fetched.
        """
        if self._is_due(key_id) or (self._fetching.locked() and key_id not in self._keys):
            async with self._fetching:
                if self._is_due(key_id):  # the request before did not fetch it
                    await self._fetch()
        if not self._is_usable():
            raise ServiceUnavailable("The keys of the token's issuer cannot be read.")
        return self._keys[str(key_id)]

    def _is_due(self, key_id: str | None) -> bool:
        now = time.monotonic()
        age_s = now - self._fetched_at
        if age_s <= _FRESH_S and (key_id in self._keys or age_s <= _UNKNOWN_KEY_S):
            return False
        return now - self._tried_at > _RETRY_S

    def _is_usable(self) -> bool:
        return time.monotonic() - self._fetched_at <= _STALE_S

    async def _fetch(self) -> None:
        self._tried_at = time.monotonic()
        try:
            self._keys = await _fetch_keys(self._url)
        except (UpstreamError, ValueError) as error:
            log.warning("Key set could not be fetched", extra={"url": self._url, "reason": str(error)})
        else:
            self._fetched_at = self._tried_at


class _KeySets(dict[str, _KeySet]):
    """Key sets by address."""

    async def aclose(self) -> None:
        self.clear()


async def _published_key(key_id: str | None, settings: AuthSettings) -> "PyJWK":
    url = str(settings.jwks_url)
    sets = runtime.current().client(_KeySets, _KeySets, _KeySets.aclose)
    if url not in sets:
        sets[url] = _KeySet(url)
    return await sets[url].key(key_id)


async def _fetch_keys(url: str) -> "Mapping[str, PyJWK]":
    """The keys of a JWK set by their ids.

    Raises:
        UpstreamError: it cannot be fetched.
        ValueError: it is malformed.
    """
    from jwt import PyJWKSet, PyJWTError  # noqa: PLC0415  # 100 ms that only routes with tokens pay

    from decant import http  # noqa: PLC0415  # httpx, which only an issuer with a key set needs

    document = await http.get_json(url)
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise ValueError("it is not a JWK set")  # noqa: TRY004  # the document's value is wrong
    try:
        keys = PyJWKSet.from_dict(document).keys
    except (PyJWTError, TypeError, AttributeError) as error:
        raise ValueError(f"it contains no usable key: {error}") from error
    return {key.key_id: key for key in keys if key.key_id}
