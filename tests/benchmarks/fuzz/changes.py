"""Changes to valid requests that leave them well-formed HTTP/1.1: paths, queries, bodies, headers, framing."""

import gzip
import json
from collections.abc import Callable
from random import Random

from tests.benchmarks.fuzz.drafts import Draft, Subject, valid_draft
from tests.benchmarks.fuzz.routes import Route
from tests.benchmarks.fuzz.values import MEGABYTE, encoded, hostile_json, hostile_text

__all__ = ["changed_draft"]


def changed_draft(random: Random, route: Route, subject: Subject) -> Draft:
    """A valid request with up to three changes."""
    draft = valid_draft(random, route, subject)
    for _ in range(random.choice([0, 1, 1, 1, 2, 2, 3])):
        change = random.choice(_BODY_CHANGES if random.random() < (0.5 if draft.body else 0.1) else _CHANGES)
        draft.changes.append(change.__name__.strip("_"))
        change(random, draft, subject)
    return draft


def _json_members(random: Random, draft: Draft, _subject: Subject) -> None:
    members = [f"{json.dumps(name)}:{hostile_json(random)}" for name in draft.route.fields if random.random() < 0.7]
    random.shuffle(members)
    draft.body = ("{" + ",".join(members) + "}").encode("utf-8", "surrogatepass")


def _unknown_keys(random: Random, draft: Draft, _subject: Subject) -> None:
    count, length = random.choice([(1, 5), (5, 200), (3_000, 20), (50, 10_000), (1, MEGABYTE), (2, 500_000)])
    letter = random.choice(["k", "\0", '"', "é", "\ud800"])
    keys = [json.dumps(f"{number}{letter * (length // len(json.dumps(letter)))}") for number in range(count)]
    valid = (draft.body or b"{}").decode("utf-8", "replace").strip()[1:-1]
    draft.body = ("{" + ",".join([*([valid] if valid else []), *(f"{key}:1" for key in keys)]) + "}").encode()


def _json_root(random: Random, draft: Draft, _subject: Subject) -> None:
    draft.body = hostile_json(random).encode("utf-8", "surrogatepass")


