"""Requests to AWS over connections that are kept open, for SQS, Secrets Manager and CloudFormation.

It needs no thread, and neither the 400 ms that importing boto3 adds to a cold start nor the 50 to 130 ms of httpx.

Source: AWS JSON protocol.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import msgspec

from decant._aws import AwsSettings
from decant._aws.connections import exchange
from decant._aws.credentials import credentials
from decant._aws.sigv4 import CredentialScope, sign_headers
from decant.config import load
from decant.errors import AwsUnavailable

__all__ = ["Response", "call", "request"]


class Response(msgspec.Struct, frozen=True):
    """A response.

    Attributes:
        status: HTTP status.
    """

    status: int
    body: bytes


class _Error(msgspec.Struct):
    type: str = msgspec.field(name="__type", default="")
    message: str = ""


async def call(service: str, target: str, document: Any, *, url: str | None = None, timeout_s: float = 5.0) -> Any:
    """Call an operation of an API that uses the AWS JSON protocol.

    Args:
        service: Name of the service in its host name and in signatures, such as `sqs`.
        target: Value of `X-Amz-Target`, such as `AmazonSQS.SendMessageBatch`.
        document: The operation's input; anything that msgspec encodes.
        url: Address of the service; by default AWS's own. `AWS_ENDPOINT_URL` overrides both.
        timeout_s: Longest wait for the whole response, seconds.
    Returns:
        The operation's output.
    Raises:
        AwsUnavailable: there was no response, or it is an error; retrying may help unless `code` says otherwise.
        CredentialsUnavailable: there are no AWS credentials.
    """
    settings = load(AwsSettings)
    url = settings.endpoint_url or url or f"https://{service}.{settings.region}.amazonaws.com/"
    version = "1.0" if service == "sqs" else "1.1"
    headers = {"Content-Type": f"application/x-amz-json-{version}", "X-Amz-Target": target}
    body = msgspec.json.encode(document)
    scope = CredentialScope(service=service, region=settings.region, at=datetime.now(UTC))
    response = await request("POST", url, sign_headers(url, headers, body, await credentials(), scope), body, timeout_s)
    try:
        if response.status == HTTPStatus.OK:
            return msgspec.json.decode(response.body)
        error = msgspec.json.decode(response.body, type=_Error)
    except msgspec.DecodeError:
        error = _Error(message=response.body[:500].decode(errors="replace"))
    code = error.type.rpartition("#")[2]
    raise AwsUnavailable(f"{target}: {response.status} {code} {error.message}".rstrip(), code)


async def request(method: str, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> Response:
    """Send a request and read its response.

    A connection that was closed while it was idle, or while this process was frozen, is noticed when it is used. The
    request is then sent again on another connection, and the server may have received it twice.

    Args:
        method: HTTP method.
        url: http or https.
        headers: All headers but Host and Content-Length.
        body: The body.
        timeout_s: Longest wait for the whole response, seconds.
    Raises:
        AwsUnavailable: the server cannot be reached, is too slow, or its response is not HTTP; retrying may help.
    """
    try:
        async with asyncio.timeout(timeout_s):
            return Response(*await exchange(method, url, headers, body))
    except (OSError, TimeoutError, ValueError) as error:
        raise AwsUnavailable(f"{url.partition('?')[0]}: {type(error).__name__}: {error}") from error
