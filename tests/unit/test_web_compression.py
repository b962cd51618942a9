"""Compression of responses in Lambda."""

import base64
import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, Response, request

from decant import runtime
from decant.web import etag, lambda_handler
from decant.web.compression import accepts_gzip
from decant_cloud.template.model import Template
from tests.loading import ROOT, Context, rest_request

pytestmark = pytest.mark.usefixtures("kept_logs")

TEXT = "Ada Lovelace, " * 500
GZIP = {"Accept_Encoding": "gzip"}


@pytest.fixture(autouse=True)
def compression(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Compression above 1,000 bytes."""
    monkeypatch.setenv("COMPRESS_OVER_BYTES", "1000")
    runtime.current().reload()
    yield
    monkeypatch.undo()
    runtime.current().reload()


def respond(response: Any, method: str = "GET", **headers: str) -> tuple[dict[str, Any], dict[str, str], bytes]:
    """Response of an app that returns this, or what this function returns: the whole, its headers and its body."""
    app = Flask("compressed")

    @app.route("/", methods=["GET", "PUT"])
    async def view() -> Any:
        return response() if callable(response) and not isinstance(response, Response) else response

    made = lambda_handler(app, secure_defaults=False)(rest_request("/", method, **headers), Context())
    body = base64.b64decode(made["body"]) if made["isBase64Encoded"] else made["body"].encode()
    return made, dict(made["headers"]), body


def test_large_text_is_compressed() -> None:
    """Content-Length is that of the compressed body."""
    _made, headers, body = respond(TEXT, **GZIP)

    assert gzip.decompress(body).decode() == TEXT
    assert (headers["content-encoding"], headers["vary"]) == ("gzip", "Accept-Encoding")
    assert int(headers["content-length"]) == len(body) < len(TEXT)


def test_same_body_has_the_same_bytes() -> None:
    """The compressed body contains no time."""
    assert respond(TEXT, **GZIP)[2] == respond(TEXT, **GZIP)[2]


@pytest.mark.parametrize(
    "response",
    [
        pytest.param("small", id="small"),
        pytest.param(Response(TEXT, content_type="image/png"), id="image"),
        pytest.param(Response(TEXT, content_type="text/event-stream"), id="server-sent events"),
        pytest.param(Response(TEXT, headers={"Content-Encoding": "br"}), id="encoded by the app"),
        pytest.param(Response(TEXT, headers={"Cache-Control": "no-transform"}), id="no-transform"),
        pytest.param(Response(TEXT, 206), id="part of a file"),
        pytest.param(Response(TEXT, 204), id="no content"),
    ],
)
def test_response_is_left_as_it_is(response: Any) -> None:
    """It is small, compressed already, or must not be changed."""
    _made, headers, _body = respond(response, **GZIP)

    assert headers.get("content-encoding") in {None, "br"}
    assert "vary" not in headers


def test_head_has_no_body() -> None:
    """Nothing is compressed."""
    _made, headers, body = respond(TEXT, "HEAD", **GZIP)

    assert (body, headers.get("content-encoding")) == (b"", None)


def test_client_that_does_not_accept_gzip_gets_text() -> None:
    """Caches learn that the response depends on Accept-Encoding."""
    made, headers, body = respond(TEXT)

    assert (made["isBase64Encoded"], body.decode(), headers["vary"]) == (False, TEXT, "Accept-Encoding")


def test_vary_of_the_app_is_kept() -> None:
    """Its names come first."""
    _made, headers, _body = respond(Response(TEXT, headers={"Vary": "Origin"}), **GZIP)

    assert headers["vary"] == "Origin, Accept-Encoding"


@pytest.mark.parametrize(
    ("header", "accepts"),
    [
        ("gzip", True),
        ("gzip, deflate, br", True),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        ("*", True),
        ("GZIP;Q=0.5", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("*;q=0", False),
        ("deflate", False),
        ("gzip;q=0.5, identity", False),
        ("gzip;q=many", False),
    ],
)
def test_accept_encoding_is_read(header: str, accepts: bool) -> None:  # noqa: FBT001  # a row of the table
    """With qualities and wildcards."""
    assert accepts_gzip(header) is accepts


def versioned() -> Any:
    """A resource with a version."""
    return TEXT, 200, etag(7)


def test_tag_of_the_compressed_body_is_its_own() -> None:
    """A strong tag identifies bytes; a weak tag stays."""
    plain, compressed = respond(versioned)[1]["etag"], respond(versioned, **GZIP)[1]["etag"]
    weak = respond(Response(TEXT, headers={"ETag": 'W/"a"'}), **GZIP)[1]["etag"]

    assert compressed == plain[:-1] + '-gzip"'
    assert weak == 'W/"a"'


def test_conditional_requests_work_with_both_tags() -> None:
    """304 has the tag that the client has; If-Match compares without the suffix."""
    plain, compressed = respond(versioned)[1]["etag"], respond(versioned, **GZIP)[1]["etag"]
    for tag, more in ((plain, {}), (compressed, GZIP)):
        made, headers, body = respond(versioned, If_None_Match=tag, **more)

        assert (made["statusCode"], headers["etag"], body) == (304, tag, b"")
        assert respond(versioned, "PUT", If_Match=tag, **more)[0]["statusCode"] == 200
    assert respond(versioned, "PUT", If_Match='"other-gzip"', **GZIP)[0]["statusCode"] == 412


def test_response_over_lambdas_limit_passes_compressed() -> None:
    """The limit is that of the compressed body."""
    made, _headers, body = respond("x" * 7_000_000, **GZIP)

    assert (made["statusCode"], len(gzip.decompress(body))) == (200, 7_000_000)
    assert len(json.dumps(made)) < 100_000


def test_request_of_the_app_has_the_tags_without_the_suffix() -> None:
    """Also in lists."""

    def seen() -> str:
        return str(request.headers["If-None-Match"])

    assert respond(seen, If_None_Match='"a-gzip", W/"b", "c"')[2] == b'"a", W/"b", "c"'


def test_gateway_does_not_compress() -> None:
    """The API of the template has no MinimumCompressionSize, so that no body is compressed twice."""
    [api] = Template(ROOT).resources("AWS::Serverless::Api").values()

    assert "MinimumCompressionSize" not in api
