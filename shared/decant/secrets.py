"""Secrets by reference: read from AWS Secrets Manager when first needed, and kept until told otherwise."""

import asyncio
import json
import urllib.error
import urllib.request
from datetime import UTC, datetime

from decant import loop
from decant._aws import AwsSettings
from decant._aws.credentials import CredentialsUnavailable, credentials
from decant._aws.sigv4 import Scope, signed
from decant.config import load

__all__ = ["SecretUnavailable", "secret"]

_kept: dict[str, str] = {}
_TIMEOUT_S = 5.0


class SecretUnavailable(Exception):
    """The secret could not be read: it is not there, not allowed, or the service did not answer."""


async def secret(identifier: str, *, fresh: bool = False) -> str:
    """The text of a secret.

    Args:
        identifier: Its ARN or its name.
        fresh: Ask again, also when it is known: it may have been rotated.
    Raises:
        SecretUnavailable: it could not be read; where the service did not answer, retrying helps.
    """
    if not _kept:
        loop.on_close(_forget)
    if fresh or identifier not in _kept:
        _kept[identifier] = await _read(identifier)
    return _kept[identifier]


async def _forget() -> None:
    """Read them anew, so that none are kept in a snapshot."""
    _kept.clear()


async def _read(identifier: str) -> str:
    aws = load(AwsSettings)
    url = aws.endpoint_url or f"https://secretsmanager.{aws.region}.amazonaws.com/"
    body = json.dumps({"SecretId": identifier}).encode()
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "secretsmanager.GetSecretValue"}
    scope = Scope(service="secretsmanager", region=aws.region, at=datetime.now(UTC))
    try:
        sent = signed(url, headers, body, await credentials(), scope)
        # Once per process: a thread costs less than importing an HTTP client that many functions never use.
        answer = await asyncio.to_thread(_post, url, sent, body, _TIMEOUT_S)
        text: str = json.loads(answer)["SecretString"]
    except urllib.error.HTTPError as error:
        raise SecretUnavailable(f"{identifier}: {error.code} {_reason(error)}") from error
    except (CredentialsUnavailable, OSError, ValueError, KeyError) as error:
        raise SecretUnavailable(f"{identifier}: {type(error).__name__}: {error}") from error
    return text


def _post(url: str, headers: dict[str, str], body: bytes, timeout_s: float) -> bytes:
    request = urllib.request.Request(url, body, headers)  # noqa: S310  # https, or the endpoint of the settings
    with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310  # likewise
        content: bytes = answer.read()
    return content


def _reason(error: urllib.error.HTTPError) -> str:
    """What kind of refusal it is: AWS names it, and the name holds no secret."""
    with error:
        try:
            return str(json.loads(error.read())["__type"]).rpartition("#")[2]
        except (ValueError, KeyError):
            return str(error.reason)
