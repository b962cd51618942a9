"""Who may call a route: a bearer token, signed by an issuer that we trust, with the scope that the route asks for.

    @app.get("/tasks")
    async def tasks_list() -> ...:
        await auth.require("tasks:admin")

The token is a JWT. Its key is a public one: given by setting, or fetched from the issuer's JWKS address and kept for
ten minutes. Only asymmetric algorithms are taken, and only those named here, whatever the token says of itself.

Source: RFC 6750 (bearer tokens), RFC 8725 (JWT best current practices), RFC 9068 (the `scope` claim).
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from flask import request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Forbidden, Unauthorized

from decant.config import http_url, load, setting, text
from decant.errors import ConfigError

if TYPE_CHECKING:
    from jwt import PyJWK

__all__ = ["ALGORITHMS", "AuthSettings", "require"]

ALGORITHMS = ("RS256", "ES256", "EdDSA")

_KEYS_KEPT_S = 600
_KEYS_ASKED_AGAIN_S = 30  # for a key that is not known: issuers turn theirs over, and callers make ids up
_LEEWAY_S = 30  # that clocks may differ by


@dataclass(frozen=True, kw_only=True, slots=True)
class AuthSettings:
    """Settings of the routes that ask for a token."""

    issuer: str | None = setting("JWT_ISSUER", text, "Who issues the tokens of admin routes: their `iss`", default=None)
    audience: str = setting("JWT_AUDIENCE", text, "Whom tokens of admin routes are for: their `aud`", default="decant")
    jwks_url: str | None = setting("JWT_JWKS_URL", http_url, "Where the issuer publishes its keys", default=None)
    public_key: str | None = setting(
        "JWT_PUBLIC_PEM", text, "The issuer's public key as PEM, instead of its address", default=None
    )


async def require(scope: str) -> str:
    """Let a request pass whose token has a scope.

    Returns:
        The token's subject: who is calling.
    Raises:
        Unauthorized: 401, there is no token, or none that is good now.
        Forbidden: 403, the token is good and lacks the scope.
        UpstreamError: the issuer's keys could not be fetched; retrying may help.
        ConfigError: no issuer is trusted, since none is set.
    """
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token:
        _refuse("A bearer token is needed.")
    claims = await _claims(token.strip())
    if scope not in str(claims.get("scope", "")).split():
        challenge = WWWAuthenticate("bearer", {"error": "insufficient_scope", "scope": scope})
        raise _WithChallenge(f"The token lacks the scope {scope}.", challenge)
    return str(claims["sub"])


class _WithChallenge(Forbidden):
    """403 that says which scope is asked for. Source: RFC 6750, section 3.1."""

    def __init__(self, description: str, challenge: WWWAuthenticate) -> None:
        super().__init__(description)
        self._challenge = challenge

    def get_headers(self, *arguments: Any, **named: Any) -> list[tuple[str, str]]:
        return [*super().get_headers(*arguments, **named), ("WWW-Authenticate", self._challenge.to_header())]


async def _claims(token: str) -> Mapping[str, Any]:
    import jwt  # noqa: PLC0415  # 100 ms that only routes which ask for a token pay

    ours: AuthSettings = load(AuthSettings)
    if ours.issuer is None or not (ours.jwks_url or ours.public_key):
        raise ConfigError(["JWT_ISSUER: set it, and JWT_JWKS_URL or JWT_PUBLIC_PEM; this function asks for tokens"])
    try:
        key = ours.public_key or await _published_key(str(jwt.get_unverified_header(token).get("kid")), ours)
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=ALGORITHMS,
            audience=ours.audience,
            issuer=ours.issuer,
            leeway=_LEEWAY_S,
            options={"require": ["exp", "iat", "iss", "aud", "sub"]},
        )
    except jwt.ExpiredSignatureError:
        _refuse("The token has expired.", "invalid_token")
    except (jwt.PyJWTError, LookupError):
        _refuse("The token is not good here.", "invalid_token")
    return claims


def _refuse(description: str, error: str | None = None) -> NoReturn:
    """Answer 401. What exactly is wrong with a token helps nobody but who made it up."""
    raise Unauthorized(description, www_authenticate=WWWAuthenticate("bearer", {"error": error} if error else {}))


@dataclass
class _Keys:
    """An issuer's keys by their ids, and when they were fetched."""

    by_id: Mapping[str, "PyJWK"]
    at_s: float


_published: dict[str, _Keys] = {}


async def _published_key(key_id: str, ours: AuthSettings) -> "PyJWK":
    """The issuer's key of this id.

    Raises:
        LookupError: it has none.
    """
    url = str(ours.jwks_url)
    keys = _published.get(url)
    age_s = float("inf") if keys is None else time.monotonic() - keys.at_s
    if keys is None or age_s > _KEYS_KEPT_S or (key_id not in keys.by_id and age_s > _KEYS_ASKED_AGAIN_S):
        keys = _published[url] = await _fetch(url)
    return keys.by_id[key_id]


async def _fetch(url: str) -> _Keys:
    from jwt import PyJWKSet  # noqa: PLC0415  # likewise

    from decant import http  # noqa: PLC0415  # likewise

    published = PyJWKSet.from_dict(await http.get_json(url))
    return _Keys({key.key_id: key for key in published.keys if key.key_id}, time.monotonic())
