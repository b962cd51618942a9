"""Reject requests that a web page can send to the gateway on loopback: WSGI middleware in front of the engine.

The engine runs code for every client that can connect. A web page in the developer's browser is such a client: it can
send cross-site requests, and with DNS rebinding it can read the responses under a host name of its own. Rules, in this
order:

1. `Host` is a loopback name, an IP literal, `host.docker.internal`, or a name of the emulator. DNS rebinding needs
   a name that the attacker controls.
2. `Origin` and `Sec-Fetch-Site` are those of the gateway itself. Routes of a deployed API also accept CORS_ORIGIN.
3. Requests to AWS APIs have an `Authorization` header of AWS, which a page cannot add to a request without a preflight.
   Presigned S3 URLs carry the signature in the query, and forms for S3 in their fields.
   Browsers omit `Sec-Fetch-Site` on plain HTTP to names such as
   localhost.localstack.cloud, so that rule 2 alone is not sufficient.

Source: Fetch Standard, https://www.w3.org/TR/fetch-metadata/, AWS Signature Version 4.
"""

import ipaddress
import logging
import re
from collections.abc import Callable, Collection, Iterable
from functools import lru_cache
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from decant_cloud.emulator_patches.engine import engine

__all__ = ["NOT_SIGNED", "UNSIGNED", "Access", "is_api_route", "is_presigned", "is_upload_form", "rejection"]

UNSIGNED = "decant.unsigned"
"""Key of the WSGI environ: the request has no `Authorization` header of AWS."""

NOT_SIGNED = "AWS API requests need an Authorization header (presigned S3 URLs excepted)."

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?", re.IGNORECASE)
_BUCKET = re.compile(r"/[a-z0-9][a-z0-9.-]+/?")
_NAMES = ("localhost", "host.docker.internal", engine.domain)
"""Accepted with their subdomains, which address buckets and APIs."""

_API_HOSTS = (".execute-api.", ".lambda-url.")
_API_PATHS = ("/_aws/execute-api/", "/restapis/")
_LOGGED_CHARACTERS = 200
_SIGNATURES = (
    frozenset({"X-Amz-Signature", "X-Amz-Credential"}),  # version 4
    frozenset({"Signature", "AWSAccessKeyId", "Expires"}),  # version 2
)
_LOG = logging.getLogger("decant.access")

Environ = dict[str, Any]


class Access:
    """WSGI middleware that responds 403 to rejected requests and passes all others on.

    Args:
        application: The engine's gateway.
        cors_origins: Origins whose pages may call the routes of the deployed API; `*` for all.
    """

    def __init__(self, application: Callable[..., Iterable[bytes]], cors_origins: Collection[str] = ()) -> None:
        self._application = application
        self._cors_origins = frozenset(cors_origins)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Handle one request."""
        reason = rejection(environ, self._cors_origins)
        if reason is None:
            environ[UNSIGNED] = not _is_signed(environ)
            return self._application(environ, start_response)
        request = f"{environ['REQUEST_METHOD']} {environ.get('PATH_INFO', '')}"[:_LOGGED_CHARACTERS]
        _LOG.warning("Rejected %r: %s", request, reason)
        body = f"{reason}\n".encode()
        status = HTTPStatus.FORBIDDEN
        headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
        start_response(f"{status.value} {status.phrase}", headers)
        return [body]


def rejection(environ: Environ, cors_origins: Collection[str]) -> str | None:
    """Reason for which a request is rejected; None for an accepted request.

    Args:
        environ: WSGI environ of the request.
        cors_origins: As of `Access`.
    """
    host = environ.get("HTTP_HOST", "")
    if not _is_own_name(host):
        return f"Host {host!r} is not a name of this gateway; use 127.0.0.1 or localhost."
    is_api = is_api_route(environ, host)
    origin, site = environ.get("HTTP_ORIGIN"), environ.get("HTTP_SEC_FETCH_SITE", "none")
    if not (is_api and origin is not None and not {origin, "*"}.isdisjoint(cors_origins)):
        if origin is not None and origin.lower() != f"http://{host.lower()}":
            return f"Origin {origin!r} is not allowed; CORS_ORIGIN allows an origin for the routes of the API."
        if site not in {"none", "same-origin"}:
            return f"Sec-Fetch-Site {site!r} is not allowed: the request comes from a page of another origin."
    if is_api or _is_signed(environ) or _is_health_check(environ) or is_presigned(environ) or is_upload_form(environ):
        return None
    return NOT_SIGNED


@lru_cache
def _is_own_name(host: str) -> bool:
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    name = match["name"].lower().removesuffix(".")
    if any(name == own or name.endswith(f".{own}") for own in _NAMES):
        return True
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def is_api_route(environ: Environ, host: str) -> bool:
    """The request is for a route of a deployed API or a function's URL, by the rules of the engine's router."""
    path = environ.get("PATH_INFO", "")
    is_api_path = path.startswith(_API_PATHS[0]) or (path.startswith(_API_PATHS[1]) and "/_user_request_" in path)
    return is_api_path or any(part in host.lower() for part in _API_HOSTS)


def _is_signed(environ: Environ) -> bool:
    """Only schemes of AWS count: a browser can add `Basic` by itself, from a URL with a user name."""
    return bool(environ.get("HTTP_AUTHORIZATION", "").upper().startswith("AWS"))


def _is_health_check(environ: Environ) -> bool:
    return environ["REQUEST_METHOD"] in {"GET", "HEAD"} and environ.get("PATH_INFO") == engine.health_path


def is_presigned(environ: Environ) -> bool:
    """The query holds a signature for S3. The handler in `server` makes sure that the engine selects S3."""
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    if environ.get("PATH_INFO", "").startswith("/_") or "Action" in query or "HTTP_X_AMZ_TARGET" in environ:
        return False
    scope = query.get("X-Amz-Credential", ["/s3/"])[0]
    return "/s3/" in scope and any(names <= query.keys() for names in _SIGNATURES)


def is_upload_form(environ: Environ) -> bool:
    """The request is a form for a bucket, whose policy and signature S3 checks. As for `is_presigned`, see `server`."""
    return (
        environ["REQUEST_METHOD"] == "POST"
        and environ.get("CONTENT_TYPE", "").startswith("multipart/form-data")
        and _BUCKET.fullmatch(environ.get("PATH_INFO", "")) is not None
        and not environ.get("QUERY_STRING")
        and "HTTP_X_AMZ_TARGET" not in environ
    )
