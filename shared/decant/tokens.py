"""Check an access token: a JWT that a trusted issuer has signed. Nothing here depends on Flask.

The issuer's public key is a setting, or it is fetched from the issuer's JWKS address and cached. Only the asymmetric
algorithms of `ALGORITHMS` are accepted, not the algorithm that the token names.

Source: RFC 7517 (JWK sets), RFC 8725 (JWT best current practices), RFC 9068 (access tokens).
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from decant import runtime
from decant.config import http_url, load, setting, settings_group, text
from decant.errors import ConfigError, InvalidToken, ServiceUnavailable, UpstreamError

if TYPE_CHECKING:
    from jwt import PyJWK

__all__ = ["ALGORITHMS", "AuthSettings", "bearer", "scopes", "verify"]

log = logging.getLogger(__name__)

ALGORITHMS = ("RS256", "ES256", "EdDSA")

_FRESH_S = 600
"""Age from which a key set is fetched again."""
_STALE_S = 24 * 3600
"""Age up to which a key set is used when it cannot be fetched again."""
_UNKNOWN_KEY_S = 30
"""Age from which an unknown key id causes a fetch: issuers rotate keys, and any client can send invented ids."""
_RETRY_S = 5
"""Time from a failed fetch to the next fetch."""
_LEEWAY_S = 30
"""Accepted difference between clocks."""


@settings_group
class AuthSettings:
    """Settings of the routes that require a token."""

    issuer: str | None = setting("JWT_ISSUER", text, "Issuer of the tokens, their `iss`", default=None)
    audience: str | None = setting("JWT_AUDIENCE", text, "Audience of the tokens, their `aud`", default=None)
    jwks_url: str | None = setting("JWT_JWKS_URL", http_url, "Address of the issuer's key set (JWKS)", default=None)
    public_key: str | None = setting(
        "JWT_PUBLIC_PEM", text, "The issuer's public key as PEM, in place of a key set", default=None
    )


def bearer(header: str) -> str | None:
    """The token of an Authorization header; None when the header has another scheme or no token."""
    scheme, _, token = header.partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    """The scopes that a token grants. Source: RFC 8693, section 4.2 (`scope`, separated by spaces)."""
    return frozenset(str(claims.get("scope", "")).split())


async def verify(token: str) -> Mapping[str, Any]:
    """Check a token's signature, issuer, audience and dates.

    Returns:
        Its claims.
    Raises:
        InvalidToken: it is malformed, expired, not signed by the issuer or for another audience, or it is an ID token.
        ServiceUnavailable: the issuer's keys cannot be fetched; retrying may help.
        ConfigError: no issuer or no audience is set.
    """
    import jwt  # noqa: PLC0415  # 100 ms that only routes with tokens pay

    settings = load(AuthSettings)
    if None in (settings.issuer, settings.audience) or not (settings.jwks_url or settings.public_key):
        others = "JWT_AUDIENCE, and JWT_JWKS_URL or JWT_PUBLIC_PEM"
        raise ConfigError([f"JWT_ISSUER: set it with {others}; this function requires tokens"])
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
    except jwt.ExpiredSignatureError as error:
        raise InvalidToken("The token has expired.") from error
    except (jwt.PyJWTError, LookupError) as error:  # the exact defect of a token would only help to forge one
        raise InvalidToken("The token is invalid.") from error
    if _is_id_token(claims):
        raise InvalidToken("An ID token is no access token.")
    return claims


def _is_id_token(claims: Mapping[str, Any]) -> bool:
    """Whether the token is an ID token, which identifies a user to an application and grants no access.

    Source: OpenID Connect Core 1.0, section 2 (`nonce`, `at_hash`, `c_hash`); Cognito (`token_use`); Keycloak (`typ`).
    """
    marks = ("nonce", "at_hash", "c_hash")
    return claims.get("token_use") == "id" or claims.get("typ") == "ID" or any(mark in claims for mark in marks)


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


async def _published_key(key_id: str | None, settings: AuthSettings) -> "PyJWK":
    url = str(settings.jwks_url)
    sets = runtime.current().client(_KeySets, _KeySets)
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
