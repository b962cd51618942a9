"""Signed calls of AWS's APIs, for SQS, Secrets Manager and CloudFormation.

Source: AWS JSON protocol.
"""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import msgspec

from decant._aws import AwsSettings
from decant._aws.request import request
from decant._aws.sigv4 import CredentialScope, credentials, sign_headers
from decant.config import load
from decant.errors import AwsUnavailable

__all__ = ["call"]


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
        AwsUnavailable: there was no response, or it is an error; retrying may help, except for some values of `code`.
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