def _bytes(random: Random, draft: Draft, _subject: Subject) -> None:
    body = draft.body or b"{}"
    place = random.randrange(len(body) + 1)
    draft.body = random.choice(
        [
            b"",
            body[:place],
            body[:place] + random.choice([b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\0"]) + body[place:],
            b"\xef\xbb\xbf" + body,
            body.decode("utf-8", "replace").encode("utf-16"),
            random.randbytes(random.choice([1, 100, 10_000])),
            b" " * MEGABYTE + body,
            b"x" * (2 * MEGABYTE),
            b"x" * (7 * MEGABYTE),
            b"name=Ada&email=ada%40example.com",
            b'--x\r\nContent-Disposition: form-data; name="a"; filename="\xff"\r\n\r\n1\r\n--x--\r\n',
            gzip.compress(body),
        ]
    )


def _content_type(random: Random, draft: Draft, _subject: Subject) -> None:
    draft.headers = [header for header in draft.headers if header[0] != b"Content-Type"]
    types = [
        b"text/plain",
        b"application/json; charset=utf-16",
        b"application/json; charset=nonsense",
        b"application/problem+json",
        b"application/x-www-form-urlencoded",
        b"multipart/form-data; boundary=x",
        b"multipart/form-data",
        b"APPLICATION/JSON",
        b"\xff\xfe",
        b";;;=",
    ]
    draft.headers += [(b"Content-Type", kind) for kind in random.sample(types, random.choice([0, 0, 1, 1, 2]))]


def _chunked(random: Random, draft: Draft, _subject: Subject) -> None:
    draft.body = draft.body or b""
    draft.chunks = [random.choice([1, 7, 1_000, 100_000]) for _ in range(random.randrange(4))]


def _query_values(random: Random, draft: Draft, _subject: Subject) -> None:
    names = [*draft.route.fields, "unknown"]
    draft.query = [f"{name}={encoded(random, hostile_text(random))}" for name in names if random.random() < 0.5]


def _null_values(random: Random, draft: Draft, _subject: Subject) -> None:
    draft.query = [f"{name}={random.choice(['null', 'NULL', ''])}" for name in draft.route.fields]


def _query_names(random: Random, draft: Draft, _subject: Subject) -> None:
    count, length = random.choice([(1, 10), (1, 5_000), (300, 10), (20, 200)])
    draft.query += [f"{number}{'n' * length}={number}" for number in range(count)]
    draft.query.append(encoded(random, hostile_text(random)))


def _repeated_query(random: Random, draft: Draft, _subject: Subject) -> None:
    draft.query = [*draft.query, *(f"{name}=1" for name in draft.route.fields)] * random.choice([2, 20])


def _path_values(random: Random, draft: Draft, _subject: Subject) -> None:
    draft.path = draft.route.path
    for name in draft.route.path_values or {"filename": ""}:
        text = random.choice([hostile_text(random), "x" * 5_000, "..", ".", ""])
        draft.path = draft.path.replace(f"{{{name}}}", encoded(random, text))


def _path_shape(random: Random, draft: Draft, _subject: Subject) -> None:
    path = draft.path
    place = random.randrange(len(path) + 1)
    draft.path = random.choice(
        [
            path + "/",
            "/" + path,
            path + "/more/parts",
            path.replace("/", "//"),
            path.replace("/", "/./"),
            "/.." + path,
            "/%2e%2e" + path,
            path.replace("/", "%2F"),
            path.upper(),
            path[:place] + "%" + path[place:],
            path[:place] + "%00" + path[place:],
            path[:place] + ";a=b" + path[place:],
            path + "\\..\\",
            "/" + "a/" * 2_000,
            "",
            "/",
            "".join(f"%{ord(letter):02X}" for letter in path),
        ]
    )


def _headers(random: Random, draft: Draft, subject: Subject) -> None:
    choices: list[list[tuple[bytes, bytes]]] = [
        [(b"X-Correlation-Id", random.choice([b"\xff", b"a" * 5_000, b"a b", b"../..", b"\t", b""]))],
        [(b"Origin", random.choice([b"null", b"https://evil.example", b"\xff", b"http://" + subject.host]))],
        [(b"Sec-Fetch-Site", random.choice([b"cross-site", b"same-origin", b"none", b"junk"]))],
        [(b"Access-Control-Request-Method", b"POST"), (b"Origin", b"https://evil.example")],
        [(b"X-Forwarded-For", b"999.1.1.1, \xff"), (b"X-Forwarded-Proto", b"gopher"), (b"X-Forwarded-Host", b"a b")],
        [(b"Cookie", b"; ".join([b"a=b", b"=;", b"\xff=\xff"]) * 50)],
        [(b"Accept", b"*/*;q=nonsense, \xff"), (b"Accept-Encoding", b"br;q=9"), (b"Accept-Language", b"*" * 500)],
        [(b"Range", b"bytes=5-2,-1,0-99999999999999999999"), (b"If-None-Match", b"\xff"), (b"If-Range", b"x")],
        [(b"If-Modified-Since", b"Thu, 32 Foo 99999 99:99:99 GMT"), (b"Date", b"x")],
        [(b"Expect", random.choice([b"100-continue", b"200-ok"]))],
        [(b"Content-Encoding", random.choice([b"gzip", b"br", b"nonsense"]))],
        [(b"X-HTTP-Method-Override", b"DELETE"), (b"X-Amzn-Trace-Id", b"Root=\xff")],
        [(b"X-Same", str(number).encode()) for number in range(20)],
        [(b"X-Flood-%d" % number, b"x") for number in range(random.choice([150, 1_100, 5_000]))],
        [(b"X-Long", b"v" * random.choice([9_000, 70_000]))],
        [(b"X-" + b"n" * random.choice([300, 9_000]), b"1")],
        [(b"X-Empty", b""), (b"X-Tabs", b"\ta\tb\t"), (b"X-Latin", bytes(range(0xA0, 0x100)))],
        [(b"Upgrade", random.choice([b"websocket", b"h2c", b"x"])), (b"HTTP2-Settings", b"AAMAAABkAAQAAP__")],
        [(b"Authorization", subject.tokens.valid)],
    ]
    draft.headers += random.choice(choices)


def _token(random: Random, draft: Draft, subject: Subject) -> None:
    draft.headers = [header for header in draft.headers if header[0] != b"Authorization"]
    draft.headers.append((b"Authorization", subject.tokens.other(random)))


def _method(random: Random, draft: Draft, _subject: Subject) -> None:
    draft.method = random.choice(
        ["HEAD", "OPTIONS", "GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "get", "X" * 50, "M-SEARCH"]
    )


def _http_version(_random: Random, draft: Draft, _subject: Subject) -> None:
    draft.version = b"1.0"
    draft.headers = [header for header in draft.headers if header[0] != b"Connection"]


type _Change = Callable[[Random, Draft, Subject], None]

_BODY_CHANGES: tuple[_Change, ...] = (
    _json_members,
    _json_members,
    _unknown_keys,
    _json_root,
    _bytes,
    _content_type,
    _chunked,
)
_CHANGES: tuple[_Change, ...] = (
    _query_values,
    _query_values,
    _null_values,
    _query_names,
    _repeated_query,
    _path_values,
    _path_shape,
    _headers,
    _headers,
    _token,
    _method,
    _http_version,
)
