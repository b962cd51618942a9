"""An app's answer as the JSON that API Gateway, function URLs and load balancers take.

Source: AWS, "Output format of a Lambda function for proxy integration" (REST APIs: format 1.0), "Create AWS Lambda
proxy integrations for HTTP APIs" (format 2.0, also of function URLs), "Lambda functions as targets" (load balancers).
"""

from base64 import b64encode
from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from typing import Any

from decant.asgi.response import Answer

__all__ = ["WholeAnswer"]

type _Headers = list[tuple[str, str]]

_TEXTS = frozenset(
    {
        "application/javascript",
        "application/json",
        "application/x-ndjson",
        "application/xml",
        "application/yaml",
    }
)


class WholeAnswer(Answer):
    """An answer that leaves in one piece."""

    __slots__ = ("_chunks", "_head")

    def __init__(self, *, head_request: bool) -> None:
        super().__init__(head_request=head_request)
        self._chunks: list[bytes] = []

    def take_head(self, status: int, headers: _Headers) -> None:
        """Keep them."""
        self._head = status, headers

    def take_chunk(self, chunk: bytes, *, more: bool) -> None:  # noqa: ARG002  # a whole has no more
        """Keep it."""
        self._chunks.append(chunk)

    def to(self, event: dict[str, Any], *more_headers: tuple[str, str]) -> dict[str, Any]:
        """The answer to the event, in the format of its kind."""
        status, headers = self._head
        headers = [*headers, *more_headers]
        answer: dict[str, Any] = {"statusCode": status}
        request = event["requestContext"]
        if "http" in request:
            answer |= _format_2(headers)
        elif "elb" in request:
            answer |= _load_balancers(headers, several="multiValueHeaders" in event)
        else:
            answer |= _format_1(headers)
        answer["body"], answer["isBase64Encoded"] = _body(b"".join(self._chunks), headers)
        return answer


def _format_1(headers: _Headers) -> dict[str, Any]:
    single: dict[str, str] = {}
    several: dict[str, list[str]] = {}
    for name, value in headers:
        if name in several:
            several[name].append(value)
        elif name in single:
            several[name] = [single.pop(name), value]
        else:
            single[name] = value
    return {"headers": single, "multiValueHeaders": several}


def _format_2(headers: _Headers) -> dict[str, Any]:
    cookies = [value for name, value in headers if name == "set-cookie"]
    answer: dict[str, Any] = {"headers": _joined(headers)}
    if cookies:
        answer["cookies"] = cookies
    return answer


def _load_balancers(headers: _Headers, *, several: bool) -> dict[str, Any]:
    """A balancer takes headers in the form in which it sends them."""
    if several:
        every: dict[str, list[str]] = {}
        for name, value in headers:
            every.setdefault(name, []).append(value)
        return {"multiValueHeaders": every}
    cookies = [value for name, value in headers if name == "set-cookie"]
    return {"headers": _joined(headers) | dict(zip(_spellings("set-cookie"), cookies, strict=False))}


def _joined(headers: _Headers) -> dict[str, str]:
    """One value a name; cookies, which cannot be joined, are left out."""
    joined: dict[str, str] = {}
    for name, value in headers:
        if name in joined:
            joined[name] = f"{joined[name]}, {value}"
        elif name != "set-cookie":
            joined[name] = value
    return joined


def _spellings(name: str) -> Iterator[str]:
    """The name in small and capital letters, each time otherwise: to the client the same, in JSON another member."""
    yield from map("".join, product(*[(letter, letter.upper()) if letter.isalpha() else letter for letter in name]))


def _body(body: bytes, headers: _Headers) -> tuple[str, bool]:
    """The body, and whether it is in base64: text goes as it is."""
    content_type = next((value for name, value in headers if name == "content-type"), "")
    if not body or _is_text(content_type):
        try:
            return body.decode(), False
        except UnicodeDecodeError:  # compressed, or in another encoding
            pass
    return b64encode(body).decode(), True


@lru_cache(maxsize=256)
def _is_text(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind in _TEXTS or kind.startswith("text/") or kind.endswith(("+json", "+xml", "+yaml"))
