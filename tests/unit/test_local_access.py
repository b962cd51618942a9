"""Requests that the local cloud's gateway rejects because a web page can send them."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decant_cloud.emulator_patches.access import Access, rejection

SIGNED = {"HTTP_AUTHORIZATION": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sqs/aws4_request"}
API = {"PATH_INFO": "/_aws/execute-api/decant-api/local/async"}
PRESIGNED = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a/20260101/us-east-1/s3/aws4_request&X-Amz-Signature=0"


def request(**changed: str) -> dict[str, Any]:
    """WSGI environ of a request to an AWS API, as `curl` sends it."""
    plain = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "QUERY_STRING": "", "HTTP_HOST": "127.0.0.1:4566"}
    return {**plain, **changed}


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("127.0.0.1:4566", id="IPv4"),
        pytest.param("[::1]:4566", id="IPv6"),
        pytest.param("172.17.0.1:4566", id="bridge of a container engine"),
        pytest.param("LocalHost", id="name without a port"),
        pytest.param("localhost.:4566", id="absolute name"),
        pytest.param("bucket.localhost:4566", id="subdomain of localhost"),
        pytest.param("host.docker.internal:4566", id="host, from a container"),
        pytest.param("bucket.s3.us-east-1.localhost.localstack.cloud:4566", id="name of the emulator"),
    ],
)
def test_access_accepts_own_names(host: str) -> None:
    """Clients reach the gateway by every name that cannot be rebound."""
    assert rejection(request(HTTP_HOST=host, **SIGNED), ()) is None


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("", id="no Host"),
        pytest.param("evil.example:4566", id="rebound name"),
        pytest.param("evillocalhost", id="suffix without a dot"),
        pytest.param("localhost.evil.example", id="own name as a prefix"),
        pytest.param("127.0.0.1.evil.example", id="address as a prefix"),
        pytest.param("evil.example,127.0.0.1", id="two Host headers"),
        pytest.param("127.0.0.1:4566@evil.example", id="user name"),
        pytest.param("2130706433", id="address as a number"),
    ],
)
def test_access_rejects_foreign_hosts(host: str) -> None:
    """A name that an attacker controls is rejected, signed or not, also for the routes of the API."""
    assert "is not a name of this gateway" in str(rejection(request(HTTP_HOST=host, **SIGNED), {"*"}))
    assert "is not a name of this gateway" in str(rejection(request(HTTP_HOST=host, **API), {"*"}))


@given(st.text())
def test_access_survives_any_host(host: str) -> None:
    """No value of Host raises an exception."""
    rejection(request(HTTP_HOST=host), ())


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("Action=CreateStack&TemplateBody={}", id="query protocol"),
        pytest.param(f"Action=CreateStack&TemplateBody={{}}&{PRESIGNED}", id="query protocol, presigned"),
        pytest.param(PRESIGNED.replace("/s3/", "/cloudformation/"), id="presigned for another service"),
        pytest.param("X-Amz-Signature=0", id="half a signature"),
        pytest.param("", id="list of buckets"),
    ],
)
def test_access_rejects_unsigned_requests(query: str) -> None:
    """A request without an Authorization header is executed for no AWS API."""
    assert "Authorization" in str(rejection(request(QUERY_STRING=query), ()))


@pytest.mark.parametrize("header", ["Basic dGVzdDp0ZXN0", "Bearer token", ""])
def test_access_rejects_authorization_that_is_not_of_aws(header: str) -> None:
    """Browsers add `Basic` by themselves."""
    assert "Authorization" in str(rejection(request(HTTP_AUTHORIZATION=header), ()))


@pytest.mark.parametrize(
    "accepted",
    [
        pytest.param(SIGNED, id="signed"),
        pytest.param({"PATH_INFO": "/bucket/key", "QUERY_STRING": PRESIGNED}, id="presigned S3 URL, version 4"),
        pytest.param(
            {"PATH_INFO": "/bucket/key", "QUERY_STRING": "AWSAccessKeyId=a&Signature=b&Expires=1"},
            id="presigned S3 URL, version 2",
        ),
        pytest.param({"PATH_INFO": "/_localstack/health"}, id="health check"),
        pytest.param(API, id="route of the API"),
        pytest.param({"PATH_INFO": "/restapis/decant-api/local/_user_request_/async"}, id="route, older path"),
        pytest.param({"HTTP_HOST": "decant-api.execute-api.localhost.localstack.cloud:4566"}, id="route by host"),
        pytest.param({**API, "HTTP_SEC_FETCH_SITE": "none"}, id="address bar"),
        pytest.param({**API, "HTTP_ORIGIN": "http://127.0.0.1:4566"}, id="page of the API"),
    ],
)
def test_access_accepts(accepted: dict[str, str]) -> None:
    """AWS clients, presigned URLs, the routes of the API and the health check work."""
    assert rejection(request(**accepted), ()) is None


@pytest.mark.parametrize("kind", [pytest.param(SIGNED, id="AWS API"), pytest.param(API, id="route of the API")])
@pytest.mark.parametrize(
    "page",
    [
        pytest.param({"HTTP_SEC_FETCH_SITE": "cross-site"}, id="cross-site"),
        pytest.param({"HTTP_SEC_FETCH_SITE": "same-site"}, id="another port"),
        pytest.param({"HTTP_ORIGIN": "http://evil.example"}, id="foreign origin"),
        pytest.param({"HTTP_ORIGIN": "http://localhost.localstack.cloud:8000"}, id="origin on another port"),
        pytest.param({"HTTP_ORIGIN": "null"}, id="sandboxed page"),
    ],
)
def test_access_rejects_other_pages(page: dict[str, str], kind: dict[str, str]) -> None:
    """Requests of pages of other origins are rejected without CORS_ORIGIN."""
    assert "is not allowed" in str(rejection(request(**kind, **page), ()))


@pytest.mark.parametrize("allowed", ["http://shop.example", "*"])
def test_access_applies_cors_origin_to_routes_alone(allowed: str) -> None:
    """A page of CORS_ORIGIN may call the routes of the API, and no AWS API."""
    page = {"HTTP_ORIGIN": "http://shop.example", "HTTP_SEC_FETCH_SITE": "cross-site"}

    assert rejection(request(**API, **page), {allowed}) is None
    assert "Origin" in str(rejection(request(**SIGNED, **page), {allowed}))


def test_access_responds_with_the_reason() -> None:
    """A rejected request does not reach the application; the response contains the reason."""
    heads: list[str] = []

    def application(*_: Any) -> Iterable[bytes]:
        raise AssertionError

    body = Access(application)(request(), lambda status, _headers: heads.append(status))

    assert heads == ["403 Forbidden"]
    assert b"".join(body) == b"AWS API requests need an Authorization header (presigned S3 URLs excepted).\n"
