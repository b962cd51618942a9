"""Credentials for AWS, and signatures of requests, without botocore: importing it costs 100 ms of every cold start.

Lambda sets credentials as environment variables, which stay valid for the life of the process, so these are read first.
All other sources (a profile, the container credentials of a function restored by SnapStart) are read through botocore's
chain, which refreshes expiring credentials, in a thread.

Source: AWS Signature Version 4, IAM User Guide.
"""

import asyncio
import hashlib
import hmac
import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from decant import runtime
from decant.config import load, setting, text
from decant.errors import CredentialsUnavailable

if TYPE_CHECKING:
    from botocore.credentials import Credentials as Chain
    from botocore.credentials import ReadOnlyCredentials

__all__ = ["CredentialScope", "Credentials", "credentials", "presign_url", "sign_headers", "sign_policy"]

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, kw_only=True, repr=False)
class Credentials:
    """The keys that requests are signed with. Without a `repr`, so that no log contains them."""

    access_key: str = setting("AWS_ACCESS_KEY_ID", text, "Set by Lambda", default="")
    secret_key: str = setting("AWS_SECRET_ACCESS_KEY", text, "Set by Lambda", default="")
    token: str = setting("AWS_SESSION_TOKEN", text, "Set by Lambda", default="")


async def credentials() -> Credentials:
    """Credentials that are valid now.

    Raises:
        CredentialsUnavailable: there are none; when a refresh failed, retrying may help.
    """
    own: Credentials = load(Credentials)
    if own.access_key and own.secret_key:
        return own
    return await _from_chain()


async def _from_chain() -> Credentials:
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415  # only where the environment holds none

    try:
        # In a thread, since it may be the moment to ask for new ones.
        found = await asyncio.to_thread(_frozen)
    except BotoCoreError as error:
        raise CredentialsUnavailable(str(error)) from error
    return Credentials(access_key=found.access_key or "", secret_key=found.secret_key or "", token=found.token or "")


def _frozen() -> "ReadOnlyCredentials":
    from botocore.session import Session  # noqa: PLC0415  # imported only where the environment has no credentials

    chain = runtime.current().get(_Chain, lambda: _Chain(Session().get_credentials())).found
    if chain is None:
        raise CredentialsUnavailable("There are no AWS credentials.")
    return chain.get_frozen_credentials()


@dataclass(frozen=True)
class _Chain:
    """botocore's credentials, looked up once per runtime; dropped before a snapshot."""

    found: "Chain | None"


@dataclass(frozen=True, kw_only=True)
class CredentialScope:
    """Service, region and time that a signature is valid for.

    Attributes:
        service: Name of the service in credentials, such as `sqs`.
        at: Time of signing, UTC. AWS accepts a signature for five minutes, and a pre-signed URL for its own period.
    """

    service: str
    region: str
    at: datetime

    @cached_property
    def timestamp(self) -> str:
        """The time in AWS's format."""
        return f"{self.at:%Y%m%dT%H%M%SZ}"

    @cached_property
    def text(self) -> str:
        """The scope in AWS's format."""
        return f"{self.at:%Y%m%d}/{self.region}/{self.service}/aws4_request"


def sign_headers(
    url: str, headers: Mapping[str, str], body: bytes, credentials: Credentials, scope: CredentialScope
) -> dict[str, str]:
    """The headers of a POST, with its signature.

    Args:
        url: Absolute, without a query.
        headers: All headers of the request; they are signed, and so is `Host`.
        body: Body of the request.
        credentials: The keys to sign with.
        scope: Service, region and time.
    """
    target = urlsplit(url)
    host, path = target.netloc, target.path or "/"
    sent = {**headers, "X-Amz-Date": scope.timestamp}
    if credentials.token:
        sent["X-Amz-Security-Token"] = credentials.token
    names = {name.lower(): value.strip() for name, value in {**sent, "Host": host}.items()}
    ordered = sorted(names)
    listed = ";".join(ordered)
    lines = "".join([f"{name}:{names[name]}\n" for name in ordered])
    request = f"POST\n{quote(path)}\n\n{lines}\n{listed}\n{hashlib.sha256(body).hexdigest()}"
    signature = _signature(request, credentials, scope)
    given = f"Credential={credentials.access_key}/{scope.text}, SignedHeaders={listed}, Signature={signature}"
    return {**sent, "Authorization": f"{_ALGORITHM} {given}"}


def presign_url(  # noqa: PLR0913  # all parts of a request
    host: str,
    query: Mapping[str, str],
    expires_s: int,
    credentials: Credentials,
    scope: CredentialScope,
    *,
    path: str = "/",
    payload: str = hashlib.sha256().hexdigest(),
) -> str:
    """A pre-signed URL of a GET, without its `https://`.

    Args:
        host: Host and port.
        query: Parameters of the request.
        expires_s: Validity, seconds.
        credentials: The keys to sign with.
        scope: Service, region and time.
        path: Path of the request, not encoded.
        payload: Hash of the body; `UNSIGNED-PAYLOAD` for S3.
    """
    path = quote(path, safe="/-_.~")
    asked = {
        **query,
        "X-Amz-Algorithm": _ALGORITHM,
        "X-Amz-Credential": f"{credentials.access_key}/{scope.text}",
        "X-Amz-Date": scope.timestamp,
        "X-Amz-Expires": str(expires_s),
        "X-Amz-SignedHeaders": "host",
    }
    if credentials.token:
        asked["X-Amz-Security-Token"] = credentials.token
    pairs = "&".join(f"{_quoted(name)}={_quoted(asked[name])}" for name in sorted(asked))
    request = f"GET\n{path}\n{pairs}\nhost:{host}\n\nhost\n{payload}"
    return f"{host}{path}?{pairs}&X-Amz-Signature={_signature(request, credentials, scope)}"


def sign_policy(
    conditions: list[object], expires: datetime, credentials: Credentials, scope: CredentialScope
) -> dict[str, str]:
    """The fields of a form that S3 accepts (POST Object): the policy and its signature.

    Args:
        conditions: Conditions of the policy, without those of the signature.
        expires: Time until which the form is accepted, UTC.
        credentials: The keys to sign with.
        scope: Service, region and time.
    """
    fields = {
        "x-amz-algorithm": _ALGORITHM,
        "x-amz-credential": f"{credentials.access_key}/{scope.text}",
        "x-amz-date": scope.timestamp,
    }
    if credentials.token:
        fields["x-amz-security-token"] = credentials.token
    signed = [*conditions, *({name: value} for name, value in fields.items())]
    document = json.dumps({"expiration": f"{expires:%Y-%m-%dT%H:%M:%SZ}", "conditions": signed})
    policy = b64encode(document.encode()).decode()
    return {**fields, "policy": policy, "x-amz-signature": _sign(policy, credentials, scope)}


def _signature(request: str, credentials: Credentials, scope: CredentialScope) -> str:
    digest = hashlib.sha256(request.encode()).hexdigest()
    return _sign(f"{_ALGORITHM}\n{scope.timestamp}\n{scope.text}\n{digest}", credentials, scope)


def _sign(text: str, credentials: Credentials, scope: CredentialScope) -> str:
    key = f"AWS4{credentials.secret_key}".encode()
    for part in scope.text.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")
