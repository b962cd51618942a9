"""Valid requests of routes, before they are written as HTTP/1.1."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from urllib.parse import quote
from uuid import UUID

from tests.benchmarks.fuzz.routes import Route
from tests.benchmarks.fuzz.tokens import Tokens
from tests.benchmarks.fuzz.values import valid_value

__all__ = ["Draft", "Subject", "valid_draft"]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The server under test.

    Attributes:
        name: For people.
        address: Host and port.
        prefix: Path below which the routes are.
        tokens: Authorization headers for it.
        path_values: Values of path variables that exist there.
    """

    name: str
    address: tuple[str, int]
    prefix: str
    tokens: Tokens
    path_values: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def host(self) -> bytes:
        """Value of the Host header."""
        return f"{self.address[0]}:{self.address[1]}".encode()


@dataclass(kw_only=True)
class Draft:
    """A request before it is written.

    Attributes:
        path: Below the prefix, percent-encoded.
        query: Parameters, percent-encoded, such as `name=value`.
        chunks: Lengths of the body's chunks, for a request without Content-Length; None for one with it.
        changes: Names of the changes that were made to the valid request.
    """

    route: Route
    method: str
    path: str
    query: list[str]
    headers: list[tuple[bytes, bytes]]
    body: bytes | None
    chunks: list[int] | None = None
    version: bytes = b"1.1"
    changes: list[str] = field(default_factory=list)

    def target(self, prefix: str) -> bytes:
        """Path and query as they are sent."""
        query = f"?{'&'.join(self.query)}" if self.query else ""
        path = prefix + self.path
        return f"{'' if path.startswith('/') else '/'}{path}{query}".encode()

    def head(self, target: bytes) -> bytes:
        """Request line and headers, with the empty line."""
        lines = [b"%s %s HTTP/%s" % (self.method.encode(), target, self.version)]
        lines += [b"%s: %s" % header for header in [*self.headers, *self._framing()]]
        return b"\r\n".join([*lines, b"", b""])

    def content(self) -> bytes:
        """The body as it is sent."""
        if self.body is None or self.chunks is None:
            return self.body or b""
        parts, rest = [], self.body
        for length in [*self.chunks, len(rest)]:
            if part := rest[:length]:
                parts.append(b"%x\r\n%s\r\n" % (len(part), part))
            rest = rest[length:]
        return b"".join([*parts, b"0\r\n\r\n"])

    def _framing(self) -> list[tuple[bytes, bytes]]:
        if self.body is None:
            return []
        if self.chunks is not None:
            return [(b"Transfer-Encoding", b"chunked")]
        return [(b"Content-Length", str(len(self.body)).encode())]


def valid_draft(random: Random, route: Route, subject: Subject) -> Draft:
    """A valid request of a route, with values of its own."""
    path = route.path
    for name, sample in route.path_values.items():
        path = path.replace(f"{{{name}}}", random.choice([*subject.path_values.get(name, ()), sample]))
    headers = [(b"Host", subject.host), (b"Connection", b"close")]
    if route.needs_token or random.random() < 0.2:
        headers.append((b"Authorization", subject.tokens.valid))
    body = None
    if route.body is not None:
        body = json.dumps(_members(random, route)).encode()
        headers.append((b"Content-Type", b"application/json"))
    query = route.query if random.random() < 0.5 or body is not None else _members(random, route)
    given = [(name, item) for name, value in query.items() for item in (value if isinstance(value, list) else [value])]
    pairs = [f"{name}={quote(str(item))}" for name, item in given if item is not None]
    return Draft(route=route, method=route.method, path=path, query=pairs, headers=headers, body=body)


def _members(random: Random, route: Route) -> dict[str, object]:
    """The sample's members, or some of those that the function declares."""
    sample = json.loads(route.body or "{}")
    members = {
        name: sample[name] if name in sample else valid_value(random, schema)
        for name, schema in route.fields.items()
        if name in sample or random.random() < 0.4
    }
    for name, value in members.items():
        if isinstance(value, str) and "@" in value:  # addresses are unique
            members[name] = f"{UUID(int=random.getrandbits(128))}@example.com"
    if "seconds" in route.fields:  # tasks that are over soon
        members["seconds"] = random.choice([0, 0.01, 0.1])
    return members
