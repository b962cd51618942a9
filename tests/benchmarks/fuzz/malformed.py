"""Malformed HTTP/1.1: framing, request lines, header lines, requests that end early, pipelines."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tests.benchmarks.fuzz.drafts import Draft, Subject, valid_draft
from tests.benchmarks.fuzz.exchange import Ending
from tests.benchmarks.fuzz.routes import Route

__all__ = ["RawRequest", "malformed", "written"]


@dataclass(frozen=True, kw_only=True)
class RawRequest:
    """Bytes to send.

    Attributes:
        kind: Names of the changes to a valid request.
        methods: Methods of the requests in it.
        ending: What the client does when all is sent.
        is_malformed: The server may close the connection without a response.
    """

    route: Route
    kind: str
    pieces: tuple[bytes, ...]
    methods: tuple[str, ...]
    ending: Ending = Ending.WAIT
    is_malformed: bool = False


def written(random: Random, draft: Draft, subject: Subject) -> RawRequest:
    """A well-formed request, seldom in several pieces."""
    data = draft.head(draft.target(subject.prefix)) + draft.content()
    pieces: tuple[bytes, ...] = (data,)
    if random.random() < 0.1:
        places = sorted(random.randrange(len(data) + 1) for _ in range(4))
        pieces = tuple(data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True))
    kind = "+".join(draft.changes) or "valid"
    return RawRequest(route=draft.route, kind=kind, pieces=pieces, methods=(draft.method,))


def malformed(random: Random, route: Route, subject: Subject) -> RawRequest:
    """A request that is not HTTP/1.1, or that ends in an unusual way."""
    draft = valid_draft(random, route, subject)
    make = random.choice(_KINDS)
    pieces, ending, count = make(random, draft, subject)
    return RawRequest(
        route=route,
        kind=make.__name__.strip("_"),
        pieces=pieces,
        methods=(draft.method,) * count,
        ending=ending,
        is_malformed=True,
    )


type _Made = tuple[tuple[bytes, ...], Ending, int]


def _whole(data: bytes) -> _Made:
    """The client sends all it has and half-closes, so that a server that expects more cannot wait for it."""
    return (data,), Ending.HALF_CLOSE, 1


def _content_length(random: Random, draft: Draft, subject: Subject) -> _Made:
    draft.body = draft.body or b"{}"
    length = len(draft.body)
    values = [b"-1", b"+2", b"0x10", b"1e1", b"", b"2, 2", b"2,3", b"9" * 30, b"\xb2", b"1 1", b"%d" % (length + 5)]
    head = re.sub(rb"(?<=Content-Length: )\d+", random.choice(values), draft.head(draft.target(subject.prefix)))
    return (head + draft.body,), random.choice([Ending.HALF_CLOSE, Ending.CLOSE]), 1


def _two_lengths(random: Random, draft: Draft, subject: Subject) -> _Made:
    draft.body = draft.body or b"{}"
    other = random.choice(
        [
            b"Content-Length: %d" % len(draft.body),
            b"Content-Length: 0",
            b"Content-Length: 99",
            b"Transfer-Encoding: chunked",
            b"Transfer-Encoding: gzip, chunked",
            b"Transfer-Encoding: identity",
            b"Transfer-Encoding: xchunked",
            b"Transfer-Encoding : chunked",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        ]
    )
    head = draft.head(draft.target(subject.prefix))[:-2] + other + b"\r\n\r\n"
    return _whole(head + draft.body)


def _chunk_sizes(random: Random, draft: Draft, subject: Subject) -> _Made:
    draft.body, draft.chunks = b"{}", []
    body = random.choice(
        [
            b"-1\r\n{}\r\n0\r\n\r\n",
            b"zz\r\n{}\r\n0\r\n\r\n",
            b"0x2\r\n{}\r\n0\r\n\r\n",
            b"f" * 40 + b"\r\n{}\r\n0\r\n\r\n",
            b"1\r\n{}\r\n0\r\n\r\n",
            b"5\r\n{}\r\n0\r\n\r\n",
            b"2{}0\r\n\r\n",
            b"2\n{}\n0\n\n",
            b"2;" + b"a" * 70_000 + b"\r\n{}\r\n0\r\n\r\n",
            b"2\r\n{}\r\n",
            b"2\r\n{}\r\n0\r\nX: y\r\nContent-Length: 5\r\n\r\n",
            b"\r\n",
        ]
    )
    return _whole(draft.head(draft.target(subject.prefix)) + body)


def _header_lines(random: Random, draft: Draft, subject: Subject) -> _Made:
    line = random.choice(
        [
            b"Content_Length: 5",
            b"X_Correlation_Id: a",
            b"X Y: 1",
            b" X-Folded: 1",
            b"X-Folded: 1\r\n continued",
            b"X-Space : 1",
            b": empty",
            b"no colon",
            b"X-Nul: a\0b",
            b"X-Control: \x01\x7f",
            b"X-Return: a\rb",
            b"X-Line: a\nInjected: b",
            b"X-\xe9: 1",
            b"Host: other.example",
            b"Host: a b",
            b"Host:",
            b"\0",
        ]
    )
    return _whole(draft.head(draft.target(subject.prefix))[:-2] + line + b"\r\n\r\n" + (draft.body or b""))


def _request_line(random: Random, draft: Draft, subject: Subject) -> _Made:
    method, target = draft.method.encode(), draft.target(subject.prefix)
    line = random.choice(
        [
            b"",
            b"GET",
            b"%s %s" % (method, target),
            b"%s %s HTTP/9.9" % (method, target),
            b"%s %s HTTP/2.0" % (method, target),
            b"%s %s http/1.1" % (method, target),
            b"%s %s HTTP/1.1 extra" % (method, target),
            b"%s  %s  HTTP/1.1" % (method, target),
            b"%s %s a HTTP/1.1" % (method, target),
            b"%s %s\xff\xe9 HTTP/1.1" % (method, target),
            b"%s %s\0 HTTP/1.1" % (method, target),
            b"%s %s#fragment HTTP/1.1" % (method, target),
            b"%s %s HTTP/1.1" % (method, b"/" + b"a" * 100_000),
            b"%s %s HTTP/1.1" % (b"G" * 70_000, target),
            b"G\0T %s HTTP/1.1" % target,
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"PRI * HTTP/2.0",
        ]
    )
    rest = draft.head(target).partition(b"\r\n")[2]
    return _whole(line + b"\r\n" + rest + (draft.body or b""))


def _target_forms(random: Random, draft: Draft, subject: Subject) -> _Made:
    target = draft.target(subject.prefix)
    forms = [
        b"http://" + subject.host + target,
        b"http://evil.example" + target,
        b"https://user:password@" + subject.host + target,
        b"http://[::1" + target,
        b"http:" + target,
        b"//evil.example" + target,
        b"*",
        subject.host,
        b"file:///etc/passwd",
        target.lstrip(b"/"),
    ]
    return _whole(draft.head(random.choice(forms)) + (draft.body or b""))


def _line_ends(random: Random, draft: Draft, subject: Subject) -> _Made:
    head = draft.head(draft.target(subject.prefix))
    end = random.choice([b"\n", b"\r", b"\r\r\n"])
    return _whole(random.choice([head.replace(b"\r\n", end), b"\r\n\r\n" + head, b"\0" + head]) + (draft.body or b""))


def _cut(random: Random, draft: Draft, subject: Subject) -> _Made:
    if random.random() < 0.3:
        draft.chunks = [5]
    data = draft.head(draft.target(subject.prefix)) + draft.content()
    return (data[: random.randrange(len(data))],), random.choice([Ending.HALF_CLOSE, Ending.CLOSE]), 1


def _pipeline(random: Random, draft: Draft, subject: Subject) -> _Made:
    draft.headers = [header for header in draft.headers if header[0] != b"Connection"]
    data = draft.head(draft.target(subject.prefix)) + draft.content()
    count = random.choice([2, 3, 10])
    rest = random.choice([b"", b"", data[: len(data) // 2], b"\0\0\0"])
    return (data * count + rest,), Ending.WAIT, count


def _random_bytes(random: Random, _draft: Draft, _subject: Subject) -> _Made:
    return _whole(random.randbytes(random.choice([1, 20, 2_000, 100_000])))


_KINDS: tuple[Callable[[Random, Draft, Subject], _Made], ...] = (
    _content_length,
    _two_lengths,
    _chunk_sizes,
    _header_lines,
    _request_line,
    _target_forms,
    _line_ends,
    _cut,
    _pipeline,
    _random_bytes,
)
