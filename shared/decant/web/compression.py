"""Compress responses with gzip in Lambda, where nothing before the function does.

A compressed response has an entity tag of its own, `"…-gzip"`, because a strong tag identifies the bytes of the body.
The app reads and writes tags without the suffix.

Source: RFC 9110 sections 8.4 (Content-Encoding), 8.8.3 (ETag), 12.5.3 (Accept-Encoding) and 12.5.5 (Vary), RFC 9111
section 5.2.2.6 (no-transform).
"""

import zlib
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from decant.web.events.rest import Headers, is_text
from decant.web.wsgi import BufferedResponse

__all__ = ["accepts_gzip", "compress", "restore_tags", "with_suffix"]

_SUFFIX = '-gzip"'
_CONDITIONS = ("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH")
_LEVEL = 6
_GZIP = 31
"""zlib's `wbits` for gzip; its header then has no time, so that the same body has the same bytes."""


def restore_tags(environ: dict[str, Any]) -> bool:
    """Remove the suffix from the tags of a request's conditions; returns whether there was one."""
    found = False
    for name in _CONDITIONS:
        if _SUFFIX in environ.get(name, ""):
            environ[name] = environ[name].replace(_SUFFIX, '"')
            found = True
    return found


def compress(response: BufferedResponse, accept_encoding: str) -> None:
    """Compress the body of a response if it is text and the client accepts it.

    Args:
        response: Its body is large enough to be compressed.
        accept_encoding: The request's header, empty when there is none.
    """
    given = dict(response.headers)
    kind = given.get("content-type", "")
    if (
        response.status == HTTPStatus.PARTIAL_CONTENT
        or "content-encoding" in given
        or "no-transform" in given.get("cache-control", "")
        or kind.startswith("text/event-stream")
        or not is_text(kind, None)
    ):
        return
    response.headers = _with_vary(response.headers)
    if accepts_gzip(accept_encoding):
        response.body = zlib.compress(response.body, _LEVEL, _GZIP)
        of_body = {"content-length": str(len(response.body))}
        headers = [(name, of_body.get(name, value)) for name, value in with_suffix(response.headers)]
        response.headers = [*headers, ("content-encoding", "gzip")]


def with_suffix(headers: Headers) -> Headers:
    """The headers with the entity tag of the compressed body. A weak tag identifies both encodings."""
    return [
        (name, f"{value[:-1]}{_SUFFIX}" if name == "etag" and value.startswith('"') else value)
        for name, value in headers
    ]


def _with_vary(headers: Headers) -> Headers:
    given = [value for name, value in headers if name == "vary"]
    if any("accept-encoding" in value.lower() or value.strip() == "*" for value in given):
        return headers
    return [*(each for each in headers if each[0] != "vary"), ("vary", ", ".join([*given, "Accept-Encoding"]))]


@lru_cache(maxsize=256)
def accepts_gzip(header: str) -> bool:
    """Whether a client that sends this Accept-Encoding accepts gzip, and does not prefer no encoding."""
    qualities: dict[str, float] = {}
    for part in header.lower().split(","):
        coding, _, parameter = part.partition(";")
        name, _, value = parameter.strip().partition("=")
        try:
            qualities[coding.strip()] = float(value) if name.strip() == "q" else 1.0
        except ValueError:
            qualities[coding.strip()] = 0.0
    gzip = qualities.get("gzip", qualities.get("*", 0.0))
    return gzip > 0 and gzip >= qualities.get("identity", 0.0)
